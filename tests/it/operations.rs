//! Health, readiness and metrics.
