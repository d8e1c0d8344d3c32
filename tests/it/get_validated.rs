//! getValidated3pid (section 11).
