//! Public keys (section 6).
