//! Rules of validation sessions (section 8).
