//! The mail that carries a validation token.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What is stored of a verification mail until it is written.
#[derive(Serialize, Deserialize)]
pub struct VerificationPayload {
    /// To whom, in canonical form.
    pub address: String,
    /// Which template set.
    pub brand: String,
    /// Whose session.
    pub sid: String,
    /// Its secret, for the link.
    pub client_secret: String,
    /// Its token.
    pub token: String,
    /// The address of whoever asked; empty when unknown.
    pub ip: String,
}

const IN_A_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl VerificationPayload {
    /// The link that validates the session when it is opened (EML-11). It is a
    /// v2 link, which works whether or not v1 is switched on (GEN-32). `brand` is
    /// that of the page behind it, where it is not the default one.
    #[must_use]
    pub fn link(&self, public_base_url: &str, brand: Option<&str>) -> String {
        let encode = |text| utf8_percent_encode(text, IN_A_QUERY);
        let link = format!(
            "{public_base_url}/_matrix/identity/v2/validate/email/submitToken?token={}&client_secret={}&sid={}",
            encode(&self.token),
            encode(&self.client_secret),
            encode(&self.sid),
        );
        match brand {
            Some(brand) => format!("{link}&brand={}", encode(brand)),
            None => link,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eml_11_the_link_is_percent_encoded() {
        let payload = VerificationPayload {
            address: String::new(),
            brand: String::new(),
            sid: "s=1".to_owned(),
            client_secret: "a.b=c_d-e".to_owned(),
            token: "t&x".to_owned(),
            ip: String::new(),
        };
        assert_eq!(
            payload.link("https://id.example.org", None),
            "https://id.example.org/_matrix/identity/v2/validate/email/submitToken\
             ?token=t%26x&client_secret=a.b%3Dc_d-e&sid=s%3D1"
        );
        let branded = payload.link("https://id.example.org", Some("my-brand"));
        assert!(branded.ends_with("&sid=s%3D1&brand=my-brand"));
    }
}
