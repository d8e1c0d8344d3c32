DROP TABLE counter_secret;
DELETE FROM send_limits;
