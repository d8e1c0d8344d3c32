-- Random keys of this database under the name of their use. The first server that needs
-- one makes it.
CREATE TABLE database_keys (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
-- The keys of send_limits so far were hashes without a secret, which can be reversed by
-- trial.
DELETE FROM send_limits;
