//! Verification mails in the delivery queue.

use serde::{Deserialize, Serialize};

use super::percent::encode;

/// The stored form of a verification mail until it is sent.
#[derive(Serialize, Deserialize)]
pub struct VerificationPayload {
    /// The recipient in canonical form.
    pub address: String,
    /// The brand of the mail.
    pub brand: String,
    /// The id of the validation session.
    pub sid: String,
    /// The client secret of the session, for the link.
    pub client_secret: String,
    /// The validation token.
    pub token: String,
    /// The IP address of the client; empty if unknown.
    pub ip: String,
}

impl VerificationPayload {
    /// The link that validates the session when it is opened (EML-11). It is a v2
    /// URL, which works even if v1 is disabled (GEN-32). `brand` is the brand of
    /// the page, unless it is the default brand.
    #[must_use]
    pub fn link(&self, public_base_url: &str, brand: Option<&str>) -> String {
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

    /// EML-11
    #[test]
    fn link_is_percent_encoded() {
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
