DROP TABLE database_keys;
DELETE FROM send_limits;
