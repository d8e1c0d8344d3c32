-- Indexes of hashes without the associations that have none. On SQLite they have only the start
-- of each hash, and are a quarter as large.
-- The new ones come first: PostgreSQL locks the table for readers from the first DROP on.
-- Contracts: 0014 also finds hashes without an index, by reading all rows; it was not released.
CREATE INDEX associations_lookup_hash_start ON associations (substr(lookup_hash, 1, 6));
CREATE INDEX associations_other_hash_start ON associations (substr(other_hash, 1, 6))
    WHERE other_hash IS NOT NULL;
CREATE INDEX associations_second_hash_start ON associations (substr(second_hash, 1, 6))
    WHERE second_hash IS NOT NULL;
CREATE INDEX associations_second_other_start ON associations (substr(second_other_hash, 1, 6))
    WHERE second_other_hash IS NOT NULL;
DROP INDEX associations_lookup_hash;
DROP INDEX associations_other_hash;
DROP INDEX associations_second_hash;
DROP INDEX associations_second_other_hash;
