//! Addresses and users as people type and paste them, in the form that the server
//! stores.

use percent_encoding::percent_decode_str;

use super::failure::Failure;
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::Mxid;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::phone::PhoneNumber;
use crate::domain::threepid::{Medium, ThreePid};
use crate::server::person::Named;

/// The names of the media, as people call them.
const EMAIL: [&str; 3] = ["email", "mail", "e-mail"];
const MSISDN: [&str; 4] = ["msisdn", "phone", "tel", "sms"];

/// An email address or a phone number.
///
/// # Errors
/// What is accepted, with exit code 2: such an address cannot be bound.
pub(super) fn threepid(medium: &str, address: &str) -> Result<ThreePid, Failure> {
    let medium = medium_of(medium)?;
    let address = visible(address);
    let (parsed, accepted) = match medium {
        Medium::Email => (email(address).map(ThreePid::Email), ADDRESS),
        Medium::Msisdn => (msisdn(address).map(ThreePid::Msisdn), NUMBER),
    };
    parsed.ok_or_else(|| Failure::new(accepted).with_exit_code_2())
}

const ADDRESS: &str = "This is not an email address that can be bound. Write one address such as \
    alice@example.org, without a name and without quotation marks.";
const NUMBER: &str = "This is not a phone number that can be bound. Write it in international \
    form, with the country code: +44 7700 900001 or 447700900001.";
const USER: &str = "This is not a Matrix user ID. Write it in full, such as @alice:example.org.";

fn medium_of(text: &str) -> Result<Medium, Failure> {
    let name = text.trim().to_lowercase();
    if EMAIL.contains(&name.as_str()) {
        return Ok(Medium::Email);
    }
    if MSISDN.contains(&name.as_str()) {
        return Ok(Medium::Msisdn);
    }
    Err(Failure::new(
        "The first argument is the kind of the address: email (or mail), or msisdn (or phone, tel, \
         sms).",
    )
    .with_exit_code_2())
}

/// A person, by an address or a user.
///
/// # Errors
/// What is accepted, with exit code 2.
pub(super) fn person(text: &str) -> Result<Named, Failure> {
    if visible(text).starts_with('@') {
        return mxid(text).map(Named::User);
    }
    let address = visible(text);
    let threepid = msisdn(address)
        .map(ThreePid::Msisdn)
        .or_else(|| email(address).map(ThreePid::Email));
    threepid
        .map(Named::ThreePid)
        .ok_or_else(|| Failure::new(PERSON).with_exit_code_2())
}

const PERSON: &str = "This is neither an email address, nor a phone number in international form \
    (+44 7700 900001), nor a Matrix user ID (@alice:example.org).";

/// A user.
///
/// # Errors
/// What is accepted, with exit code 2.
pub(super) fn mxid(text: &str) -> Result<Mxid, Failure> {
    Mxid::parse(visible(text)).map_err(|_invalid| Failure::new(USER).with_exit_code_2())
}

fn email(text: &str) -> Option<CanonicalEmail> {
    let decoded;
    let text = match without_scheme(text, &["mailto:"]) {
        None => text,
        Some(uri) => {
            let address = uri.split_once('?').map_or(uri, |(address, _)| address);
            decoded = percent_decode_str(address).decode_utf8().ok()?;
            &decoded
        }
    };
    let bare = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
        .unwrap_or(text);
    CanonicalEmail::parse(visible(bare)).ok()
}

fn msisdn(text: &str) -> Option<CanonicalMsisdn> {
    let text = without_scheme(text, &["tel:", "sms:", "smsto:"]).unwrap_or(text);
    let text = visible(text);
    // Digits only, as the server stores and the API takes them.
    if let Ok(canonical) = CanonicalMsisdn::parse(text) {
        return Some(canonical);
    }
    // The country code may be in brackets, and without a plus sign.
    let code = text
        .find(['+', '\u{ff0b}'])
        .and_then(|plus| text.get(plus..));
    let number = code.map_or_else(|| format!("+{text}"), str::to_owned);
    let phone = PhoneNumber::parse("", &number).ok()?;
    Some(phone.msisdn().clone())
}

fn without_scheme<'a>(text: &'a str, schemes: &[&str]) -> Option<&'a str> {
    schemes.iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The text without white space and marks at its ends, which come along when it is
/// copied.
fn visible(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// INT-06
    #[test]
    fn typed_addresses_are_normalized() {
        for (medium, typed, canonical) in [
            ("email", "alice@example.org", "alice@example.org"),
            ("email", " Alice@Example.ORG ", "alice@example.org"),
            ("mail", "mailto:Alice@Example.ORG", "alice@example.org"),
            (
                "E-Mail",
                "MAILTO:a%2Bb@example.org?subject=x",
                "a+b@example.org",
            ),
            ("email", "<alice@example.org>", "alice@example.org"),
            (
                "email",
                "\u{feff}alice@example.org\u{200b}\n",
                "alice@example.org",
            ),
            ("email", "a@B\u{fc}cher.example", "a@b\u{fc}cher.example"),
            ("msisdn", "447700900001", "447700900001"),
            ("msisdn", "+44 7700 900001", "447700900001"),
            ("msisdn", "+447700900001", "447700900001"),
            ("phone", "44 7700 900001", "447700900001"),
            ("tel", "tel:+44-7700-900001", "447700900001"),
            ("TEL", "TEL:447700900001", "447700900001"),
            ("sms", "(+44) 7700 900001", "447700900001"),
            ("msisdn", "+44 (0)7700 900001", "447700900001"),
            ("msisdn", "\u{202d}+447700900001\u{202c}", "447700900001"),
            ("msisdn", "\u{ff0b}44 7700 900001", "447700900001"),
        ] {
            let parsed = threepid(medium, typed).unwrap();
            assert_eq!(parsed.address(), canonical, "{medium} {typed:?}");
        }
        assert_eq!(
            mxid(" @a:example.org\n").unwrap().as_str(),
            "@a:example.org"
        );
    }

    /// INT-06
    #[test]
    fn what_cannot_be_bound_is_refused() {
        for (medium, typed, accepted) in [
            ("email", "alice", "alice@example.org"),
            ("email", "", "alice@example.org"),
            ("email", "Alice <alice@example.org>", "without a name"),
            ("email", "a@example.org, b@example.org", "one address"),
            ("email", "+447700900001", "email address"),
            ("msisdn", "alice@example.org", "phone number"),
            ("msisdn", "07700 900001", "with the country code"),
            ("msisdn", "07700900001", "with the country code"),
            ("msisdn", "+44", "with the country code"),
            ("msisdn", "", "with the country code"),
            ("msisdn", "+999 123456", "phone number"),
            ("mxid", "@a:example.org", "kind of the address"),
            ("mailto:a@b.example", "", "kind of the address"),
        ] {
            let failure = threepid(medium, typed).unwrap_err();
            assert_eq!(failure.exit_code(), 2, "{medium} {typed:?}");
            assert!(failure.to_string().contains(accepted), "{failure}");
        }
        for typed in [
            "",
            "alice",
            "alice:example.org",
            "@alice",
            "@alice@example.org",
        ] {
            assert_eq!(mxid(typed).unwrap_err().exit_code(), 2, "{typed:?}");
        }
    }
}
