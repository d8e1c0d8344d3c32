-- Schema 3 has hashes, and the pepper that is in them.
ALTER TABLE local_threepid_associations ADD COLUMN lookup_hash VARCHAR(256);
ALTER TABLE global_threepid_associations ADD COLUMN lookup_hash VARCHAR(256);
CREATE INDEX lookup_hash_medium ON global_threepid_associations (lookup_hash, medium);
CREATE TABLE hashing_metadata (id INTEGER PRIMARY KEY, lookup_pepper VARCHAR(256));
PRAGMA user_version = 3;
