-- Version 1. Times are milliseconds since 1970 UTC, as everywhere in a clinic's stores; codes are text, compared by their bytes.

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE booking (
    id           uuid    NOT NULL PRIMARY KEY,
    status       text    COLLATE "C" NOT NULL CHECK (status IN ('pending', 'confirmed', 'rejected', 'cancelled')),
    reason       text    COLLATE "C",
    patient_id   text    COLLATE "C",
    patient_name text,
    doctor_id    text    COLLATE "C",
    start_at     bigint  NOT NULL,
    end_at       bigint  NOT NULL,
    timezone     text    NOT NULL,
    language     text    NOT NULL,
    email        text,
    phone        text,
    attempts     integer NOT NULL DEFAULT 0,
    created_at   bigint  NOT NULL,
    decide_by    bigint  NOT NULL,
    decided_at   bigint,
    -- Whether an availability check reserved something that is to be released when the booking ends.
    reserves     boolean NOT NULL DEFAULT false,
    key_hash     bytea,
    request_hash bytea,
    replay_of    uuid,
    replayed_as  uuid,
    -- Its decide job, for as long as that is there.
    job          uuid    NOT NULL,
    -- When the next reminder of a confirmed booking is due.
    remind_at    bigint,
    CHECK (end_at > start_at AND end_at - start_at <= 28800000),
    CHECK ((status = 'rejected') = (reason IS NOT NULL)),
    CHECK (patient_id IS NOT NULL OR patient_name IS NOT NULL),
    -- No two active bookings of one doctor overlap. Slots are half-open: back to back fits.
    CONSTRAINT booking_no_overlap EXCLUDE USING gist (doctor_id WITH =, int8range(start_at, end_at) WITH &&)
        WHERE (status IN ('pending', 'confirmed'))
);

CREATE INDEX booking_undecided ON booking (decide_by) WHERE status = 'pending';
CREATE INDEX booking_by_patient ON booking (patient_id, start_at) WHERE patient_id IS NOT NULL;
CREATE INDEX booking_by_doctor ON booking (doctor_id, start_at, id) WHERE doctor_id IS NOT NULL;
CREATE INDEX booking_by_start ON booking (start_at, id);
CREATE INDEX booking_remind ON booking (remind_at) WHERE remind_at IS NOT NULL;
CREATE UNIQUE INDEX booking_key ON booking (key_hash) WHERE key_hash IS NOT NULL;
-- A booking is tried again as one other.
CREATE UNIQUE INDEX booking_replay ON booking (replay_of) WHERE replay_of IS NOT NULL;

-- pending -> confirmed | rejected | cancelled, confirmed -> cancelled; nothing else, ever. And a booking begins as pending.
CREATE FUNCTION booking_state_machine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'illegal_transition' USING ERRCODE = 'check_violation', CONSTRAINT = 'booking_state_machine';
END $$;
CREATE TRIGGER booking_state_machine_insert BEFORE INSERT ON booking
    FOR EACH ROW WHEN (NEW.status <> 'pending') EXECUTE FUNCTION booking_state_machine();
CREATE TRIGGER booking_state_machine_update BEFORE UPDATE ON booking
    FOR EACH ROW WHEN (OLD.status <> NEW.status
        AND NOT (OLD.status = 'pending' AND NEW.status IN ('confirmed', 'rejected', 'cancelled')
                 OR OLD.status = 'confirmed' AND NEW.status = 'cancelled'))
    EXECUTE FUNCTION booking_state_machine();

-- Work that is still to be done; a settled job is gone.
CREATE TABLE job (
    id          uuid    NOT NULL PRIMARY KEY,
    kind        text    COLLATE "C" NOT NULL CHECK (kind IN ('decide', 'tell', 'release')),
    booking     uuid    NOT NULL,
    -- The timeline entry to tell.
    event_seq   integer,
    -- The attempt under way or next to be made, from 1; a loss does not raise it.
    attempt     integer NOT NULL DEFAULT 1,
    losses      integer NOT NULL DEFAULT 0,
    reserves    boolean NOT NULL DEFAULT false,
    -- The current holder: its fence, name and lease.
    token       uuid,
    worker      text,
    lease_until bigint,
    -- Whether the lease was won by a message of the broker: only such a one is taken over when its message comes again.
    by_message  boolean NOT NULL DEFAULT false,
    -- Nobody may claim it before.
    due_at      bigint  NOT NULL,
    -- From then on anybody may pick it up without hearing of it from the broker.
    next_look   bigint  NOT NULL
);

