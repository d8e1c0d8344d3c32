-- Times are milliseconds since the epoch.

-- 3PIDs and users whose data was erased, and 3PIDs that were removed long ago,
-- without saying who they are.
CREATE TABLE erasures (
    -- A keyed hash of the 3PID or of the user ID.
    subject TEXT NOT NULL PRIMARY KEY,
    -- Bindings of the 3PID or the user that are not newer than this stay out.
    ts BIGINT NOT NULL,
    erased_at BIGINT NOT NULL,
    -- The change of the journal that tells the peers. It contains the 3PID in clear
    -- until all of them have received it; null afterwards.
    journal_id BIGINT
);
CREATE UNIQUE INDEX erasures_journal_id ON erasures (journal_id);

-- Whose data was exported or erased, and when, without saying who they are.
CREATE TABLE person_audit (
    id BIGSERIAL PRIMARY KEY,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    -- A keyed hash of the 3PID or user ID that the administrator named.
    subject TEXT NOT NULL,
    -- How many rows of each table, as JSON.
    affected TEXT NOT NULL
);

-- When data was imported: rows from before count as made then.
CREATE TABLE imports (
    at BIGINT NOT NULL PRIMARY KEY
);

-- Which hash columns of the associations a pepper has: 0 the first ones, 1 the second
-- ones. Two peppers are answered or prepared at a time, so that neither is in the way
-- of the other.
ALTER TABLE lookup_peppers ADD COLUMN slot INTEGER NOT NULL DEFAULT 0;
-- Whether all associations are hashed with it; the newest such pepper is the current one.
ALTER TABLE lookup_peppers ADD COLUMN is_ready BOOLEAN NOT NULL DEFAULT TRUE;
-- The last association that a rotation has hashed, which goes on from there.
ALTER TABLE lookup_peppers ADD COLUMN hashed_to BIGINT NOT NULL DEFAULT 0;
-- Until then a former pepper is answered.
ALTER TABLE lookup_peppers ADD COLUMN answered_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE associations ADD COLUMN second_hash TEXT;
ALTER TABLE associations ADD COLUMN second_other_hash TEXT;
CREATE INDEX associations_second_hash ON associations (second_hash);
CREATE INDEX associations_second_other_hash ON associations (second_other_hash);

-- By which the janitor and erasures find rows.
CREATE INDEX associations_mxid ON associations (mxid);
CREATE INDEX invites_sender ON invites (sender);
CREATE INDEX invites_created_at ON invites (created_at);
CREATE INDEX ephemeral_keys_created_at ON ephemeral_keys (created_at);
