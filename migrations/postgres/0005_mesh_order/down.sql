ALTER TABLE replication_peers DROP COLUMN skipped_number;
ALTER TABLE replication_peers DROP COLUMN skipped;
ALTER TABLE association_journal DROP COLUMN restates;
DROP TABLE association_removals;
DROP INDEX associations_origin_number;
ALTER TABLE associations DROP COLUMN number;
