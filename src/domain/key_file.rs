//! Changes of a key file, of which the first key signs (see
//! [`KeyRing`](super::signing::KeyRing)). Comments and the order of the other lines stay.

use zeroize::Zeroizing;

use super::ids::KeyId;
use super::signing::KeyPair;

/// Puts a line above the first key, so that its key signs.
#[must_use]
pub fn with_active(text: &str, line: &str) -> Zeroizing<String> {
    let first = text.lines().position(is_key).unwrap_or_default();
    insert(text.lines(), first, line)
}

/// Puts a line below the first key, so that its key is valid and does not sign.
#[must_use]
pub fn with_valid(text: &str, line: &str) -> Zeroizing<String> {
    let first = text.lines().position(is_key);
    insert(text.lines(), first.map_or(0, |first| first + 1), line)
}

/// Moves the line of a key above the first key, so that it signs. Nothing changes if it is
/// the first already; `None` if there is no such key.
#[must_use]
pub fn activated(text: &str, id: &KeyId) -> Option<Zeroizing<String>> {
    let is_it = |line: &&str| {
        is_key(line) && KeyPair::parse_line(line.trim()).is_ok_and(|key| key.id() == id)
    };
    let line = text.lines().find(is_it)?;
    let first = text.lines().position(is_key)?;
    if text.lines().nth(first) == Some(line) {
        return Some(Zeroizing::new(text.to_owned()));
    }
    let others = text.lines().filter(|other| !is_it(other));
    Some(insert(others, first, line))
}

fn is_key(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn insert<'a>(
    lines: impl Iterator<Item = &'a str>,
    position: usize,
    line: &'a str,
) -> Zeroizing<String> {
    let mut lines: Vec<&str> = lines.collect();
    lines.insert(position.min(lines.len()), line.trim_end());
    let mut text = Zeroizing::new(String::with_capacity(
        lines.iter().map(|line| line.len() + 1).sum(),
    ));
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signing::KeyRing;

    const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

    fn ids(text: &str) -> Vec<String> {
        let keys = KeyRing::parse(text).unwrap().public_keys();
        keys.into_iter().map(|(id, _)| id.to_string()).collect()
    }

    fn line(version: &str) -> String {
        format!("ed25519 {version} {SEED}\n")
    }

    fn id(text: &str) -> KeyId {
        KeyId::parse(text).unwrap()
    }

    /// CRY-12
    #[test]
    fn new_key_signs_or_is_valid_only() {
        let text = format!(
            "# Ours.\n\n{}# Retired.\n{}",
            line("b"),
            line("a").trim_end()
        );
        let active = with_active(&text, &line("c"));
        assert_eq!(ids(&active), ["ed25519:c", "ed25519:b", "ed25519:a"]);
        assert!(active.starts_with("# Ours.\n\ned25519 c "));
        assert!(active.contains("\n# Retired.\n") && active.ends_with('\n'));
        let valid = with_valid(&text, &line("c"));
        assert_eq!(ids(&valid), ["ed25519:b", "ed25519:c", "ed25519:a"]);
        assert_eq!(ids(&with_valid(line("a").trim_end(), &line("b"))).len(), 2);
    }

    /// CRY-12
    #[test]
    fn key_is_moved_to_the_top() {
        let text = format!("# Ours.\n{}{}{}", line("a"), line("b"), line("c"));
        let moved = activated(&text, &id("ed25519:c")).unwrap();
        assert_eq!(ids(&moved), ["ed25519:c", "ed25519:a", "ed25519:b"]);
        for text in [text.as_str(), text.trim_end()] {
            let same = activated(text, &id("ed25519:a")).unwrap();
            assert_eq!(*same, text);
        }
        assert!(activated(&text, &id("ed25519:d")).is_none());
    }
}
