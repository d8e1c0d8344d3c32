//! From a stored address to the one that is written on the wire.

use idna::AsciiDenyList;
use lettre::Address;

/// The longest address that fits into a path of RFC 5321 (4.5.3.1.3), in
/// octets: 256 less the angle brackets.
const MAX_OCTETS: usize = 254;

/// The longest local part (RFC 5321 4.5.3.1.1), in octets.
const MAX_LOCAL_OCTETS: usize = 64;

/// An address that cannot be sent to. The address is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address cannot be written in SMTP")]
pub struct AddressRefused;

/// The address to tell a relay for a stored, folded address.
///
/// The domain becomes A-labels (IDNA), which every relay understands. The
/// local part stays as it is: only the recipient's own server may say what it
/// means. Non-ASCII in it needs SMTPUTF8.
///
/// # Errors
///
/// [`AddressRefused`] for anything that is not one mailbox, for more than 254
/// octets, and for what RFC 5321 has but nobody's mailbox needs: quoted local
/// parts and address literals. The domain may be longer here than as stored.
pub fn address_for_wire(email: &str) -> Result<Address, AddressRefused> {
    let (local, domain) = email.rsplit_once('@').ok_or(AddressRefused)?;
    if !is_dot_atom(local) || domain.starts_with('[') {
        return Err(AddressRefused);
    }
    let domain = idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::URL)
        .map_err(|_not_a_domain| AddressRefused)?;
    // The check of lettre 0.11 is right for ASCII only: it takes code points
    // of the local part for bytes of UTF-8, and refuses marks and emoji.
    Address::new("any", &*domain).map_err(|_not_a_domain| AddressRefused)?;
    let address = Address::new_dangerous(local, &*domain);
    let text: &str = address.as_ref();
    if text.len() > MAX_OCTETS {
        return Err(AddressRefused);
    }
    Ok(address)
}

/// `Dot-string` of RFC 5321, with the non-ASCII of RFC 6531.
fn is_dot_atom(local: &str) -> bool {
    let is_fit = |c: char| match c {
        c if c.is_ascii_alphanumeric() => true,
        c if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => !c.is_control() && !c.is_whitespace(),
    };
    local.len() <= MAX_LOCAL_OCTETS
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_fit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_domain_becomes_a_labels_and_the_local_part_stays() {
        for (stored, wire) in [
            ("alice@example.com", "alice@example.com"),
            ("a.b+tag@sub.example.com", "a.b+tag@sub.example.com"),
            ("alice@localhost", "alice@localhost"),
            ("alice@bücher.example", "alice@xn--bcher-kva.example"),
            ("βετα@δοκιμή.example", "βετα@xn--jxalpdlp.example"),
            ("i\u{307}@example.com", "i\u{307}@example.com"),
            ("क्षेम🙂@example.com", "क्षेम🙂@example.com"),
            ("alice@ex\u{3002}ample", "alice@ex.ample"),
            ("o'neil/x=y@example.com", "o'neil/x=y@example.com"),
        ] {
            let address = address_for_wire(stored).expect(stored);
            assert_eq!(AsRef::<str>::as_ref(&address), wire);
        }
    }

    #[test]
    fn what_is_not_one_mailbox_is_refused() {
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@@example.com",
            "a..b@example.com",
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
            assert_eq!(address_for_wire(bad), Err(AddressRefused), "{bad:?}");
        }
    }

    #[test]
    fn an_address_longer_than_a_path_is_refused() {
        let with = |local: usize| {
            let label = "a".repeat(60);
            format!("{}@{label}.{label}.{label}.example", "b".repeat(local))
        };
        assert_eq!(with(63).len(), MAX_OCTETS);
        assert!(address_for_wire(&with(63)).is_ok());
        assert_eq!(address_for_wire(&with(64)), Err(AddressRefused));
        let local = |length: usize| format!("{}@example.com", "b".repeat(length));
        assert!(address_for_wire(&local(64)).is_ok());
        assert_eq!(address_for_wire(&local(65)), Err(AddressRefused));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_one_word(email in "\\PC{0,20}[@ \r\n<>\"]{0,3}\\PC{0,20}") {
            if let Ok(address) = address_for_wire(&email) {
                let text: &str = address.as_ref();
                prop_assert!(!text.contains(['\r', '\n', ' ', '<', '>']));
                prop_assert!(text.len() <= MAX_OCTETS);
                prop_assert!(address.domain().is_ascii());
            }
        }

        #[test]
        fn a_break_is_refused_wherever_it_stands(
            at in 0_usize..17, sign in "[\r\n\t \u{0}\u{85}\u{2028}]"
        ) {
            let mut email = String::from("alice@example.com");
            email.insert_str(at, &sign);
            prop_assert!(address_for_wire(&email).is_err());
        }
    }
}
