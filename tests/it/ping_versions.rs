//! Ping and versions (section 3).
