ALTER TABLE replication_peers DROP COLUMN compares;
