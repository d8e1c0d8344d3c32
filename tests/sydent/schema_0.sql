-- What the v1-only servers of 2018 had.
CREATE TABLE local_threepid_associations (
    id INTEGER PRIMARY KEY,
    medium VARCHAR(16) NOT NULL,
    address VARCHAR(256) NOT NULL,
    mxid VARCHAR(256) NOT NULL,
    ts INTEGER NOT NULL,
    notBefore BIGINT NOT NULL,
    notAfter BIGINT NOT NULL
);
CREATE TABLE global_threepid_associations (
    id INTEGER PRIMARY KEY,
    medium VARCHAR(16) NOT NULL,
    address VARCHAR(256) NOT NULL,
    mxid VARCHAR(256) NOT NULL,
    ts INTEGER NOT NULL,
    notBefore BIGINT NOT NULL,
    notAfter INTEGER NOT NULL,
    originServer VARCHAR(255) NOT NULL,
    originId INTEGER NOT NULL,
    sgAssoc TEXT NOT NULL
);
CREATE UNIQUE INDEX originServer_originId
    ON global_threepid_associations (originServer, originId);
