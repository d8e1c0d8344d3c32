//! What is taken over from a Python Sydent, with a running one as the judge.

mod filled;
mod old_schemas;
