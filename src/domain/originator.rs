//! Senders of SMS.

use super::Invalid;
use super::msisdn::CanonicalMsisdn;

/// The kind of a sender. Providers and networks distinguish these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginatorKind {
    /// A phone number in international form.
    Long,
    /// A short code, which is valid in one country only.
    Short,
    /// An alphanumeric name.
    Alpha,
}

/// A sender of SMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Originator {
    kind: OriginatorKind,
    text: String,
}

impl Originator {
    /// Parses `long:447700900000`, `short:12345` or `alpha:Example`.
    ///
    /// # Errors
    /// The text has another format; the sentence describes the valid ones.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid(
            "must be long: and a number with its country code, short: and up to 8 digits, or \
             alpha: and a name of up to 11 letters, digits and spaces",
        );
        let (kind, text) = text.split_once(':').ok_or(WRONG)?;
        let (kind, text, is_valid) = match kind {
            "long" => {
                let text = text.trim_start_matches('+');
                let is_valid = CanonicalMsisdn::parse(text).is_ok();
                (OriginatorKind::Long, text, is_valid)
            }
            "short" => (OriginatorKind::Short, text, is_short_code(text)),
            "alpha" => (OriginatorKind::Alpha, text, is_alphanumeric_sender(text)),
            _ => return Err(WRONG),
        };
        let text = text.to_owned();
        is_valid.then_some(Self { kind, text }).ok_or(WRONG)
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> OriginatorKind {
        self.kind
    }

    /// The number without a plus sign, or the name.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn is_short_code(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_alphanumeric_sender(text: &str) -> bool {
    (1..=11).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" -_.&+".contains(&byte))
}

/// Picks the sender for a number. A number always gets the same one, so all codes
/// arrive in one conversation (MSI-14).
#[must_use]
pub fn pick<'a>(from: &'a [Originator], to: &CanonicalMsisdn) -> Option<&'a Originator> {
    let digits = to.as_str().chars().filter_map(|digit| digit.to_digit(10));
    let sum: usize = digits.filter_map(|digit| usize::try_from(digit).ok()).sum();
    from.get(sum.checked_rem(from.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_originators() {
        for (text, kind, shown) in [
            ("long:447700900000", OriginatorKind::Long, "447700900000"),
            ("long:+447700900000", OriginatorKind::Long, "447700900000"),
            ("short:12345", OriginatorKind::Short, "12345"),
            ("alpha:My Server", OriginatorKind::Alpha, "My Server"),
        ] {
            let from = Originator::parse(text).unwrap();
            assert_eq!((from.kind(), from.text()), (kind, shown));
        }
        for wrong in [
            "",
            "12345",
            "long:",
            "long:abc",
            "long:07700",
            "short:123456789",
            "alpha:",
            "alpha:Twelve chars",
            "alpha:a\r\nb",
            "name:x",
        ] {
            assert!(Originator::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// MSI-14
    #[test]
    fn number_always_has_the_same_originator() {
        let from: Vec<_> = ["alpha:a", "alpha:b", "alpha:c"]
            .map(|text| Originator::parse(text).unwrap())
            .into();
        // The sums of the digits are 36, 37 and 38.
        for (to, sender) in [
            ("447700900005", "a"),
            ("447700900006", "b"),
            ("447700900007", "c"),
        ] {
            let to = CanonicalMsisdn::parse(to).unwrap();
            assert_eq!(pick(&from, &to).unwrap().text(), sender);
            assert!(pick(&[], &to).is_none());
        }
    }
}
