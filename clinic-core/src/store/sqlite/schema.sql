-- Version 1. Times are milliseconds since 1970 UTC; ids are 16-byte UUIDs; codes are text.
-- A list of more than two is written with OR: for IN, SQLite would build a table of it at every statement.

CREATE TABLE booking (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    status       TEXT    NOT NULL CHECK (status = 'pending' OR status = 'confirmed' OR status = 'rejected' OR status = 'cancelled'),
    reason       TEXT,
    patient_id   TEXT,
    patient_name TEXT,
    doctor_id    TEXT,
    start_at     INTEGER NOT NULL,
    end_at       INTEGER NOT NULL,
    timezone     TEXT    NOT NULL,
    language     TEXT    NOT NULL,
    email        TEXT,
    phone        TEXT,
    attempts     INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    decide_by    INTEGER NOT NULL,
    decided_at   INTEGER,
    -- Whether an availability check reserved something that is to be released when the booking ends.
    reserves     INTEGER NOT NULL DEFAULT 0,
    key_hash     BLOB,
    request_hash BLOB,
    replay_of    BLOB,
    replayed_as  BLOB,
    -- Its decide job, for as long as that is there.
    job          BLOB    NOT NULL,
    -- At most 480 minutes: the overlap rule looks back no further.
    CHECK (end_at > start_at AND end_at - start_at <= 28800000),
    CHECK ((status = 'rejected') = (reason IS NOT NULL)),
    CHECK (patient_id IS NOT NULL OR patient_name IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX booking_held ON booking (doctor_id, start_at, end_at)
    WHERE doctor_id IS NOT NULL AND status IN ('pending', 'confirmed');
CREATE INDEX booking_undecided ON booking (decide_by) WHERE status = 'pending';
CREATE INDEX booking_by_patient ON booking (patient_id, status) WHERE patient_id IS NOT NULL;
CREATE INDEX booking_by_doctor ON booking (doctor_id, start_at, id) WHERE doctor_id IS NOT NULL;
CREATE INDEX booking_by_start ON booking (start_at, id);
CREATE UNIQUE INDEX booking_key ON booking (key_hash) WHERE key_hash IS NOT NULL;

-- No two active bookings of one doctor overlap. Slots are half-open: back to back fits.
-- FAIL rather than ABORT: no row is written either way, and SQLite need not be ready to undo a statement of many.
CREATE TRIGGER booking_no_overlap_insert BEFORE INSERT ON booking
    WHEN NEW.doctor_id IS NOT NULL AND NEW.status IN ('pending', 'confirmed')
BEGIN
    SELECT RAISE(FAIL, 'slot_taken') WHERE EXISTS (
        SELECT 1 FROM booking
        WHERE doctor_id = NEW.doctor_id AND status IN ('pending', 'confirmed')
          AND start_at < NEW.end_at AND start_at > NEW.start_at - 28800000 AND end_at > NEW.start_at);
END;

CREATE TRIGGER booking_no_overlap_update BEFORE UPDATE OF status, doctor_id, start_at, end_at ON booking
    WHEN NEW.doctor_id IS NOT NULL AND NEW.status IN ('pending', 'confirmed')
         AND NOT (OLD.status IN ('pending', 'confirmed') AND OLD.doctor_id IS NEW.doctor_id
                  AND OLD.start_at = NEW.start_at AND OLD.end_at = NEW.end_at)
BEGIN
    SELECT RAISE(FAIL, 'slot_taken') WHERE EXISTS (
        SELECT 1 FROM booking
        WHERE doctor_id = NEW.doctor_id AND status IN ('pending', 'confirmed') AND id <> NEW.id
          AND start_at < NEW.end_at AND start_at > NEW.start_at - 28800000 AND end_at > NEW.start_at);
END;

-- pending -> confirmed | rejected | cancelled, confirmed -> cancelled; nothing else, ever.
CREATE TRIGGER booking_state_machine BEFORE UPDATE OF status ON booking
    WHEN NOT (OLD.status = 'pending' AND (NEW.status = 'confirmed' OR NEW.status = 'rejected' OR NEW.status = 'cancelled')
              OR OLD.status = 'confirmed' AND NEW.status = 'cancelled')
BEGIN
    SELECT RAISE(FAIL, 'illegal_transition');
END;

-- Work that is still to be done; a settled job is gone.
CREATE TABLE job (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind        TEXT    NOT NULL CHECK (kind = 'decide' OR kind = 'tell' OR kind = 'release'),
    booking     BLOB    NOT NULL,
    -- The timeline entry to tell.
    event_seq   INTEGER,
    -- The attempt under way or next to be made, from 1; a loss does not raise it.
    attempt     INTEGER NOT NULL DEFAULT 1,
    losses      INTEGER NOT NULL DEFAULT 0,
    reserves    INTEGER NOT NULL DEFAULT 0,
    -- The current holder: its fence, name and lease.
    token       BLOB,
    worker      TEXT,
    lease_until INTEGER,
    -- Nobody may claim it before.
    due_at      INTEGER NOT NULL,
    -- From then on anybody may pick it up without hearing of it from the broker.
    next_look   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX job_next_look ON job (kind, next_look);

-- What happened to a booking, beside its acceptance (the booking's row, entry 1) and settled notices (the ledger).
CREATE TABLE timeline (
    booking  BLOB    NOT NULL,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    attempt  INTEGER,
    worker   TEXT,
    code     TEXT,
    next_try INTEGER,
    channel  TEXT,
    notice   BLOB,
    PRIMARY KEY (booking, seq)
) STRICT, WITHOUT ROWID;

-- The ledger: one row per event and channel.
CREATE TABLE notice (
    booking     BLOB    NOT NULL,
    event_seq   INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    id          BLOB    NOT NULL CHECK (length(id) = 16),
    job         BLOB    NOT NULL,
    state       TEXT    NOT NULL CHECK (state = 'pending' OR state = 'sent' OR state = 'failed' OR state = 'skipped'),
    tries       INTEGER NOT NULL DEFAULT 0,
    -- How often its holder was lost while sending it; spends no try.
    losses      INTEGER NOT NULL DEFAULT 0,
    code        TEXT,
    receipt     TEXT,
    -- Its place in the timeline once settled.
    seq         INTEGER,
    settled_at  INTEGER,
    token       BLOB,
    lease_until INTEGER,
    due_at      INTEGER,
    next_look   INTEGER,
    PRIMARY KEY (booking, event_seq, channel)
) STRICT, WITHOUT ROWID;

CREATE INDEX notice_next_look ON notice (channel, next_look) WHERE state = 'pending';

-- What failed for good, for staff to see and mend.
CREATE TABLE dead_letter (
    id          INTEGER PRIMARY KEY,
    booking     BLOB    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind = 'decide' OR kind = 'notice' OR kind = 'release'),
    code        TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    notice      BLOB,
    at          INTEGER NOT NULL,
    replayed_at INTEGER
) STRICT;

CREATE INDEX dead_letter_booking ON dead_letter (booking);

-- One row, written by readiness probes.
CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
INSERT INTO probe VALUES (1, 0);
