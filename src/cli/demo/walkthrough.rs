//! What a person does with the demonstration, as commands to copy.

use std::ffi::OsStr;
use std::path::Path;

use super::Ports;
use super::folder::config_file;

const TEXT: &str = include_str!("walkthrough.txt");

/// The text for these addresses; `key` is the id of the key that signs.
pub(super) fn walkthrough(dir: &Path, ports: Ports, key: &str) -> String {
    // As it was called, so that a program outside of PATH is found again.
    let sydent = std::env::args_os().next();
    let sydent = sydent.as_deref().map(OsStr::to_string_lossy);
    let sydent = sydent.as_deref().unwrap_or("sydent");
    TEXT.replace("{client}", &ports.client.to_string())
        .replace("{internal}", &ports.internal.to_string())
        .replace("{operations}", &ports.operations.to_string())
        .replace("{key}", key)
        .replace("{sydent}", &word(sydent))
        .replace("{config}", &word(&config_file(dir).to_string_lossy()))
        .replace("{dir}", &dir.to_string_lossy())
}

/// A text as one word of a shell command.
fn word(text: &str) -> String {
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
    fn nothing_is_left_to_fill_in() {
        let text = walkthrough(Path::new("my demo"), Ports::from(9000), "ed25519:a_1");
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
    fn words_of_a_shell() {
        for (text, quoted) in [
            ("target/debug/sydent", "target/debug/sydent"),
            ("my demo", "'my demo'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("", "''"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }
}
