//! Lookup hashes and peppers (identity service API, "Hash algorithms").

use sha2::{Digest as _, Sha256};

use super::base64;
use super::threepid::ThreePid;

/// The `sha256` lookup hash of a 3PID: unpadded URL-safe base64 of the digest
/// of `<address> <medium> <pepper>`.
#[must_use]
pub fn sha256_hash(threepid: &ThreePid, pepper: &str) -> String {
    hash(threepid.address(), threepid.medium().as_str(), pepper)
}

fn hash(address: &str, medium: &str, pepper: &str) -> String {
    let digest = Sha256::digest(format!("{address} {medium} {pepper}").as_bytes());
    base64::encode_url_safe(digest.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lkp_06_hash_vectors() {
        for (address, medium, expected) in [
            (
                "alice@example.com",
                "email",
                "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc",
            ),
            (
                "bob@example.com",
                "email",
                "LJwSazmv46n0hlMlsb_iYxI0_HXEqy_yj6Jm636cdT8",
            ),
            (
                "18005552067",
                "msisdn",
                "nlo35_T5fzSGZzJApqu8lgIudJvmOQtDaHtr-I4rU7I",
            ),
            (
                "carl@example.com",
                "email",
                "jDh2YLwYJg3vg9pEn3kaaXAP9jx-LlcotoH51Zgb9MA",
            ),
            (
                "12345678910",
                "msisdn",
                "S11EvvwnUWBDZtI4MTRKgVuiRx76Z9HnkbyRlWkBqJs",
            ),
            (
                "denny@example.com",
                "email",
                "2tZto1arl2fUYtF6tQPJND69il3xke9OBlgFgnUt2ww",
            ),
            (
                "Strauß@Example.com",
                "email",
                "Wvo9OL_UvrDZsRecvnhshdTeilXXGbhk0J5l5rX55Ok",
            ),
            (
                "447700900001",
                "msisdn",
                "dF473qZAKqcTbTZct7YzrjGHYgV1YM1hdw68D7pSskg",
            ),
        ] {
            let threepid = ThreePid::parse(medium, address).unwrap();
            assert_eq!(sha256_hash(&threepid, "matrixrocks"), expected);
        }
    }
}
