DROP INDEX ephemeral_keys_created_at;
DROP INDEX invites_created_at;
DROP INDEX invites_sender;
DROP INDEX associations_mxid;
-- The older version knows one pepper and one hash.
UPDATE associations SET lookup_hash = COALESCE(second_hash, lookup_hash),
    other_hash = second_other_hash
    WHERE (SELECT slot FROM lookup_peppers WHERE is_ready ORDER BY id DESC LIMIT 1) = 1;
DELETE FROM lookup_peppers
    WHERE id <> (SELECT MAX(p.id) FROM lookup_peppers AS p WHERE p.is_ready);
DROP INDEX associations_second_other_hash;
DROP INDEX associations_second_hash;
ALTER TABLE associations DROP COLUMN second_other_hash;
ALTER TABLE associations DROP COLUMN second_hash;
ALTER TABLE lookup_peppers DROP COLUMN answered_until;
ALTER TABLE lookup_peppers DROP COLUMN hashed_to;
ALTER TABLE lookup_peppers DROP COLUMN is_ready;
ALTER TABLE lookup_peppers DROP COLUMN slot;
DROP TABLE imports;
DROP TABLE person_audit;
DROP TABLE erasures;
