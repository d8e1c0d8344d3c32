//! Phone numbers as users write them.

use std::fmt;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber as Parsed, PhoneNumberFormat, Region,
};

use super::Invalid;
use super::msisdn::CanonicalMsisdn;

/// The longest input that is parsed, in bytes.
const MAX_INPUT: usize = 250;

/// The parameter of a `tel:` URI that completes a local number.
const PHONE_CONTEXT: &str = ";phone-context=";

const UNKNOWN_COUNTRY: Invalid =
    Invalid("the country must be a code of two capital letters, such as GB");
const INVALID_NUMBER: Invalid =
    Invalid("write the number as it is dialled in that country, or with + and the country code");

/// A valid phone number. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber {
    msisdn: CanonicalMsisdn,
    calling_code: u16,
    intl_fmt: String,
}

impl PhoneNumber {
    /// Parses a number as dialled from `country` (ISO 3166-1, two capital
    /// letters). With a plus sign before its first digit the number is
    /// international, and `country` does not matter: it may be empty, or one
    /// without rules for numbers (MSI-04, MSI-05). An extension is removed (MSI-09).
    ///
    /// The number must have a valid length for its country. It may be
    /// unassigned, as the examples of the specification are (MSI-07, MSI-08).
    ///
    /// # Errors
    /// The number is not possible, or has no plus sign and the country is unknown.
    pub fn parse(country: &str, number: &str) -> Result<Self, Invalid> {
        if number.len() > MAX_INPUT {
            return Err(INVALID_NUMBER);
        }
        let number: String = number.chars().filter(|c| !is_direction_mark(*c)).collect();
        // The parser panics at a context before `tel:`. No user types one, since
        // the country is a separate parameter.
        if number.contains(PHONE_CONTEXT) {
            return Err(INVALID_NUMBER);
        }
        let region = region(country);
        if region.is_none() && !is_international(&number) {
            return Err(if country.is_empty() {
                INVALID_NUMBER
            } else {
                UNKNOWN_COUNTRY
            });
        }
        let phone = Self::from_parsed(&parse_number(&number, region)?)?;
        // The stored form must parse to the same number.
        let stored = parse_number(&format!("+{}", phone.msisdn.as_str()), None)?;
        if Self::from_parsed(&stored)? == phone {
            Ok(phone)
        } else {
            Err(INVALID_NUMBER)
        }
    }

    /// Parses a number in canonical form.
    ///
    /// # Errors
    /// The number is not possible.
    pub fn from_msisdn(msisdn: &CanonicalMsisdn) -> Result<Self, Invalid> {
        Self::parse("", &format!("+{}", msisdn.as_str()))
    }

    fn from_parsed(parsed: &Parsed) -> Result<Self, Invalid> {
        let util = &PHONE_NUMBER_UTIL;
        let length = util.is_possible_number_with_reason(parsed);
        if length != Ok(NumberLengthType::IsPossible) {
            return Err(INVALID_NUMBER);
        }
        let e164 = util.format(parsed, PhoneNumberFormat::E164);
        let intl_fmt = util.format(parsed, PhoneNumberFormat::International);
        Ok(Self {
            msisdn: CanonicalMsisdn::parse(e164.trim_start_matches('+'))?,
            calling_code: u16::try_from(parsed.country_code).map_err(|_negative| INVALID_NUMBER)?,
            intl_fmt: intl_fmt.into_owned(),
        })
    }

    /// The canonical form.
    #[must_use]
    pub fn msisdn(&self) -> &CanonicalMsisdn {
        &self.msisdn
    }

    /// The country calling code, such as 44.
    #[must_use]
    pub fn calling_code(&self) -> u16 {
        self.calling_code
    }

    /// The international format: `+44 7700 900001`.
    #[must_use]
    pub fn intl_fmt(&self) -> &str {
        &self.intl_fmt
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(…)")
    }
}

/// Whether the country calling code is assigned.
#[must_use]
pub fn is_calling_code(code: u16) -> bool {
    PHONE_NUMBER_UTIL
        .get_supported_calling_codes()
        .any(|known| known == i32::from(code))
}

fn parse_number(number: &str, region: Option<Region>) -> Result<Parsed, Invalid> {
    let mut parsed = PHONE_NUMBER_UTIL
        .parse(number, region)
        .map_err(|_not_a_number| INVALID_NUMBER)?;
    parsed.extension = None;
    Ok(parsed)
}

fn region(country: &str) -> Option<Region> {
    let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let region: Region = is_code.then(|| country.parse().ok()).flatten()?;
    PHONE_NUMBER_UTIL
        .get_country_code_for_region(region)
        .map(|_code| region)
}

/// Whether a plus sign, also a full-width one, stands before the first digit; what
/// precedes it is no part of the number.
fn is_international(number: &str) -> bool {
    const PLUS: [char; 2] = ['+', '\u{ff0b}'];
    let starts = |c: char| PLUS.contains(&c) || c.is_numeric();
    number
        .chars()
        .find(|c| starts(*c))
        .is_some_and(|first| PLUS.contains(&first))
}

