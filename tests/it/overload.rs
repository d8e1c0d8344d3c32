//! A full door answers 503 and recovers.
