//! The sender of emails in the form that every relay understands.

use lettre::Address;
use lettre::message::Mailbox;

use crate::domain::email::domain_to_ascii;

const DOMAIN: &str = "has an address whose domain is not valid";
const LOCAL_PART: &str = "must have only ASCII characters before the \"@\" of the address: few \
    relays and receivers accept others in a sender (SMTPUTF8)";

/// The sender with the domain of its address in A-labels (IDNA), as for recipients, so
/// that envelope and header need no SMTPUTF8.
///
/// # Errors
/// Why the address cannot be a sender: the predicate of a sentence.
pub(super) fn with_ascii_address(sender: Mailbox) -> Result<Mailbox, &'static str> {
    let (local, domain) = (sender.email.user(), sender.email.domain());
    if !local.is_ascii() {
        return Err(LOCAL_PART);
    }
    if domain.is_ascii() {
        return Ok(sender);
    }
    let ascii = domain_to_ascii(domain).ok_or(DOMAIN)?;
    let email = Address::new(local, ascii).map_err(|_not_a_domain| DOMAIN)?;
    Ok(Mailbox::new(sender.name, email))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_domain_becomes_a_labels() {
        for (sender, expected) in [
            ("noreply@bücher.example", "noreply@xn--bcher-kva.example"),
            (
                "Bücher <a@BÜCHER.example>",
                "Bücher <a@xn--bcher-kva.example>",
            ),
            ("a@δοκιμή.example", "a@xn--jxalpdlp.example"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@Example.ORG", "a@Example.ORG"),
        ] {
            let expected: Mailbox = expected.parse().unwrap();
            let converted = with_ascii_address(sender.parse().unwrap()).unwrap();
            assert_eq!(converted, expected, "{sender}");
        }
        for sender in ["grün@example.org", "grün@bücher.example"] {
            let refused = with_ascii_address(sender.parse().unwrap());
            assert_eq!(refused.unwrap_err(), LOCAL_PART);
        }
    }
}
