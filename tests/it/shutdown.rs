//! SIGTERM drains, a second signal exits.
