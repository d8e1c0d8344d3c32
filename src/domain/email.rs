//! Email addresses in canonical form (MSC2265, section 18 of the conformance
//! list).

use std::borrow::Cow;
use std::fmt;

use icu_casemap::CaseMapper;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use serde::Deserialize;

use super::Invalid;

/// The longest address that fits into a path of RFC 5321 (section 4.5.3.1.3),
/// in octets: 256 less the angle brackets.
pub const MAX_OCTETS: usize = 254;

/// A case-folded email address with its domain in Unicode, at most 254 bytes
/// (RFC 5321). The constructor always folds, so a validation session and the
/// association that it proves concern the same mailbox.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct CanonicalEmail(String);

parse_from_string!(CanonicalEmail);

impl CanonicalEmail {
    /// Parses and folds a bare `user@domain`.
    ///
    /// Dots may stand anywhere in the local part, and an underscore in the domain:
    /// such mailboxes exist, although RFC 5321 does not know them without quotation
    /// marks. Quoted local parts and address literals are rejected: attacks on address
    /// parsers use them (CVE-2019-11340).
    ///
    /// # Errors
    /// The text is not a bare address.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::canonicalize(text).ok_or(Invalid("The email address is not valid"))
    }

    fn canonicalize(text: &str) -> Option<Self> {
        if text.len() > 500 {
            return None;
        }
        let folded = fold(text);
        let (local, domain) = folded.split_once('@')?;
        if !is_local_part(local) || local.contains(is_invisible) {
            return None;
        }
        let canonical = format!("{local}@{}", canonical_domain(domain)?);
        (canonical.len() <= MAX_OCTETS).then_some(Self(canonical))
    }

    /// The canonical address, which is stored, hashed, signed and compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mailbox that gets the mail, as far as that is known, so that a mailbox is
    /// counted once however it is written. Never stored or compared otherwise.
    ///
    /// A tag after `+` belongs to the same mailbox ([RFC 5233]), and Gmail ignores dots
    /// and has two domains. Other servers tell dots apart, and `-` is part of many names.
    ///
    /// [RFC 5233]: https://www.rfc-editor.org/rfc/rfc5233
    #[must_use]
    pub fn mailbox(&self) -> Cow<'_, str> {
        let Some((local, domain)) = self.0.split_once('@') else {
            return Cow::Borrowed(&self.0);
        };
        let user = match local.split_once('+') {
            Some((user, _tag)) if !user.is_empty() => user,
            _ => local,
        };
        if matches!(domain, "gmail.com" | "googlemail.com") {
            let user = user.replace('.', "");
            return Cow::Owned(format!("{user}@gmail.com"));
        }
        if user == local {
            return Cow::Borrowed(&self.0);
        }
        Cow::Owned(format!("{user}@{domain}"))
    }

    /// The address with its domain in A-labels, if that is another form. People type
    /// and hash either.
    #[must_use]
    pub fn ascii_form(&self) -> Option<String> {
        let (local, domain) = self.0.split_once('@')?;
        let ascii = domain_to_ascii(domain)?;
        (ascii != domain).then(|| format!("{local}@{ascii}"))
    }
}

impl fmt::Debug for CanonicalEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CanonicalEmail(…)")
    }
}

/// Full Unicode case folding. Unlike lower-casing it maps `ß` to `ss`.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    // The same for ASCII, in a tenth of the time; most addresses are.
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    CaseMapper::new().fold_string(text)
}

/// Whether a local part is a `Dot-string`, or would be one if its dots stood
/// elsewhere: `abc..def`, `abc.` and `.abc` are mailboxes of mobile operators.
#[must_use]
pub fn is_local_part(local: &str) -> bool {
    local.len() <= MAX_LOCAL_PART
        && local.contains(|c| c != '.')
        && local.chars().all(|c| c == '.' || is_atext(c))
}

/// The longest local part in octets (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// Whether a local part is a `Dot-string` of RFC 5321 with the non-ASCII
/// characters of RFC 6531, at most 64 octets (RFC 5321, section 4.5.3.1.1).
#[must_use]
pub fn is_dot_string(local: &str) -> bool {
    local.len() <= MAX_LOCAL_PART
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
    } else {
        !c.is_control() && !c.is_whitespace()
    }
}

/// Characters that are not displayed, or change how others are: with them, two
/// addresses could look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..)
}

/// The domain in folded Unicode, if that is the same name as its A-label form,
/// else in A-labels: `xn--strae-oqa.de` is not `strasse.de`.
fn canonical_domain(domain: &str) -> Option<String> {
    let ascii = domain_to_ascii(domain)?;
    let is_numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if ascii.rsplit('.').next().is_none_or(is_numeric) {
        return None;
    }
    if !ascii.contains("xn--") {
        // There is no other form of it.
        return Some(ascii);
    }
    let (unicode, decoded) = idna::domain_to_unicode(&ascii);
    let folded = fold(&unicode);
    let is_same = decoded.is_ok() && domain_to_ascii(&folded).is_some_and(|back| back == ascii);
    Some(if is_same { folded.into_owned() } else { ascii })
}

