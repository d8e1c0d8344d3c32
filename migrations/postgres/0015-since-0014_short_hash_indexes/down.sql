CREATE INDEX associations_lookup_hash ON associations (lookup_hash);
CREATE INDEX associations_other_hash ON associations (other_hash);
CREATE INDEX associations_second_hash ON associations (second_hash);
CREATE INDEX associations_second_other_hash ON associations (second_other_hash);
DROP INDEX associations_second_other_start;
DROP INDEX associations_second_hash_start;
DROP INDEX associations_other_hash_start;
DROP INDEX associations_lookup_hash_start;
