//! Senders whose display name is not written as RFC 5322 requires.

use lettre::Address;
use lettre::message::Mailbox;
use mail_parser::MessageParser;

/// Parses `Name <address>` with any name, and `address (Name)`. A name with a
/// comma, a colon, a dot or brackets should be in quotation marks, but mail programs
/// and other servers take it without.
pub(super) fn parse_lenient(text: &str) -> Option<Mailbox> {
    let text = text.trim();
    let (name, address) = if let Some(rest) = text.strip_suffix('>') {
        rest.rsplit_once('<')?
    } else {
        let (address, name) = text.strip_suffix(')')?.split_once('(')?;
        (name, address)
    };
    if name.contains(['<', '>']) {
        return None;
    }
    let address: Address = address.trim().parse().ok()?;
    let name = unquote(name.trim());
    Some(Mailbox::new((!name.is_empty()).then_some(name), address))
}

/// Decodes the encoded words of RFC 2047 in the name, which the mail gets again as
/// needed.
pub(super) fn decode_words(mailbox: Mailbox) -> Mailbox {
    let decoded = mailbox
        .name
        .as_deref()
        .filter(|name| name.contains("=?"))
        .and_then(|name| {
            let header = format!("Subject: {name}\r\n\r\n");
            let message = MessageParser::default().parse(header.as_bytes())?;
            message.subject().map(str::to_owned)
        })
        .filter(|name| !name.chars().any(char::is_control));
    match decoded {
        Some(name) => Mailbox::new(Some(name), mailbox.email),
        None => mailbox,
    }
}

/// The content of a quoted string, or the text itself if it is none.
fn unquote(text: &str) -> String {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return text.to_owned();
    };
    let mut name = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        name.push(if c == '\\' {
            rest.next().unwrap_or(c)
        } else {
            c
        });
    }
    name
}
