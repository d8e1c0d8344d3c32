-- Times are milliseconds since the epoch.

CREATE TABLE validation_sessions (
    sid TEXT NOT NULL PRIMARY KEY,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    client_secret TEXT NOT NULL,
    token TEXT NOT NULL,
    next_link TEXT,
    -- The highest attempt whose message was sent or is on its way.
    send_attempt BIGINT,
    created_at BIGINT NOT NULL,
    validated_at BIGINT,
    wrong_tokens INTEGER NOT NULL,
    -- 1 when a newer session has taken the place of this one.
    superseded INTEGER NOT NULL
);
-- One session at a time has an address and a secret, however many requests race.
CREATE UNIQUE INDEX validation_sessions_current
    ON validation_sessions (address, client_secret, medium) WHERE superseded = 0;
CREATE INDEX validation_sessions_created_at ON validation_sessions (created_at);

CREATE TABLE associations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    -- The server that signed it.
    origin TEXT NOT NULL,
    mxid TEXT NOT NULL,
    ts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    -- By the current pepper.
    lookup_hash TEXT NOT NULL,
    -- The signed association, as JSON.
    signed TEXT NOT NULL,
    UNIQUE (address, medium, origin)
);
CREATE INDEX associations_lookup_hash ON associations (lookup_hash);

CREATE TABLE lookup_peppers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pepper TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- The public halves of the keys that were handed out with invites.
CREATE TABLE ephemeral_keys (
    public_key TEXT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

-- What must leave the house and has not yet been handed over.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    -- The session whose attempt is taken back when the message is dropped.
    sid TEXT NOT NULL,
    send_attempt BIGINT NOT NULL,
    previous_attempt BIGINT,
    -- What it took from send_limits and gives back when it is dropped, as JSON.
    limits TEXT NOT NULL,
    tries INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    -- Until then a client waits for the outcome. 0 once a client was told that
    -- it is on its way: it is not dropped then because others stop waiting.
    answer_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- The instance whose client waits has the message to itself for a while.
    home TEXT NOT NULL,
    home_until BIGINT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL
);
CREATE INDEX outbox_due_at ON outbox (due_at);
CREATE INDEX outbox_sid ON outbox (sid);

-- How often messages were sent on behalf of somebody or to somebody.
CREATE TABLE send_limits (
    -- A scope and the hash of who is counted.
    counted TEXT NOT NULL PRIMARY KEY,
    -- When everything that was sent is paid for, at one message per interval.
    paid_until BIGINT NOT NULL
);
CREATE INDEX send_limits_paid_until ON send_limits (paid_until);
