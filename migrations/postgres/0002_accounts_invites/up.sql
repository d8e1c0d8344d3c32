-- Times are milliseconds since the epoch.

-- Users that have registered here.
CREATE TABLE accounts (
    user_id TEXT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE access_tokens (
    -- SHA-256, unpadded URL-safe base64.
    token_hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    created_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_user_id ON access_tokens (user_id);

-- The addresses of policies that a user has accepted.
CREATE TABLE accepted_terms (
    user_id TEXT NOT NULL REFERENCES accounts (user_id),
    url TEXT NOT NULL,
    accepted_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, url)
);

-- Invitations of addresses to rooms.
CREATE TABLE invites (
    id BIGSERIAL PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    room_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    -- The long-term key that was advertised with it, which must sign it.
    key_id TEXT NOT NULL,
    -- The public half of the key that was made for it.
    ephemeral_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- When a homeserver has taken it; null until then.
    delivered_at BIGINT
);
CREATE INDEX invites_address ON invites (address, medium);

-- What is undone when a message is dropped: the attempt of the session with
-- that sid, or the invite with that token.
DROP INDEX outbox_sid;
ALTER TABLE outbox RENAME COLUMN sid TO subject;
CREATE INDEX outbox_subject ON outbox (subject);
