//! Phone numbers as people write them, and what a text needs to know of them.

use std::fmt;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber as Parsed, PhoneNumberFormat, Region,
};

use super::Invalid;
use super::msisdn::CanonicalMsisdn;

/// Longer input is no phone number, whatever stands in it.
const LONGEST: usize = 250;

/// The parameter of a `tel:` URI that says where its number is dialled.
const CONTEXT: &str = ";phone-context=";

const UNKNOWN_COUNTRY: Invalid =
    Invalid("the country must be a code of two capital letters, such as GB");
const NO_NUMBER: Invalid =
    Invalid("give it as it is dialled in that country, or with + and the country's digits");

/// A phone number that was understood. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber {
    msisdn: CanonicalMsisdn,
    calling_code: u16,
    intl_fmt: String,
}

impl PhoneNumber {
    /// Reads a number as if it were dialled from `country` (ISO 3166-1, two
    /// capital letters), which may be empty when the number begins with a plus
    /// sign (MSI-04, MSI-05). An extension is left out (MSI-09).
    ///
    /// The number must have a length that numbers of its country have; it need
    /// not be one that was given out, since the specification's own examples
    /// were not (MSI-07, MSI-08).
    ///
    /// # Errors
    /// A sentence when the country is unknown or it is no possible number.
    pub fn parse(country: &str, number: &str) -> Result<Self, Invalid> {
        let region = match country {
            "" => None,
            country => Some(region(country).ok_or(UNKNOWN_COUNTRY)?),
        };
        // The parser stops the thread at a context before the `tel:`, and nobody
        // types one: the country is given apart.
        if number.contains(CONTEXT)
            || number.len() > LONGEST
            || (region.is_none() && !begins_with_plus(number))
        {
            return Err(NO_NUMBER);
        }
        let phone = Self::of(&read(number, region)?)?;
        // What is stored must mean the same number when it is read again.
        let again = read(&format!("+{}", phone.msisdn.as_str()), None)?;
        if Self::of(&again)? == phone {
            Ok(phone)
        } else {
            Err(NO_NUMBER)
        }
    }

    /// The number that is written so in its canonical form.
    ///
    /// # Errors
    /// A sentence when no number is.
    pub fn of_msisdn(msisdn: &CanonicalMsisdn) -> Result<Self, Invalid> {
        Self::parse("", &format!("+{}", msisdn.as_str()))
    }

    fn of(parsed: &Parsed) -> Result<Self, Invalid> {
        let util = &PHONE_NUMBER_UTIL;
        let length = util.is_possible_number_with_reason(parsed);
        if length != Ok(NumberLengthType::IsPossible) {
            return Err(NO_NUMBER);
        }
        let e164 = util.format(parsed, PhoneNumberFormat::E164);
        let intl_fmt = util.format(parsed, PhoneNumberFormat::International);
        Ok(Self {
            msisdn: CanonicalMsisdn::parse(e164.trim_start_matches('+'))?,
            calling_code: u16::try_from(parsed.country_code).map_err(|_negative| NO_NUMBER)?,
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

    /// The number as people read it anywhere: `+44 7700 900001`.
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

/// Whether numbers somewhere begin with this calling code.
#[must_use]
pub fn is_calling_code(code: u16) -> bool {
    PHONE_NUMBER_UTIL
        .get_supported_calling_codes()
        .any(|known| known == i32::from(code))
}

fn read(number: &str, region: Option<Region>) -> Result<Parsed, Invalid> {
    let mut parsed = PHONE_NUMBER_UTIL
        .parse(number, region)
        .map_err(|_not_a_number| NO_NUMBER)?;
    parsed.extension = None;
    Ok(parsed)
}

fn region(country: &str) -> Option<Region> {
    let letters = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let region: Region = letters.then(|| country.parse().ok()).flatten()?;
    PHONE_NUMBER_UTIL
        .get_country_code_for_region(region)
        .map(|_code| region)
}

/// The plus sign, or the full-width one.
fn begins_with_plus(number: &str) -> bool {
    number.trim_start().starts_with(['+', '\u{ff0b}'])
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

    #[test]
    fn msi_04_msi_05_msi_08_the_vectors() {
        for (country, number, canonical) in VECTORS {
            assert_eq!(
                msisdn(country, number).as_deref(),
                Some(canonical),
                "{country} {number}"
            );
        }
    }

    #[test]
    fn msi_06_msi_07_what_is_refused() {
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
            ("ZZ", "+447700900001"),
            ("gb", "07700900001"),
            ("001", "+80012345678"),
            ("G", "07700900001"),
            ("ＧＢ", "07700900001"),
            ("", "07700900001"),
            // Enough to call a neighbour, and no address in the world.
            ("US", "555-2067"),
        ] {
            assert_eq!(msisdn(country, number), None, "{country} {number}");
        }
    }

    #[test]
    fn a_number_with_a_context_is_refused() {
        for number in [
            ";phone-context=ext;ext=tel:",
            "tel:07700900001;phone-context=+44",
        ] {
            assert_eq!(msisdn("GB", number), None, "{number}");
        }
    }

    #[test]
    fn msi_09_extensions_are_left_out() {
        for number in ["07700 900001 x12", "+44 7700 900001;ext=5"] {
            let phone = PhoneNumber::parse("GB", number).unwrap();
            assert_eq!(phone.msisdn().as_str(), "447700900001");
            assert_eq!(phone.intl_fmt(), "+44 7700 900001");
        }
    }

    #[test]
    fn what_else_is_known_of_a_number() {
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
        fn any_text_gives_an_answer(
            country in "[A-Z]{2}|.{0,3}",
            number in ".{0,250}|([0-9 +;=x#]|ext|;ext=|;isub=|;phone-context=|tel:){0,40}",
        ) {
            let _ = PhoneNumber::parse(&country, &number);
        }

        #[test]
        fn what_is_canonical_reads_as_itself(
            country in prop::sample::select(vec!["GB", "US", "IT", "AR", "MX", "DE", "BR", "RU", "CI"]),
            number in "[+0]{0,1}[0-9]{4,14}",
        ) {
            if let Ok(phone) = PhoneNumber::parse(country, &number) {
                prop_assert_eq!(&PhoneNumber::of_msisdn(phone.msisdn()).unwrap(), &phone);
                let text = format!("+{}", phone.msisdn().as_str());
                prop_assert_eq!(&PhoneNumber::parse(country, &text).unwrap(), &phone);
            }
        }
    }
}
