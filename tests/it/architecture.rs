//! The invariants that lib.rs states, read from the source.
