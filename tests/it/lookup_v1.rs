//! The look-ups of v1 (section 13).
