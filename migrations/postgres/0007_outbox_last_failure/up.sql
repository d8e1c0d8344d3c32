-- Why the last attempt failed, in the words of the relay or provider, with
-- addresses and codes masked. Empty before the first failure.
ALTER TABLE outbox ADD COLUMN last_failure TEXT NOT NULL DEFAULT '';
