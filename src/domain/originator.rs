//! Whom a text is from.

use super::Invalid;
use super::msisdn::CanonicalMsisdn;

/// The kind of a sender, as providers and networks tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginatorKind {
    /// A phone number in international form.
    Long,
    /// A number that is valid in one country only.
    Short,
    /// A name.
    Alpha,
}

/// A sender of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Originator {
    kind: OriginatorKind,
    text: String,
}

impl Originator {
    /// Reads `long:447700900000`, `short:12345` or `alpha:Example`.
    ///
    /// # Errors
    /// A sentence that says how a sender is written.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid(
            "must be long: and a number with its country code, short: and up to 8 digits, or \
             alpha: and a name of up to 11 letters, digits and spaces",
        );
        let (kind, text) = text.split_once(':').ok_or(WRONG)?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_.&+".contains(&byte);
        let (kind, text, fine) = match kind {
            "long" => {
                let text = text.trim_start_matches('+');
                let fine = CanonicalMsisdn::parse(text).is_ok();
                (OriginatorKind::Long, text, fine)
            }
            "short" => {
                let fine = digits && (1..=8).contains(&text.len());
                (OriginatorKind::Short, text, fine)
            }
            "alpha" => {
                let fine = (1..=11).contains(&text.len()) && text.bytes().all(plain);
                (OriginatorKind::Alpha, text, fine)
            }
            _ => return Err(WRONG),
        };
        let text = text.to_owned();
        fine.then_some(Self { kind, text }).ok_or(WRONG)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> OriginatorKind {
        self.kind
    }

    /// The number, without a plus sign, or the name.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The sender of texts to a number: always the same one, so that all codes
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
    fn senders() {
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

    #[test]
    fn msi_14_a_number_always_has_the_same_sender() {
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
