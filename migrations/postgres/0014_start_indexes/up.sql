-- What each start looks for, and seldom finds: sessions and removals of an earlier version,
-- and statements from the future.
CREATE INDEX validation_sessions_not_hashed ON validation_sessions (created_at) WHERE NOT hashed;
CREATE INDEX association_journal_removed_at ON association_journal (removed_at)
    WHERE removed_at IS NOT NULL;
CREATE INDEX associations_ts ON associations (ts);
CREATE INDEX association_removals_ts ON association_removals (ts);
