CREATE TABLE local_threepid_associations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    medium VARCHAR(16) NOT NULL,
    address VARCHAR(256) NOT NULL,
    mxid VARCHAR(256),
    ts INTEGER,
    notBefore BIGINT,
    notAfter BIGINT,
    lookup_hash VARCHAR(256)
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
    sgAssoc TEXT NOT NULL,
    lookup_hash VARCHAR(256)
);
CREATE INDEX global_threepid_medium_address
    ON global_threepid_associations (medium, address);
CREATE INDEX global_threepid_medium_lower_address
    ON global_threepid_associations (medium, lower(address));
CREATE UNIQUE INDEX global_threepid_originServer_originId
    ON global_threepid_associations (originServer, originId);
CREATE INDEX global_threepid_lookup_hash ON global_threepid_associations (lookup_hash);

CREATE TABLE invite_tokens (
    id INTEGER PRIMARY KEY,
    medium VARCHAR(16) NOT NULL,
    address VARCHAR(256) NOT NULL,
    room_id VARCHAR(256) NOT NULL,
    sender VARCHAR(256) NOT NULL,
    token VARCHAR(256) NOT NULL,
    received_ts BIGINT,
    sent_ts BIGINT
);
CREATE INDEX invite_token_medium_address ON invite_tokens (medium, address);
CREATE INDEX invite_token_token ON invite_tokens (token);

CREATE TABLE ephemeral_public_keys (
    id INTEGER PRIMARY KEY,
    public_key VARCHAR(256) NOT NULL,
    verify_count BIGINT DEFAULT 0,
    persistence_ts BIGINT
);
CREATE UNIQUE INDEX ephemeral_public_keys_index ON ephemeral_public_keys (public_key);

CREATE TABLE peers (
    id INTEGER PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    port INTEGER DEFAULT NULL,
    lastSentVersion INTEGER,
    lastPokeSucceededAt INTEGER,
    active INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX name ON peers (name);

CREATE TABLE peer_pubkeys (
    id INTEGER PRIMARY KEY,
    peername VARCHAR(255) NOT NULL,
    alg VARCHAR(16) NOT NULL,
    key TEXT NOT NULL,
    FOREIGN KEY (peername) REFERENCES peers (name)
);
CREATE UNIQUE INDEX peername_alg ON peer_pubkeys (peername, alg);

CREATE TABLE threepid_validation_sessions (
    id INTEGER PRIMARY KEY,
    medium VARCHAR(16) NOT NULL,
    address VARCHAR(256) NOT NULL,
    clientSecret VARCHAR(32) NOT NULL,
    validated INT DEFAULT 0,
    mtime BIGINT NOT NULL
);
CREATE INDEX threepid_validation_sessions_mtime ON threepid_validation_sessions (mtime);

CREATE TABLE threepid_token_auths (
    id INTEGER PRIMARY KEY,
    validationSession INTEGER NOT NULL,
    token VARCHAR(32) NOT NULL,
    sendAttemptNumber INTEGER NOT NULL,
    FOREIGN KEY (validationSession) REFERENCES threepid_validation_sessions (id)
);

CREATE TABLE hashing_metadata (id INTEGER PRIMARY KEY, lookup_pepper VARCHAR(256));

CREATE TABLE accounts (
    user_id TEXT NOT NULL PRIMARY KEY,
    created_ts BIGINT NOT NULL,
    consent_version TEXT
);
CREATE TABLE tokens (token TEXT NOT NULL PRIMARY KEY, user_id TEXT NOT NULL);
CREATE TABLE accepted_terms_urls (user_id TEXT NOT NULL, url TEXT NOT NULL);
CREATE UNIQUE INDEX accepted_terms_urls_idx ON accepted_terms_urls (user_id, url);

PRAGMA user_version = 5;
