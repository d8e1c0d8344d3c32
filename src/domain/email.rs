//! E-mail addresses in their one canonical form (MSC2265, section 18 of the
//! conformance list).

use std::borrow::Cow;
use std::fmt;

use icu_casemap::CaseMapper;
use serde::Deserialize;

use super::Invalid;

/// An e-mail address, case-folded, its domain in Unicode; at most 254 bytes
/// (RFC 5321). It cannot be built unfolded, so a proof and the binding that
/// rests on it always concern the same mailbox.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct CanonicalEmail(String);

parse_from_string!(CanonicalEmail);

impl CanonicalEmail {
    /// Folds and checks a bare `user@domain`.
    ///
    /// Quoted local parts and address literals are refused: they are what
    /// attacks on address parsers are made of (CVE-2019-11340).
    ///
    /// # Errors
    /// A sentence when the text is not a bare address.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid("The email address is not valid");
        if text.len() > 500 {
            return Err(WRONG);
        }
        let folded = fold(text);
        let (local, domain) = folded.split_once('@').ok_or(WRONG)?;
        if !is_local_part(local) {
            return Err(WRONG);
        }
        let domain = canonical_domain(domain).ok_or(WRONG)?;
        let canonical = format!("{local}@{domain}");
        if canonical.len() > 254 {
            return Err(WRONG);
        }
        Ok(Self(canonical))
    }

    /// The canonical address: what is stored, hashed, signed and compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CanonicalEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CanonicalEmail(…)")
    }
}

/// Full Unicode case folding, which differs from lower-casing (`ß` is `ss`).
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    CaseMapper::new().fold_string(text)
}

fn is_local_part(local: &str) -> bool {
    let hidden = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..)
    };
    let good = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c)
        } else {
            !c.is_control() && !c.is_whitespace() && !hidden(c)
        }
    };
    (1..=64).contains(&local.len())
        && local.split('.').all(|atom| !atom.is_empty())
        && local.chars().all(good)
}

/// The domain in one form: folded Unicode where that stands for the same name
/// as its A-label form, else the A-labels (`xn--strae-oqa.de` is not
/// `strasse.de`).
fn canonical_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if ascii.rsplit('.').next().is_none_or(numeric) {
        return None;
    }
    let (unicode, readable) = idna::domain_to_unicode(&ascii);
    let folded = fold(&unicode);
    let same =
        readable.is_ok() && idna::domain_to_ascii_strict(&folded).is_ok_and(|back| back == ascii);
    Some(if same { folded.into_owned() } else { ascii })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        CanonicalEmail::parse(text).ok().map(|email| email.0)
    }

    #[test]
    fn idn_02_folding_vectors() {
        for (input, expected) in [
            ("ALICE@EXAMPLE.COM", "alice@example.com"),
            ("Strauß@Example.com", "strauss@example.com"),
            ("ẞ@x.yy", "ss@x.yy"),
            ("ſ@x.yy", "s@x.yy"),
            ("ﬁsh@example.com", "fish@example.com"),
            ("ΑΣ@example.com", "\u{3b1}\u{3c3}@example.com"),
            ("\u{212a}im@Example.com", "kim@example.com"),
            ("İ@example.com", "i\u{307}@example.com"),
        ] {
            assert_eq!(canonical(input).as_deref(), Some(expected), "{input}");
        }
    }

    #[test]
    fn idn_03_a_domain_has_one_form() {
        assert_eq!(
            canonical("a@BÜCHER.example").as_deref(),
            Some("a@bücher.example")
        );
        assert_eq!(
            canonical("a@xn--bcher-kva.example").as_deref(),
            Some("a@bücher.example")
        );
        assert_eq!(
            canonical("a@xn--strae-oqa.de").as_deref(),
            Some("a@xn--strae-oqa.de")
        );
        assert_eq!(canonical("a@straße.de").as_deref(), Some("a@strasse.de"));
    }

    #[test]
    fn eml_04_05_what_is_no_bare_address() {
        for bad in [
            "",
            "foo",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a@evil.test@victim.test",
            "\"a@b\"@c",
            "\"a\"@c",
            "a@b,c@d",
            "a@b c@d",
            "<a@b>",
            "Alice <a@b>",
            "mailto:a@b",
            "a@b\0",
            "a@b\t",
            "a\u{3000}b@c",
            "a@b.",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a..b@c",
            ".a@c",
            "a.@c",
            "a@b\r\nBcc: x@y",
            "a(b)@c",
            "a@b_c.com",
            "a\u{200b}b@c.com",
            "a\u{202e}b@c.com",
            "a@-b.com",
        ] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn eml_06_length() {
        let domain = format!("{}.example.com", vec!["a".repeat(60); 3].join("."));
        assert!(canonical(&format!("{}@{domain}", "x".repeat(58))).is_some());
        assert!(canonical(&format!("{}@{domain}", "x".repeat(64))).is_none());
        assert!(canonical(&format!("{}@example.com", "x".repeat(65))).is_none());
        assert!(canonical(&"x".repeat(1 << 20)).is_none());
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(local in "\\PC{1,20}", domain in "\\PC{1,20}") {
            if let Some(once) = canonical(&format!("{local}@{domain}")) {
                prop_assert_eq!(canonical(&once), Some(once.clone()));
                prop_assert!(!once.contains(|c: char| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(once.matches('@').count(), 1);
            }
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = canonical(&text);
        }
    }
}
