DROP INDEX association_removals_ts;
DROP INDEX associations_ts;
DROP INDEX association_journal_removed_at;
DROP INDEX validation_sessions_not_hashed;
