//! What is taken over from a Python Sydent, with a running one as the judge.
//! `TEST_SYDENT_PYTHON` names a Python that has it; tests/run installs one.

mod compared;
mod filled;
mod old_schemas;
mod switched;
mod taken_over;
