//! Redacted addresses, which rooms show for pending invites (section 15.1 of the
//! conformance list).

use super::email::CanonicalEmail;

/// The maximum number of characters shown of each part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redaction {
    /// Characters before the `@`.
    pub local_part: usize,
    /// Characters after the `@`.
    pub domain: usize,
}

impl Redaction {
    /// The display name of an invite: the address with at least one character of
    /// each part omitted.
    #[must_use]
    pub fn display_name(self, address: &CanonicalEmail) -> String {
        self.redact(address.as_str())
    }

    fn redact(self, address: &str) -> String {
        let (local_part, domain) = address.split_once('@').unwrap_or((address, ""));
        format!(
            "{}@{}",
            truncate(local_part, self.local_part),
            truncate(domain, self.domain)
        )
    }
}

/// Truncates a text, even one within the limit. Characters are code points, so
/// none is split.
fn truncate(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    let shown = if length > limit {
        limit
    } else if length > 5 {
        3
    } else {
        usize::from(length > 1)
    };
    let mut truncated: String = text.chars().take(shown).collect();
    truncated.push_str("...");
    truncated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redact(address: &str, local_part: usize, domain: usize) -> String {
        Redaction { local_part, domain }.redact(address)
    }

    /// INV-15
    #[test]
    fn display_names_match_the_vectors() {
        for (address, limits, expected) in [
            ("foo@example.com", (3, 3), "f...@exa..."),
            ("ian@fake.test", (3, 3), "i...@fak..."),
            ("alice@example.com", (3, 3), "ali...@exa..."),
            ("a@b.io", (3, 3), "...@b.i..."),
            ("alice@b", (3, 3), "ali...@..."),
            ("ab@cd", (3, 3), "a...@c..."),
            ("1234567890@1234567890.com", (6, 8), "123456...@12345678..."),
            ("1@1.com", (6, 8), "...@1..."),
            ("abcdef@x.io", (6, 8), "abc...@x..."),
            ("foo@bar.com", (0, 0), "...@..."),
            ("ünïcödé@bücher.example", (3, 3), "ünï...@büc..."),
        ] {
            assert_eq!(redact(address, limits.0, limits.1), expected, "{address}");
        }
    }

    proptest! {
        /// INV-15
        #[test]
        fn neither_side_is_shown_completely(
            local in "\\PC{1,20}", domain in "\\PC{1,20}", limits in (0..30_usize, 0..30_usize),
        ) {
            let (local, domain) = (local.replace('@', "a"), domain.replace('@', "a"));
            let name = redact(&format!("{local}@{domain}"), limits.0, limits.1);
            let (left, right) = name.split_once('@').unwrap();
            prop_assert!(left.trim_end_matches("...").len() < local.len());
            prop_assert!(right.trim_end_matches("...").len() < domain.len() || domain.ends_with('.'));
        }
    }
}
