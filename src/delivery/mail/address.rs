//! Conversion of stored email addresses to addresses for SMTP.

use lettre::Address;

use crate::domain::email::{MAX_OCTETS, domain_to_ascii, is_dot_string, is_local_part};

/// The address cannot be sent to. The error does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not valid in SMTP")]
pub struct InvalidAddress;

/// Converts a stored, folded address to the address for the SMTP envelope.
///
/// The domain is converted to A-labels (IDNA), which every relay understands. The
/// local part is not changed, because only the recipient's mail server may
/// interpret it, but quoted if its dots stand where RFC 5321 does not allow them
/// otherwise: `"abc..def"@example.com`. A non-ASCII local part requires SMTPUTF8.
///
/// # Errors
///
/// [`InvalidAddress`] if the text is not a single mailbox or has more than 254
/// octets (the domain may be longer than in its stored form), and for quoted local
/// parts and address literals, which RFC 5321 allows but mailboxes do not need.
pub fn smtp_address(email: &str) -> Result<Address, InvalidAddress> {
    let (local, domain) = email.rsplit_once('@').ok_or(InvalidAddress)?;
    if !is_local_part(local) {
        return Err(InvalidAddress);
    }
    let domain = domain_to_ascii(domain).ok_or(InvalidAddress)?;
    // Not `Address::new`: lettre 0.11 treats code points of local parts as bytes of
    // UTF-8, so that it rejects combining marks and emoji, and knows no underscore in
    // domains.
    let address = if is_dot_string(local) {
        Address::new_dangerous(local, &domain)
    } else {
        Address::new_dangerous(format!("\"{local}\""), &domain)
    };
    let text: &str = address.as_ref();
    if text.len() > MAX_OCTETS {
        return Err(InvalidAddress);
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn domain_is_idna_encoded_and_local_part_kept() {
        for (stored, expected) in [
            ("alice@example.com", "alice@example.com"),
            ("a.b+tag@sub.example.com", "a.b+tag@sub.example.com"),
            ("alice@localhost", "alice@localhost"),
            ("alice@bücher.example", "alice@xn--bcher-kva.example"),
            ("βετα@δοκιμή.example", "βετα@xn--jxalpdlp.example"),
            ("i\u{307}@example.com", "i\u{307}@example.com"),
            ("क्षेम🙂@example.com", "क्षेम🙂@example.com"),
            ("alice@ex\u{3002}ample", "alice@ex.ample"),
            ("o'neil/x=y@example.com", "o'neil/x=y@example.com"),
            ("a..b@example.com", "\"a..b\"@example.com"),
            (".a@example.com", "\".a\"@example.com"),
            ("a.@example.com", "\"a.\"@example.com"),
            ("john@abc_d.com", "john@abc_d.com"),
        ] {
            let address = smtp_address(stored).expect(stored);
            assert_eq!(AsRef::<str>::as_ref(&address), expected);
        }
    }

    #[test]
    fn invalid_mailbox_is_rejected() {
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@@example.com",
            "alice@exa mple.com",
            "alice@example.com\r\nRCPT TO:<eve@example.com>",
            "ali\nce@example.com",
            "\"a b\"@example.com",
            "\"a>b\"@example.com",
            "\"a@b\"@example.com",
            "alice@[127.0.0.1]",
            "alice@example.com>",
            "alice@＜example.com",
            "alice@example..com",
            "alice@[not-an-address]",
            "alice@xn--a.example",
            "alice,bob@example.com",
        ] {
            assert_eq!(smtp_address(bad), Err(InvalidAddress), "{bad:?}");
        }
    }

    #[test]
    fn too_long_address_is_rejected() {
        let with = |local: usize| {
            let label = "a".repeat(60);
            format!("{}@{label}.{label}.{label}.example", "b".repeat(local))
        };
        assert_eq!(with(63).len(), MAX_OCTETS);
        assert!(smtp_address(&with(63)).is_ok());
        assert_eq!(smtp_address(&with(64)), Err(InvalidAddress));
        let local = |length: usize| format!("{}@example.com", "b".repeat(length));
        assert!(smtp_address(&local(64)).is_ok());
        assert_eq!(smtp_address(&local(65)), Err(InvalidAddress));
    }

    proptest! {
        #[test]
        fn accepted_address_has_no_separators(email in "\\PC{0,20}[@ \r\n<>\"]{0,3}\\PC{0,20}") {
            if let Ok(address) = smtp_address(&email) {
                let text: &str = address.as_ref();
                prop_assert!(!text.contains(['\r', '\n', ' ', '<', '>']));
                prop_assert!(text.len() <= MAX_OCTETS);
                prop_assert!(address.domain().is_ascii());
            }
        }

        #[test]
        fn whitespace_is_rejected_at_every_position(
            at in 0_usize..17, sign in "[\r\n\t \u{0}\u{85}\u{2028}]"
        ) {
            let mut email = String::from("alice@example.com");
            email.insert_str(at, &sign);
            prop_assert!(smtp_address(&email).is_err());
        }
    }
}
