-- Times are milliseconds since the epoch.

-- The number that the peer gave its change: of several changes of one origin,
-- the one with the greatest number counts. 0 if it is not known, and for the
-- associations of this server.
ALTER TABLE associations ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
CREATE INDEX associations_origin_number ON associations (origin, number);

-- The removals that came last from their origin. Each hides the associations of
-- all origins that are not newer.
CREATE TABLE association_removals (
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    origin TEXT NOT NULL,
    number BIGINT NOT NULL,
    ts BIGINT NOT NULL,
    PRIMARY KEY (address, medium, origin)
);
CREATE INDEX association_removals_origin_number ON association_removals (origin, number);

-- The name of this server is not in the database. A binding of a peer that an earlier
-- version went on to answer with stays.
INSERT INTO association_removals (medium, address, origin, number, ts)
SELECT medium, address, '', 0, removed_at FROM association_journal WHERE removed_at IS NOT NULL
AND NOT EXISTS (
    SELECT 1 FROM associations
    WHERE associations.address = association_journal.address
    AND associations.medium = association_journal.medium
    AND associations.ts <= association_journal.removed_at
);

-- Whether the push of the change begins with a removal and ends with what all
-- origins together say, because a peer has said something about the address.
ALTER TABLE association_journal ADD COLUMN restates BOOLEAN NOT NULL DEFAULT FALSE;

-- How many changes of the peer were not valid and were skipped, and the number
-- of the last one.
ALTER TABLE replication_peers ADD COLUMN skipped BIGINT NOT NULL DEFAULT 0;
ALTER TABLE replication_peers ADD COLUMN skipped_number TEXT NOT NULL DEFAULT '';
