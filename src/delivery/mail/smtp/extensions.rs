//! The beginning of a session: EHLO or HELO, and what the relay offers.

use lettre::transport::smtp::extension::ClientId;

use super::reply::Reply;

/// The extensions that the relay offers, as far as they matter here (RFC 5321,
/// section 4.1.1.1). None after HELO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    pub(super) starttls: bool,
    pub(super) eight_bit_mime: bool,
    pub(super) smtp_utf8: bool,
    pub(super) auth: Vec<String>,
}

impl Extensions {
    /// Of the reply to EHLO. Keywords are in any case (section 2.4). Some relays offer
    /// an extension in the first line, where their name belongs, so it is read too.
    pub(super) fn parse(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines() {
            // `AUTH=LOGIN` is what relays offered before RFC 2554.
            let mut words = line
                .split(|c: char| c.is_whitespace() || c == '=')
                .filter(|word| !word.is_empty())
                .map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STARTTLS") => extensions.starttls = true,
                Some("8BITMIME") => extensions.eight_bit_mime = true,
                Some("SMTPUTF8") => extensions.smtp_utf8 = true,
                Some("AUTH") => extensions.auth.extend(words),
                _ => {}
            }
        }
        extensions
    }

    pub(super) fn offers_login(&self, mechanism: &str) -> bool {
        self.auth.iter().any(|offered| offered == mechanism)
    }
}

/// The command that begins a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hello {
    Ehlo,
    Helo,
}

impl Hello {
    pub(super) fn line(self, name: &ClientId) -> String {
        match self {
            Self::Ehlo => format!("EHLO {name}\r\n"),
            Self::Helo => format!("HELO {name}\r\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::ReplyReader;
    use super::*;

    fn extensions(text: &str) -> Extensions {
        let mut reader = ReplyReader::default();
        reader.push(format!("{text}\r\n").as_bytes());
        Extensions::parse(&reader.next_reply().unwrap().unwrap())
    }

    /// RFC 5321, section 2.4
    #[test]
    fn extensions_are_read_in_any_case() {
        for (text, auth) in [
            (
                "250-relay\r\n250-starttls\r\n250-8bitmime\r\n250 auth login plain",
                "LOGIN PLAIN",
            ),
            ("250-StartTLS\r\n250-8BitMIME \r\n250 Auth Plain", "PLAIN"),
            (
                "250-relay\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-AUTH=LOGIN\r\n250 Size 0",
                "LOGIN",
            ),
            ("250-\r\n250-\r\n250-STARTTLS\r\n250-8BITMIME\r\n250", ""),
        ] {
            let found = extensions(text);
            assert!(found.starttls && found.eight_bit_mime, "{text}");
            assert_eq!(found.auth.join(" "), auth, "{text}");
        }
        let none = extensions("250-XSTARTTLS\r\n250 X-AUTH LOGIN");
        assert_eq!(none, Extensions::default());
    }
}
