DROP TABLE pending_rewrites;
