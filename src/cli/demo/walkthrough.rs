//! The commands that `sydent demo` prints, for copying into a shell.

use std::ffi::OsStr;
use std::path::Path;

use super::folder::config_file;
use super::ports::Ports;

const TEXT: &str = include_str!("walkthrough.txt");

/// The text for these addresses; `key` is the ID of the active signing key.
pub(super) fn walkthrough(dir: &Path, ports: Ports, key: &str) -> String {
    // The program may not be in PATH, so the commands use the path that it was started
    // with.
    let program = std::env::args_os().next();
    let program = program.as_deref().map(OsStr::to_string_lossy);
    let program = program.as_deref().unwrap_or("sydent");
    TEXT.replace("{client}", &ports.client.to_string())
        .replace("{internal}", &ports.internal.to_string())
        .replace("{operations}", &ports.operations.to_string())
        .replace("{key}", key)
        .replace("{sydent}", &shell_word(program))
        .replace("{config}", &shell_word(&config_file(dir).to_string_lossy()))
        .replace("{dir}", &dir.to_string_lossy())
}

/// Quotes a text as one word of a shell command.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walkthrough_has_no_open_placeholders() {
        let text = walkthrough(
            Path::new("my demo"),
            Ports::starting_at(9000),
            "ed25519:a_1",
        );
        assert!(!text.contains(['{', '}']), "{text}");
        for part in [
            "ID=http://127.0.0.1:9000/_matrix/identity\n",
            "http://127.0.0.1:9001/mail\n",
            "http://127.0.0.1:9002/health",
            "/v2/pubkey/ed25519:a_1;",
            "--config 'my demo/sydent.toml'\n",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn shell_words_are_quoted() {
        for (text, quoted) in [
            ("target/debug/sydent", "target/debug/sydent"),
            ("my demo", "'my demo'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), quoted);
        }
    }
}
