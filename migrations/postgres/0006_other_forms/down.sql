DROP INDEX associations_other_hash;
ALTER TABLE associations DROP COLUMN other_hash;
ALTER TABLE associations DROP COLUMN other_form;