CREATE INDEX job_next_look ON job (kind, next_look);

-- What happened to a booking, beside its acceptance (the booking's row, entry 1) and settled notices (the ledger).
CREATE TABLE timeline (
    booking  uuid    NOT NULL,
    seq      integer NOT NULL,
    at       bigint  NOT NULL,
    kind     text    COLLATE "C" NOT NULL,
    attempt  integer,
    worker   text,
    code     text,
    next_try bigint,
    channel  text    COLLATE "C",
    notice   uuid,
    PRIMARY KEY (booking, seq)
);

-- The ledger: one row per event and channel.
CREATE TABLE notice (
    booking     uuid    NOT NULL,
    event_seq   integer NOT NULL,
    channel     text    COLLATE "C" NOT NULL,
    id          uuid    NOT NULL,
    job         uuid    NOT NULL,
    state       text    COLLATE "C" NOT NULL CHECK (state IN ('pending', 'sent', 'failed', 'skipped')),
    tries       integer NOT NULL DEFAULT 0,
    -- How often its holder was lost while sending it; spends no try.
    losses      integer NOT NULL DEFAULT 0,
    code        text    COLLATE "C",
    receipt     text,
    -- Its place in the timeline once settled.
    seq         integer,
    settled_at  bigint,
    token       uuid,
    lease_until bigint,
    due_at      bigint,
    next_look   bigint,
    PRIMARY KEY (booking, event_seq, channel)
);

CREATE INDEX notice_next_look ON notice (channel, next_look) WHERE state = 'pending';

-- What failed for good, for staff to see and mend.
CREATE TABLE dead_letter (
    id          bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    booking     uuid    NOT NULL,
    kind        text    COLLATE "C" NOT NULL CHECK (kind IN ('decide', 'notice', 'release')),
    code        text    COLLATE "C" NOT NULL,
    attempts    integer NOT NULL,
    notice      uuid,
    at          bigint  NOT NULL,
    replayed_at bigint,
    -- The replay that it had: a letter is replayed once.
    replay      uuid
);

CREATE INDEX dead_letter_booking ON dead_letter (booking);
-- The desk is read by age and by reason.
CREATE INDEX dead_letter_at ON dead_letter (at, id);
CREATE INDEX dead_letter_code ON dead_letter (code, at, id);
CREATE INDEX dead_letter_kind ON dead_letter (kind, at, id);
CREATE INDEX dead_letter_open ON dead_letter (at, id) WHERE replayed_at IS NULL;
CREATE INDEX dead_letter_open_code ON dead_letter (code, at, id) WHERE replayed_at IS NULL;

-- Where webhooks go. Of a removed one nothing stays but that it was there: its notices name it.
CREATE TABLE webhook (
    id            uuid   NOT NULL PRIMARY KEY,
    url           text   NOT NULL,
    secret        bytea  NOT NULL,
    created_at    bigint NOT NULL,
    -- Since when nothing is sent there, and why.
    disabled_at   bigint,
    disabled_code text,
    removed_at    bigint
);
CREATE INDEX webhook_there ON webhook (created_at, id) WHERE removed_at IS NULL;

-- The secrets that an endpoint had before, and until when each signs too.
CREATE TABLE webhook_former (
    webhook uuid   NOT NULL,
    secret  bytea  NOT NULL,
    until   bigint NOT NULL,
    PRIMARY KEY (webhook, secret)
);

-- One row, written by readiness probes.
CREATE TABLE probe (one integer PRIMARY KEY CHECK (one = 1), at bigint NOT NULL);
INSERT INTO probe VALUES (1, 0);
