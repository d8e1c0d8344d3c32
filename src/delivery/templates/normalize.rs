//! Makes a mail that a template wrote as text one that every mail server carries (MSG-04).
//!
//! Templates of Sydent write UTF-8 without saying so, and links that may be longer than a line of
//! SMTP. What a part's author has encoded already stays as it is.

use super::mime::{encoded_words, quoted_printable, subject};

/// The longest line that SMTP carries, without its line end (RFC 5321, section 4.5.3.1.6).
pub(super) const LONGEST_LINE: usize = 998;
/// Parts in parts are no deeper in any mail that a template writes.
const DEEPEST: usize = 8;

/// Encodes bodies with long lines or other letters than ASCII as quoted-printable, and such names
/// and subjects in headers as encoded words. `mail` has CRLF line ends.
pub(super) fn normalize(mail: String) -> String {
    if is_plain(&mail) {
        return mail;
    }
    let Some((headers, body)) = entity(&mail) else {
        return mail;
    };
    if headers.is_empty() {
        return mail;
    }
    let had = headers.len();
    let (mut headers, body) = normalize_entity(headers, body, 0);
    if headers.len() > had && find(&headers, "mime-version").is_none() {
        headers.push("MIME-Version: 1.0".to_owned());
    }
    for header in headers.iter_mut().filter(|header| !header.is_ascii()) {
        if let Some(text) = value_of(header, "subject") {
            *header = format!("Subject: {}", subject(&text).replace('\n', "\r\n"));
        } else if let Some(text) = value_of(header, "from") {
            *header = format!("From: {}", encoded_words(&text).replace('\n', "\r\n"));
        }
    }
    written(&headers, &body)
}

fn is_plain(text: &str) -> bool {
    text.is_ascii() && text.split("\r\n").all(|line| line.len() <= LONGEST_LINE)
}

fn written(headers: &[String], body: &str) -> String {
    let mut text = headers.join("\r\n");
    if !headers.is_empty() {
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}

/// The headers, each with its folded lines, and the body; nothing if these are no headers.
pub(super) fn entity(text: &str) -> Option<(Vec<String>, &str)> {
    if let Some(body) = text.strip_prefix("\r\n") {
        return Some((Vec::new(), body));
    }
    let (block, body) = text.split_once("\r\n\r\n")?;
    let mut headers: Vec<String> = Vec::new();
    for line in block.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            let header = headers.last_mut()?;
            header.push_str("\r\n");
            header.push_str(line);
        } else {
            let (name, _) = line.split_once(':')?;
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
            is_name.then(|| headers.push(line.to_owned()))?;
        }
    }
    Some((headers, body))
}

fn normalize_entity(mut headers: Vec<String>, body: &str, depth: usize) -> (Vec<String>, String) {
    let kind = find(&headers, "content-type").unwrap_or_else(|| "text/plain".to_owned());
    let lower = kind.to_ascii_lowercase();
    if lower.starts_with("multipart/") {
        let body = match parameter(&kind, "boundary") {
            Some(boundary) if depth < DEEPEST => normalize_parts(body, &boundary, depth),
            _ => body.to_owned(),
        };
        return (headers, body);
    }
    let encoding = find(&headers, "content-transfer-encoding").unwrap_or_default();
    let is_encoded = !["", "7bit", "8bit"].contains(&encoding.to_ascii_lowercase().as_str());
    if is_plain(body) || is_encoded || !lower.starts_with("text/") {
        return (headers, body.to_owned());
    }
    headers.retain(|header| value_of(header, "content-transfer-encoding").is_none());
    if !body.is_ascii() && parameter(&kind, "charset").is_none() {
        headers.retain(|header| value_of(header, "content-type").is_none());
        headers.push(format!("Content-Type: {kind}; charset=utf-8"));
    }
    headers.push("Content-Transfer-Encoding: quoted-printable".to_owned());
    (headers, quoted_printable(body))
}

fn normalize_parts(body: &str, boundary: &str, depth: usize) -> String {
    let begin = format!("--{boundary}");
    let end = format!("--{boundary}--");
    // What stands before the first delimiter is no part.
    let mut in_part = false;
    let mut finished: Vec<String> = Vec::new();
    let mut part: Vec<&str> = Vec::new();
    for line in body.split("\r\n") {
        let delimiter = line.trim_end();
        if delimiter != begin && delimiter != end {
            part.push(line);
            continue;
        }
        if in_part || !part.is_empty() {
            finished.push(normalize_part(&part.join("\r\n"), in_part, depth));
        }
        part.clear();
        finished.push(line.to_owned());
        in_part = delimiter == begin;
    }
    if !part.is_empty() {
        finished.push(normalize_part(&part.join("\r\n"), in_part, depth));
    }
    finished.join("\r\n")
}

fn normalize_part(text: &str, is_part: bool, depth: usize) -> String {
    match entity(text) {
        Some((headers, body)) if is_part => {
            let (headers, body) = normalize_entity(headers, body, depth + 1);
            written(&headers, &body)
        }
        _ => text.to_owned(),
    }
}

/// A header's value in one line.
pub(super) fn find(headers: &[String], name: &str) -> Option<String> {
    headers.iter().find_map(|header| value_of(header, name))
}

/// The value in one line, if the header is the one of this name.
pub(super) fn value_of(header: &str, name: &str) -> Option<String> {
    let (found, value) = header.split_once(':')?;
    let unfolded = || value.replace("\r\n", " ").trim().to_owned();
    found.eq_ignore_ascii_case(name).then(unfolded)
}

/// A parameter of a content type, without its quotes.
pub(super) fn parameter(kind: &str, name: &str) -> Option<String> {
    let parameters = kind.split(';').skip(1);
    let mut named = parameters.filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = named.find(|(found, _)| found.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
#[path = "tests/normalize.rs"]
mod tests;
