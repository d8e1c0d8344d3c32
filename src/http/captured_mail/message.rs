//! The parts of a message that the pages show. A message can be malformed: what
//! cannot be read is absent.

use mail_parser::{Addr, Address, DateTime, MessageParser, PartType};
use serde::Serialize;

/// A line of the list.
#[derive(Serialize)]
pub(super) struct Summary {
    /// The name of the message in URLs.
    name: String,
    subject: Option<String>,
    from: Option<String>,
    to: Option<String>,
    time: Option<Time>,
}

/// A time for people and for programs.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Time {
    shown: String,
    exact: String,
}

impl Summary {
    /// Reads the headers.
    pub(super) fn read(name: &str, mail: &[u8]) -> Self {
        let parsed = MessageParser::default().parse_headers(mail);
        let mail = parsed.as_ref();
        Self {
            name: name.to_owned(),
            subject: mail.and_then(|mail| mail.subject()).map(str::to_owned),
            from: mail.and_then(|mail| mail.from()).map(addresses),
            to: mail.and_then(|mail| mail.to()).map(addresses),
            time: mail.and_then(|mail| mail.date()).map(time),
        }
    }
}

/// The parts of a message that people read.
pub(super) struct Content {
    /// The plain text, with line ends as files have them.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<String>,
}

impl Content {
    /// Reads the body.
    pub(super) fn read(mail: &[u8]) -> Self {
        let parsed = MessageParser::default().parse(mail);
        let mail = parsed.as_ref();
        // The parser returns the other kind for a part that is missing.
        let text = match mail
            .and_then(|mail| mail.text_part(0))
            .map(|part| &part.body)
        {
            Some(PartType::Text(text)) => Some(text.replace("\r\n", "\n")),
            _ => None,
        };
        let html = match mail
            .and_then(|mail| mail.html_part(0))
            .map(|part| &part.body)
        {
            Some(PartType::Html(html)) => Some(html.clone().into_owned()),
            _ => None,
        };
        Self { text, html }
    }
}

fn addresses(header: &Address<'_>) -> String {
    let all: Vec<String> = header.iter().map(address).collect();
    all.join(", ")
}

fn address(one: &Addr<'_>) -> String {
    match (one.name(), one.address().unwrap_or_default()) {
        // The recipient of an SMS: a phone number parses as a name.
        (Some(name), "") => name.to_owned(),
        (Some(name), address) => format!("{name} <{address}>"),
        (None, address) => address.to_owned(),
    }
}

fn time(date: &DateTime) -> Time {
    let utc = DateTime::from_timestamp(date.to_timestamp());
    Time {
        shown: format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
            utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second
        ),
        exact: utc.to_rfc3339(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAIL: &str = "Date: Tue, 14 Nov 2023 23:13:20 +0100\r\n\
        From: =?utf-8?B?R3LDvMOfZQ==?= <id@example.org>\r\n\
        To: alice@example.org\r\n\
        Subject: Confirm\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n\
        http://a.example/?token=3Dx&a=\r\n=3Dy\r\nbye\r\n\
        --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>hello\r\n--b--\r\n";

    #[test]
    fn headers_and_both_parts_are_decoded() {
        let summary = Summary::read("1-a", MAIL.as_bytes());
        assert_eq!(summary.subject.as_deref(), Some("Confirm"));
        assert_eq!(summary.from.as_deref(), Some("Grüße <id@example.org>"));
        assert_eq!(summary.to.as_deref(), Some("alice@example.org"));
        let time = summary.time.unwrap();
        assert_eq!(time.shown, "2023-11-14 22:13:20 UTC");
        assert_eq!(time.exact, "2023-11-14T22:13:20Z");
        let content = Content::read(MAIL.as_bytes());
        let text = content.text.unwrap();
        assert_eq!(text.trim_end(), "http://a.example/?token=x&a=y\nbye");
        assert_eq!(content.html.unwrap().trim_end(), "<p>hello");
    }

    #[test]
    fn missing_parts_stay_missing() {
        let text = Content::read(b"Subject: a\r\n\r\nhello\r\n");
        assert_eq!((text.text.as_deref(), text.html), (Some("hello\n"), None));
        let html = Content::read(b"Content-Type: text/html\r\n\r\n<p>hello");
        assert_eq!((html.text, html.html.as_deref()), (None, Some("<p>hello")));
        assert!(Summary::read("a", b"").subject.is_none());
    }

    proptest! {
        #[test]
        fn parse_never_panics(mail: Vec<u8>) {
            let _ = (Summary::read("a", &mail), Content::read(&mail));
        }
    }
}
