//! The values that templates can use, under the names that they have in the Python Sydent.

use std::fmt;
use std::time::Duration;

use minijinja::{Value, context};
use sha2::{Digest, Sha256};

use crate::domain::threepid::Medium;

/// The values of the mail with the validation link and the code.
///
/// Control characters are removed from every value before a template gets it, so no value can begin
/// a header or a MIME part.
#[derive(Clone)]
pub struct VerificationMail {
    /// The IP address of the client: `ipaddress`, empty in the template if unknown.
    pub ipaddress: Option<String>,
    /// The URL that validates the address when it is opened: `link`. Its host is the value `server`.
    pub link: String,
    /// The code for clients that let the user type it in: `token`.
    pub token: String,
    /// The sender, `Name <address>` or an address: `from`.
    pub from: String,
    /// The recipient's address: `to`.
    pub to: String,
    /// The date in the format of RFC 2822: `date`.
    pub date: String,
    /// The message id with its angle brackets: `messageid`. At least 128 bits of it must be random,
    /// because `multipart_boundary` is derived from it.
    pub messageid: String,
    /// How long link and code are valid: `valid_for`, such as "24 hours".
    pub valid_for: Duration,
}

/// Shows nothing, since the values include an address and a secret.
impl fmt::Debug for VerificationMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationMail").finish_non_exhaustive()
    }
}

impl VerificationMail {
    pub(super) fn context(&self) -> Value {
        context! {
            ipaddress => clean(self.ipaddress.as_deref().unwrap_or_default()),
            link => clean(&self.link),
            token => clean(&self.token),
            from => clean(&self.from),
            to => clean(&self.to),
            date => clean(&self.date),
            messageid => clean(&self.messageid),
            multipart_boundary => boundary(&self.messageid),
            server => link_host(&self.link),
            valid_for => in_words(self.valid_for),
        }
    }

    /// Samples to test a template with: every value at its longest, and without the optional ones.
    pub(super) fn samples() -> [Self; 2] {
        let full = Self {
            ipaddress: Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".to_owned()),
            link: format!(
                "https://id.example.org/_matrix/identity/v2/validate/email/submitToken\
                 ?token=0123456789abcdef0123456789abcdef&client_secret={}&sid=sample",
                "s".repeat(255)
            ),
            token: "0123456789abcdef0123456789abcdef".to_owned(),
            from: "Identity <identity@example.org>".to_owned(),
            to: "somebody@example.com".to_owned(),
            date: "Thu, 01 Jan 1970 00:00:00 +0000".to_owned(),
            messageid: "<sample@example.org>".to_owned(),
            valid_for: Duration::from_hours(24),
        };
        [
            full.clone(),
            Self {
                ipaddress: None,
                ..full
            },
        ]
    }
}

/// The values of the page that the validation link opens.
#[derive(Debug, Clone)]
pub struct VerifyResponse {
    /// A sentence for the user who opened the link: `message`.
    pub message: String,
    /// Whether the address is now validated: `success`.
    pub success: bool,
    /// What the link validates, `email` or `msisdn`: `medium`.
    pub medium: Medium,
}

impl VerifyResponse {
    pub(super) fn context(&self) -> Value {
        context! {
            message => clean(&self.message),
            success => self.success,
            medium => self.medium.as_str(),
        }
    }

    pub(super) fn samples() -> [Self; 2] {
        [true, false].map(|success| Self {
            message: "This is a sample.".to_owned(),
            success,
            medium: Medium::Email,
        })
    }
}

/// Removes characters that could end a line or change the text direction.
pub(super) fn clean(value: &str) -> String {
    let is_unsafe = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    value.chars().filter(|c| !is_unsafe(*c)).collect()
}

/// Derives the multipart boundary from the message id. Only the recipient knows the id, so no
/// value of a stranger can end a MIME part, and a mail that is sent again has the same bytes. The
/// boundary is hexadecimal, because templates may not quote it.
pub(super) fn boundary(messageid: &str) -> String {
    let digest = Sha256::new()
        .chain_update("multipart boundary ")
        .chain_update(messageid)
        .finalize();
    let half = digest.as_slice().first_chunk().copied();
    format!("{:032x}", u128::from_be_bytes(half.unwrap_or_default()))
}

/// The host of a link, with the port unless it is the default of the scheme.
pub(super) fn link_host(link: &str) -> String {
    let Ok(url) = url::Url::parse(link) else {
        return String::new();
    };
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A duration in words: "24 hours".
pub(crate) fn in_words(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    // Rounded down to whole hours: the mail must not promise more time than there is.
    let (count, unit) = if minutes >= 120 || minutes == 60 {
        (minutes / 60, "hour")
    } else {
        (minutes, "minute")
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_removed() {
        assert_eq!(
            clean("a\r\nBcc: x\0\t\u{7f}\u{85}\u{2028}\u{202e}é/"),
            "aBcc: xé/"
        );
    }

    #[test]
    fn boundary_derives_from_the_message_id() {
        let first = boundary("<one@example.org>");
        assert_eq!(first, boundary("<one@example.org>"));
        assert_ne!(first, boundary("<two@example.org>"));
        assert_eq!(first.len(), 32);
        assert!(first.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn server_is_the_host_of_the_link() {
        assert_eq!(link_host("https://id.example.org/x?y"), "id.example.org");
        assert_eq!(link_host("https://id.example.org:443/x"), "id.example.org");
        assert_eq!(link_host("http://[::1]:8090/x"), "[::1]:8090");
        assert_eq!(link_host("no url"), "");
    }

    #[test]
    fn durations_are_written_in_words() {
        for (seconds, words) in [
            (86_400, "24 hours"),
            (3600, "1 hour"),
            (5400, "90 minutes"),
            (60, "1 minute"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn debug_hides_address_and_token() {
        let [sample, _] = VerificationMail::samples();
        assert_eq!(format!("{sample:?}"), "VerificationMail { .. }");
    }
}
