-- The instance whose client waits for the outcome: no other instance takes the
-- message until shortly after answer_until.
ALTER TABLE outbox RENAME COLUMN home TO affinity_instance;
ALTER TABLE outbox DROP COLUMN home_until;

-- Whether a client was told that the message is on its way. It is then not
-- dropped because others stop waiting for it.
ALTER TABLE outbox ADD COLUMN acknowledged BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE outbox SET acknowledged = TRUE WHERE answer_until = 0;
