//! Bind (section 12).
