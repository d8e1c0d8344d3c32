DROP TABLE send_limits;
DROP TABLE outbox;
DROP TABLE ephemeral_keys;
DROP TABLE lookup_peppers;
DROP TABLE associations;
DROP TABLE validation_sessions;