/// Programs wrap numbers in these, so that they are not reordered in a text of a
/// script from right to left.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Section 18.2 of the conformance list.
    const VECTORS: [(&str, &str, &str); 16] = [
        ("GB", "07700900001", "447700900001"),
        ("GB", "447700900750", "447700900750"),
        ("US", "+447700900001", "447700900001"),
        ("GB", "00447700900001", "447700900001"),
        ("US", "011 44 7700 900001", "447700900001"),
        ("US", "(800) 555-2067", "18005552067"),
        ("GB", "+1 234 567 8910", "12345678910"),
        ("FR", "06 12 34 56 78", "33612345678"),
        ("IT", "02 1234 5678", "390212345678"),
        ("RU", "8 912 345-67-89", "79123456789"),
        ("AR", "011 15 1234-5678", "5491112345678"),
        ("GB", "+44 07700 900001", "447700900001"),
        ("GB", "０７７００９００００１", "447700900001"),
        ("US", "1-800-FLOWERS", "18003569377"),
        ("", "+447700900001", "447700900001"),
        ("", "＋447700900001", "447700900001"),
    ];

    fn msisdn(country: &str, number: &str) -> Option<String> {
        let phone = PhoneNumber::parse(country, number).ok()?;
        Some(phone.msisdn().as_str().to_owned())
    }

    /// MSI-04, MSI-05, MSI-08
    #[test]
    fn numbers_match_the_vectors() {
        for (country, number, canonical) in VECTORS {
            assert_eq!(
                msisdn(country, number).as_deref(),
                Some(canonical),
                "{country} {number}"
            );
        }
    }

    /// MSI-06, MSI-07
    #[test]
    fn invalid_number_or_country_is_rejected() {
        let long = "1".repeat(251);
        for (country, number) in [
            ("GB", "12"),
            ("GB", "abc"),
            ("GB", "+"),
            ("GB", ""),
            ("GB", "+999123456"),
            ("GB", "\0"),
            ("GB", long.as_str()),
            ("ZZ", "07700900001"),
            ("gb", "07700900001"),
            ("001", "80012345678"),
            ("G", "07700900001"),
            ("ＧＢ", "07700900001"),
            ("", "07700900001"),
            // A local number without its area code.
            ("US", "555-2067"),
        ] {
            assert_eq!(msisdn(country, number), None, "{country} {number}");
        }
    }

    /// MSI-05
    #[test]
    fn plus_decides_wherever_it_stands() {
        for country in [
            "", "GB", "US", "AQ", "XK", "ZZ", "UK", "gb", "+44", "44", "001",
        ] {
            for number in [
                "+447700900001",
                "(+44) 7700 900001",
                "(+44)(0)7700 900001",
                "tel:+447700900001",
                "tel:+44-7700-900001;ext=5",
                "TEL: +44 7700 900001",
                "mobile: +44 7700 900001",
                "\u{202d}+44 7700 900001\u{202c}",
                "\u{2066}+447700900001\u{2069}",
                "\u{200e}+44 77\u{200e}00 900001",
                "\u{200f}＋44 7700 900001",
                "\u{feff}+44\u{a0}7700\u{a0}900001",
                " + 44 7700 900001",
                "+44.7700.900001",
                "+44–7700–900001",
                "+44/7700/900001",
                "+٤٤ ٧٧٠٠ ٩٠٠٠٠١",
                "\"+447700900001\"",
                "<+447700900001>",
                "+44 7700 900001.",
            ] {
                let read = msisdn(country, number);
                assert_eq!(
                    read.as_deref(),
                    Some("447700900001"),
                    "{country:?} {number:?}"
                );
            }
        }
        for (country, number) in [
            ("", "7700900001"),
            ("", "447700900001+"),
            ("AQ", "7700 900001"),
        ] {
            assert_eq!(msisdn(country, number), None, "{country:?} {number:?}");
        }
    }

    #[test]
    fn number_with_a_context_is_rejected() {
        for number in [
            ";phone-context=ext;ext=tel:",
            "tel:07700900001;phone-context=+44",
            ";phone\u{200e}-context=+1;tel:5",
            "7700900001;phone\u{2066}-con\u{feff}text=+44",
        ] {
            assert_eq!(msisdn("GB", number), None, "{number}");
        }
    }

    /// MSI-09
    #[test]
    fn extensions_are_dropped() {
        for number in ["07700 900001 x12", "+44 7700 900001;ext=5"] {
            let phone = PhoneNumber::parse("GB", number).unwrap();
            assert_eq!(phone.msisdn().as_str(), "447700900001");
            assert_eq!(phone.intl_fmt(), "+44 7700 900001");
        }
    }

    #[test]
    fn calling_code_and_display_format_are_known() {
        let phone = PhoneNumber::parse("GB", "07700900001").unwrap();
        assert_eq!(
            (phone.calling_code(), phone.intl_fmt()),
            (44, "+44 7700 900001")
        );
        assert_eq!(format!("{phone:?}"), "PhoneNumber(…)");
        assert!(is_calling_code(44) && is_calling_code(1));
        assert!(!is_calling_code(0) && !is_calling_code(999));
    }

    proptest! {
        #[test]
        fn parse_never_panics(
            country in "[A-Z]{2}|.{0,3}",
            number in ".{0,250}|([0-9 +;=x#]|ext|;ext=|;isub=|;phone-context=|tel:){0,40}",
        ) {
            let _ = PhoneNumber::parse(&country, &number);
        }

        #[test]
        fn canonical_number_parses_to_itself(
            country in prop::sample::select(vec!["GB", "US", "IT", "AR", "MX", "DE", "BR", "RU", "CI"]),
            number in "[+0]{0,1}[0-9]{4,14}",
        ) {
            if let Ok(phone) = PhoneNumber::parse(country, &number) {
                prop_assert_eq!(&PhoneNumber::from_msisdn(phone.msisdn()).unwrap(), &phone);
                let text = format!("+{}", phone.msisdn().as_str());
                prop_assert_eq!(&PhoneNumber::parse(country, &text).unwrap(), &phone);
            }
        }
    }
}