/// The name of a mail domain in A-labels. Hyphens may stand at the third and fourth
/// place of a label, as `Ldh-str` of RFC 5321 allows.
#[must_use]
pub fn domain_to_ascii(domain: &str) -> Option<String> {
    /// All but letters, digits, hyphens, dots, and the underscore that some names
    /// of mail servers have.
    const DENIED: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        DENIED,
        Hyphens::CheckFirstLast,
        DnsLength::Verify,
    );
    ascii.ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        CanonicalEmail::parse(text).ok().map(|email| email.0)
    }

    /// IDN-02
    #[test]
    fn folding_matches_the_vectors() {
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

    /// EML-28
    #[test]
    fn mailbox_has_no_tag() {
        for (address, mailbox) in [
            ("victim@example.com", "victim@example.com"),
            ("Victim+tag@EXAMPLE.com", "victim@example.com"),
            ("victim+a+b@example.com", "victim@example.com"),
            ("victim+@example.com", "victim@example.com"),
            ("+tag@example.com", "+tag@example.com"),
            ("v.ic.tim-a@example.com", "v.ic.tim-a@example.com"),
            ("V.ic.tim+tag@googlemail.com", "victim@gmail.com"),
            ("victim@GMAIL.com", "victim@gmail.com"),
        ] {
            let address = CanonicalEmail::parse(address).unwrap();
            assert_eq!(address.mailbox(), mailbox);
        }
    }

    /// IDN-03
    #[test]
    fn domain_has_one_canonical_form() {
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

    /// EML-04, EML-05
    #[test]
    fn only_bare_addresses_are_accepted() {
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
            ".@c",
            "..@c",
            "a@b\r\nBcc: x@y",
            "a(b)@c",
            "a\u{200b}b@c.com",
            "a\u{202e}b@c.com",
            "a@-b.com",
        ] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
    }

    /// EML-04
    #[test]
    fn mailboxes_outside_of_the_grammar_are_taken() {
        for (text, expected) in [
            ("abc..def@docomo.ne.jp", "abc..def@docomo.ne.jp"),
            ("Abc.@ezweb.ne.jp", "abc.@ezweb.ne.jp"),
            (".abc@docomo.ne.jp", ".abc@docomo.ne.jp"),
            ("..a...b..@docomo.ne.jp", "..a...b..@docomo.ne.jp"),
            ("john@ABC_d.com", "john@abc_d.com"),
            ("john@_abc.com", "john@_abc.com"),
            ("a@ex--ample.com", "a@ex--ample.com"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected));
        }
    }

    /// IDN-03
    #[test]
    fn other_form_has_the_domain_in_a_labels() {
        let form = |text| CanonicalEmail::parse(text).unwrap().ascii_form();
        let expected = Some("a@xn--bcher-kva.example".to_owned());
        assert_eq!(form("A@Bücher.example"), expected);
        assert_eq!(form("a@xn--bcher-kva.example"), expected);
        assert_eq!(form("a@example.com"), None);
        assert_eq!(form("a@xn--strae-oqa.de"), None);
        assert_eq!(form("é@example.com"), None);
    }

    /// EML-06
    #[test]
    fn address_length_is_limited() {
        let domain = format!("{}.example.com", vec!["a".repeat(60); 3].join("."));
        assert!(canonical(&format!("{}@{domain}", "x".repeat(58))).is_some());
        assert!(canonical(&format!("{}@{domain}", "x".repeat(64))).is_none());
        assert!(canonical(&format!("{}@example.com", "x".repeat(65))).is_none());
        assert!(canonical(&"x".repeat(1 << 20)).is_none());
    }

    /// EML-03
    #[test]
    fn hyphens_in_the_third_place_are_no_encoding() {
        for (text, read) in [
            ("a@ex--ample.com", Some("a@ex--ample.com")),
            ("a@AB--CD.example.com", Some("a@ab--cd.example.com")),
            ("a@r3---sn.example.com", Some("a@r3---sn.example.com")),
            ("a@a--b.bücher.example", Some("a@a--b.bücher.example")),
            ("a@bü--cher.example", Some("a@bü--cher.example")),
            (
                "a@xn--bcher-kva.ex--ample.com",
                Some("a@bücher.ex--ample.com"),
            ),
            ("a@xn--.com", None),
            ("a@xn--a.com", None),
            ("a@xn--999999999.com", None),
            ("a@-ab.com", None),
            ("a@ab-.com", None),
            ("a@ab--.com", None),
        ] {
            assert_eq!(canonical(text).as_deref(), read, "{text}");
        }
    }

    proptest! {
        /// IDN-02
        #[test]
        fn ascii_is_folded_as_all_text_is(text in "[ -~]{0,40}") {
            prop_assert_eq!(fold(&text), CaseMapper::new().fold_string(&text));
        }

        #[test]
        fn canonical_form_is_idempotent(local in "\\PC{1,20}", domain in "\\PC{1,20}") {
            if let Some(once) = canonical(&format!("{local}@{domain}")) {
                prop_assert_eq!(canonical(&once), Some(once.clone()));
                prop_assert!(!once.contains(|c: char| c.is_control() || c.is_whitespace()));
                prop_assert_eq!(once.matches('@').count(), 1);
            }
        }

        #[test]
        fn canonical_never_panics(text: String) {
            let _ = canonical(&text);
        }
    }
}
