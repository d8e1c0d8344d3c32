-- Times are milliseconds since the epoch.

-- What other servers must hear of: the last change of each 3PID that this server
-- speaks for, in the order of the changes.
CREATE TABLE association_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    -- When the association was removed; null while it is one.
    removed_at BIGINT,
    UNIQUE (address, medium)
);
INSERT INTO association_journal (medium, address)
    SELECT medium, address FROM associations ORDER BY id;

-- The servers that are told, and how far each has heard.
CREATE TABLE replication_peers (
    name TEXT NOT NULL PRIMARY KEY,
    -- The last change that it has taken.
    sent_id BIGINT NOT NULL,
    -- When it last took some, and when it last sent some.
    sent_at BIGINT,
    received_at BIGINT,
    -- Tries since it last took some, and why the last of them failed.
    tries INTEGER NOT NULL,
    last_error TEXT,
    due_at BIGINT NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL
);
