//! No secret and no address in the log, at any level.
