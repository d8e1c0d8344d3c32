//! The internal listener (section 17).
