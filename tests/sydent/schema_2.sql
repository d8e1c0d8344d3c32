-- Schema 2 finds old sessions faster.
CREATE INDEX threepid_validation_sessions_mtime ON threepid_validation_sessions (mtime);
PRAGMA user_version = 2;
