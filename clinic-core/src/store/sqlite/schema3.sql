-- Version 3. Webhooks, reminders, the desk.

-- Where webhooks go. Of a removed one nothing stays but that it was there: its notices name it.
CREATE TABLE webhook (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    url           TEXT    NOT NULL,
    secret        BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    -- Since when nothing is sent there, and why.
    disabled_at   INTEGER,
    disabled_code TEXT,
    removed_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_there ON webhook (created_at, id) WHERE removed_at IS NULL;

-- The secrets that an endpoint had before, and until when each signs too.
CREATE TABLE webhook_former (
    webhook BLOB    NOT NULL,
    secret  BLOB    NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (webhook, secret)
) STRICT, WITHOUT ROWID;

-- When the next reminder of a confirmed booking is due.
ALTER TABLE booking ADD COLUMN remind_at INTEGER;
CREATE INDEX booking_remind ON booking (remind_at) WHERE remind_at IS NOT NULL;

-- The desk is read by age and by reason.
CREATE INDEX dead_letter_at ON dead_letter (at, id);
CREATE INDEX dead_letter_code ON dead_letter (code, at, id);
CREATE INDEX dead_letter_kind ON dead_letter (kind, at, id);
-- Most of what is asked for, and of a large desk perhaps little.
CREATE INDEX dead_letter_open ON dead_letter (at, id) WHERE replayed_at IS NULL;
CREATE INDEX dead_letter_open_code ON dead_letter (code, at, id) WHERE replayed_at IS NULL;

-- The replay that a letter had: a letter is replayed once, and a booking tried again as one other.
ALTER TABLE dead_letter ADD COLUMN replay BLOB;
CREATE UNIQUE INDEX booking_replay ON booking (replay_of) WHERE replay_of IS NOT NULL;
