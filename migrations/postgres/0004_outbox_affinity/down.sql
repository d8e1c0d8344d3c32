UPDATE outbox SET answer_until = 0 WHERE acknowledged;
ALTER TABLE outbox DROP COLUMN acknowledged;
ALTER TABLE outbox ADD COLUMN home_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox RENAME COLUMN affinity_instance TO home;
