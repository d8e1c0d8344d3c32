DROP INDEX outbox_subject;
DELETE FROM outbox WHERE kind <> 'mail';
ALTER TABLE outbox RENAME COLUMN subject TO sid;
CREATE INDEX outbox_sid ON outbox (sid);
DROP TABLE invites;
DROP TABLE accepted_terms;
DROP TABLE access_tokens;
DROP TABLE accounts;
