//! Standard output, and text for a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::failure::Failure;
use crate::domain::shown_text::is_invisible;

/// A text that strangers chose, such as a user ID, as a part of a line: characters that a
/// terminal obeys, and those that hide or reorder others, are escaped as in JSON.
pub(super) fn shown(text: &str) -> String {
    escape(text, is_invisible)
}

/// The same for several lines of output. JSON stays the same JSON.
pub(super) fn shown_lines(text: &str) -> String {
    escape(text, |c| is_invisible(c) && !matches!(c, '\n' | '\t'))
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Writes text to standard output, as [`shown_lines`] has it.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(shown_lines(text).as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_controls_are_escaped() {
        let user = "@a\u{1b}[2J\u{7}\n\u{9b}\u{202e}\u{200b}\u{e0041}é:b.example";
        let escaped = "@a\\u001b[2J\\u0007\\u000a\\u009b\\u202e\\u200b\\udb40\\udc41é:b.example";
        assert_eq!(shown(user), escaped);
        let json = serde_json::to_string_pretty(&[user]).unwrap();
        let lines = shown_lines(&json);
        assert!(!lines.contains(['\u{9b}', '\u{202e}']) && lines.contains('\n'));
        assert_eq!(serde_json::from_str::<[String; 1]>(&lines).unwrap(), [user]);
    }
}
