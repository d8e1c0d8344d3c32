-- Times are milliseconds since the epoch.

-- Whether client_secret and token are keyed hashes. The server that starts next hashes
-- the others. A session that sent several messages has several tokens, with spaces
-- between them.
ALTER TABLE validation_sessions ADD COLUMN hashed BOOLEAN NOT NULL DEFAULT FALSE;

-- The day of the last request with the token; null if none was counted yet.
ALTER TABLE access_tokens ADD COLUMN last_used_at BIGINT;
CREATE INDEX access_tokens_last_used_at ON access_tokens (last_used_at);

-- User IDs and names of homeservers whose users may not use the server.
CREATE TABLE blocked_accounts (
    blocked TEXT NOT NULL PRIMARY KEY,
    blocked_at BIGINT NOT NULL
);

-- The time that the peer has stated, where it was too far ahead; ts is the time at
-- which the statement arrived then.
ALTER TABLE associations ADD COLUMN stated_ts BIGINT;
ALTER TABLE association_removals ADD COLUMN stated_ts BIGINT;

-- What these peers say about these 3PIDs does not count.
CREATE TABLE ignored_statements (
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    origin TEXT NOT NULL,
    ignored_at BIGINT NOT NULL,
    PRIMARY KEY (address, medium, origin)
);
