//! Encodes a rendered mail so that every mail server accepts it (MSG-04).
//!
//! Sydent's templates contain UTF-8 without declaring it, and links that may be longer than a line
//! of SMTP. A part that declares an encoding of its own is not changed.

use super::entity::{Entity, Headers, Section, sections};
use super::mime::{encoded_words, quoted_printable, subject};

/// The longest line of SMTP in bytes, without its line end (RFC 5321, section 4.5.3.1.6).
pub(super) const LONGEST_LINE: usize = 998;
/// How deep multiparts are followed; no template nests them deeper.
const DEEPEST: usize = 8;

/// Encodes bodies that are not ASCII or have long lines as quoted-printable, and subjects and
/// senders that are not ASCII as encoded words. `mail` has CRLF line ends.
///
/// A text that is no message, or needs no encoding, is returned unchanged.
pub(super) fn normalize(mail: String) -> String {
    if is_plain(&mail) {
        return mail;
    }
    let Some(Entity { headers, body }) = Entity::parse(&mail) else {
        return mail;
    };
    if headers.is_empty() {
        return mail;
    }
    let original_count = headers.len();
    let (mut headers, body) = normalize_entity(headers, body, 0);
    if headers.len() > original_count && headers.get("MIME-Version").is_none() {
        headers.push("MIME-Version", "1.0");
    }
    headers.encode("Subject", subject);
    headers.encode("From", encoded_words);
    headers.with_body(&body)
}

/// The number of the first line that is longer than SMTP allows, counted from 1.
pub(super) fn first_long_line(mail: &str) -> Option<usize> {
    mail.split("\r\n")
        .position(|line| line.len() > LONGEST_LINE)
        .map(|index| index + 1)
}

fn is_plain(text: &str) -> bool {
    text.is_ascii() && first_long_line(text).is_none()
}

fn normalize_entity(mut headers: Headers, body: &str, depth: usize) -> (Headers, String) {
    let content_type = headers.content_type();
    if content_type.is_multipart() {
        let body = match content_type.parameter("boundary") {
            Some(boundary) if depth < DEEPEST => normalize_parts(body, &boundary, depth),
            _ => body.to_owned(),
        };
        return (headers, body);
    }
    let encoding = headers.transfer_encoding();
    let is_encoded = !["", "7bit", "8bit"].contains(&encoding.as_str());
    if is_plain(body) || is_encoded || !content_type.is_text() {
        return (headers, body.to_owned());
    }
    headers.remove("Content-Transfer-Encoding");
    if !body.is_ascii() && content_type.parameter("charset").is_none() {
        headers.remove("Content-Type");
        let declared = format!("{}; charset=utf-8", content_type.as_str());
        headers.push("Content-Type", &declared);
    }
    headers.push("Content-Transfer-Encoding", "quoted-printable");
    (headers, quoted_printable(body))
}

fn normalize_parts(body: &str, boundary: &str, depth: usize) -> String {
    let mut written: Vec<String> = Vec::new();
    for section in sections(body, boundary) {
        match section {
            Section::Delimiter { line, .. } => written.push(line.to_owned()),
            Section::Outside(lines) => written.push(lines.join("\r\n")),
            Section::Part { lines, .. } if lines.is_empty() => {}
            Section::Part { lines, .. } => {
                written.push(normalize_part(lines.join("\r\n"), depth + 1));
            }
        }
    }
    written.join("\r\n")
}

fn normalize_part(part: String, depth: usize) -> String {
    match Entity::parse(&part) {
        Some(Entity { headers, body }) => {
            let (headers, body) = normalize_entity(headers, body, depth);
            headers.with_body(&body)
        }
        None => part,
    }
}

#[cfg(test)]
#[path = "tests/normalize.rs"]
mod tests;
