//! Two dispatchers on one database.
