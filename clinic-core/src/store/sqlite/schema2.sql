-- Version 2. Whether a lease was won by a message of the broker: only such a one is taken over when its message comes again.
ALTER TABLE job ADD COLUMN by_message INTEGER NOT NULL DEFAULT 0;
