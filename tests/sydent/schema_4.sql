-- Schema 4 has accounts.
CREATE TABLE accounts (
    user_id TEXT NOT NULL PRIMARY KEY,
    created_ts BIGINT NOT NULL,
    consent_version TEXT
);
CREATE TABLE tokens (token TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL);
CREATE TABLE accepted_terms_urls (user_id TEXT NOT NULL, url TEXT NOT NULL);
CREATE UNIQUE INDEX accepted_terms_urls_idx ON accepted_terms_urls (user_id, url);
PRAGMA user_version = 4;
