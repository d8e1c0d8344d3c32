-- Another form of the address that people type and hash, such as an email address
-- with its domain in A-labels, and its hash by the current pepper. Null if there is
-- none.
ALTER TABLE associations ADD COLUMN other_form TEXT;
ALTER TABLE associations ADD COLUMN other_hash TEXT;
CREATE INDEX associations_other_hash ON associations (other_hash);
