//! The shell commands that `sydent demo` and the README print, run as they are
//! printed. They need curl: `tests/run commands` installs it and runs them.

#[cfg(test)]
#[path = "../it/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness serves the other tests as well"
)]
mod harness;

#[cfg(test)]
mod printed;
