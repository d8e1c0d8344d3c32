-- The tables that schema 0 and schema 1 have in common, with a row each.
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
CREATE TABLE threepid_token_auths (
    id INTEGER PRIMARY KEY,
    validationSession INTEGER NOT NULL,
    token VARCHAR(32) NOT NULL,
    sendAttemptNumber INTEGER NOT NULL,
    FOREIGN KEY (validationSession) REFERENCES threepid_validations (id)
);
INSERT INTO invite_tokens (medium, address, room_id, sender, token, received_ts, sent_ts) VALUES
    ('email', 'guest@example.com', '!room:hs.test', '@first:hs.test', 'invitewaiting', 1500000000000, NULL),
    ('email', 'first@example.com', '!room:hs.test', '@second:hs.test', 'invitesent', 1500000000000, 1500000001000);
INSERT INTO ephemeral_public_keys (public_key, verify_count, persistence_ts) VALUES
    ('GmW7d9ZtKo0kWl7m3Y0nqB5WQ0cyOZFdfhnKEqYvV0I', 3, 1500000000000);
