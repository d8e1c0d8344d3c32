-- Since schema 1 a binding may be a tombstone, and numbers are never used again.
CREATE TABLE local_threepid_associations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    medium VARCHAR(16) NOT NULL,
    address VARCHAR(256) NOT NULL,
    mxid VARCHAR(256),
    ts INTEGER,
    notBefore BIGINT,
    notAfter BIGINT
);
CREATE UNIQUE INDEX local_threepid_medium_address
    ON local_threepid_associations (medium, address);
CREATE TABLE global_threepid_associations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    medium VARCHAR(16) NOT NULL,
    address VARCHAR(256) NOT NULL,
    mxid VARCHAR(256) NOT NULL,
    ts INTEGER NOT NULL,
    notBefore BIGINT NOT NULL,
    notAfter INTEGER NOT NULL,
    originServer VARCHAR(255) NOT NULL,
    originId INTEGER NOT NULL,
    sgAssoc TEXT NOT NULL
);
CREATE INDEX global_threepid_medium_address
    ON global_threepid_associations (medium, address);
CREATE INDEX global_threepid_medium_lower_address
    ON global_threepid_associations (medium, lower(address));
CREATE UNIQUE INDEX global_threepid_originServer_originId
    ON global_threepid_associations (originServer, originId);
PRAGMA user_version = 1;
