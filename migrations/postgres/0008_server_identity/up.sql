-- The name of the server whose bindings these are: one row. The first server that
-- starts on the database stores its own name.
CREATE TABLE server_identity (
    name TEXT NOT NULL PRIMARY KEY
);
