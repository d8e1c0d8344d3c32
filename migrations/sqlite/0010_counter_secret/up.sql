-- The secret that the keys of send_limits are hashed with: one row. The first server
-- that starts on the database makes it.
CREATE TABLE counter_secret (
    secret TEXT NOT NULL PRIMARY KEY
);
-- The keys so far were hashes without a secret, which can be reversed by trial.
DELETE FROM send_limits;
