//! E-mail validation (section 9).
