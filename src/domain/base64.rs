//! Unpadded base64 (Matrix specification, appendices, "Unpadded Base64").

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

// The specification's own test seed has trailing bits, which the predefined
// engines of the crate reject.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Encodes keys and signatures: the standard alphabet without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Encodes lookup hashes: the URL-safe alphabet without padding.
#[must_use]
pub fn encode_url_safe(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

/// Decodes either alphabet, with or without padding.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) {
        URL_SAFE.decode(text).ok()
    } else {
        STANDARD.decode(text).ok()
    }
}

/// Decodes a 32-byte key from a query parameter, in either alphabet. A space
/// counts as the plus sign that a client did not percent-encode (PUB-07).
#[must_use]
pub fn decode_key(text: &str) -> Option<[u8; 32]> {
    decode(&text.replace(' ', "+"))?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// CRY-06
    #[test]
    fn encodes_the_specification_vectors() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()));
        }
    }

    /// CRY-07
    #[test]
    fn padding_is_optional_and_garbage_is_rejected() {
        assert_eq!(decode("Zg=="), Some(b"f".to_vec()));
        for bad in ["Zg==x", "Zm9v!", "Zm9v Zm9v", "+-", "Z"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    /// PUB-07
    #[test]
    fn key_decodes_from_either_alphabet_or_spaces() {
        let key = [0xfb; 32];
        let standard = encode(&key);
        assert!(standard.contains('+'));
        assert_eq!(decode_key(&standard), Some(key));
        assert_eq!(decode_key(&standard.replace('+', " ")), Some(key));
        assert_eq!(decode_key(&encode_url_safe(&key)), Some(key));
        assert_eq!(decode_key(&format!("{standard}=")), Some(key));
        assert_eq!(decode_key("AAAA"), None);
    }

    proptest! {
        #[test]
        fn encoded_bytes_decode_back(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(decode(&encode_url_safe(&bytes)), Some(bytes));
        }

        #[test]
        fn decode_never_panics(text: String) {
            let _ = decode(&text);
        }
    }
}
