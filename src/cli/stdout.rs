//! Standard output.

use std::io::{self, Write};

use super::failure::Failure;

/// Writes text to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output. A closed pipe (`| head`) is not an error.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!(
            "Cannot write to standard output: {error}."
        ))),
        _ => Ok(()),
    }
}
