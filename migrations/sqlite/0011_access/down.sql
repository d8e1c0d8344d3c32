-- The older version cannot read hashed sessions.
DELETE FROM validation_sessions WHERE hashed;
DROP TABLE ignored_statements;
ALTER TABLE association_removals DROP COLUMN stated_ts;
ALTER TABLE associations DROP COLUMN stated_ts;
DROP TABLE blocked_accounts;
DROP INDEX access_tokens_last_used_at;
ALTER TABLE access_tokens DROP COLUMN last_used_at;
ALTER TABLE validation_sessions DROP COLUMN hashed;
