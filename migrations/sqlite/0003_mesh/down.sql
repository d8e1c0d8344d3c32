DROP TABLE replication_peers;
DROP TABLE association_journal;
