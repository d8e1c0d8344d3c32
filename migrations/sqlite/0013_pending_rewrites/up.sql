-- Times are milliseconds since the epoch.

-- Erasures after which the file of an SQLite database must still be rewritten, since it
-- may have copies of what was deleted.
CREATE TABLE pending_rewrites (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    requested_at BIGINT NOT NULL,
    -- Whether it is rewritten, and only its write-ahead log has to be emptied.
    is_rewritten BOOLEAN NOT NULL DEFAULT FALSE
);
