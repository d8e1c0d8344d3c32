-- Whether the last push of the peer came from a server that compares the statements of
-- all origins, as this one does. Null if it has pushed nothing yet.
ALTER TABLE replication_peers ADD COLUMN compares BOOLEAN;
