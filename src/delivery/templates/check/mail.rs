//! Checks whether a template renders a valid mail.

use std::collections::BTreeMap;

use mail_parser::{Address, MessageParser, PartType};
use minijinja::Value;

use super::super::entity::{Entity, Headers, Section, is_header_line, sections};
use super::super::html::{Quotes, escape};
use super::super::normalize::{LONGEST_LINE, first_long_line};

/// Headers that a mail must have exactly once.
const REQUIRED: [&str; 5] = ["From", "To", "Subject", "Date", "Message-ID"];

/// The mistakes, as sentences without a full stop. `mail` has CRLF line ends.
pub(super) fn mistakes(mail: &str, values: &BTreeMap<String, Value>) -> Vec<String> {
    let Some(Entity { headers, body }) =
        Entity::parse(mail).filter(|entity| !entity.headers.is_empty())
    else {
        return vec![no_headers(mail)];
    };
    let mut found = Vec::new();
    for name in REQUIRED {
        match headers.all(name).filter(|value| !value.is_empty()).count() {
            0 => found.push(format!("the mail has no {name}")),
            1 => {}
            _ => found.push(format!("the mail has more than one {name}")),
        }
    }
    found.extend(check_addresses(mail, values));
    check_entity(&headers, body, &mut found);
    if let Some(line) = first_long_line(mail) {
        found.push(format!(
            "line {line} of the mail is longer than {LONGEST_LINE} bytes, which mail servers reject"
        ));
    }
    let shows_any = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| values.get(*name))
            .any(|value| shows(mail, &value.to_string()))
    };
    // Only for a readable mail: a broken one shows no text at all.
    if found.is_empty() && !shows_any(&["token", "link", "join_link"]) {
        found.push("the mail shows neither the link nor the token".to_owned());
    }
    found
}

/// The text of the first HTML part.
pub(super) fn html(mail: &str) -> Option<String> {
    let message = MessageParser::default().parse(mail)?;
    match &message.html_part(0)?.body {
        PartType::Html(html) => Some(html.clone().into_owned()),
        _ => None,
    }
}

/// The boundary of a multipart mail.
pub(super) fn boundary(mail: &str) -> Option<String> {
    let headers = Entity::parse(mail)?.headers;
    headers.content_type().parameter("boundary")
}

fn no_headers(mail: &str) -> String {
    let block = mail.split("\r\n\r\n").next().unwrap_or_default();
    match block.split("\r\n").position(|line| !is_header_line(line)) {
        Some(index) => format!(
            "line {} of the mail is not a header: a mail begins with lines such as \"To: {{{{ to|safe }}}}\", \
             followed by an empty line",
            index + 1
        ),
        None => "the mail has no text: an empty line must follow the headers".to_owned(),
    }
}

/// Checks that a mail program reads the addresses of sender and recipient as they were given.
fn check_addresses(mail: &str, values: &BTreeMap<String, Value>) -> Vec<String> {
    let Some(message) = MessageParser::default().parse(mail) else {
        return vec!["the mail cannot be parsed".to_owned()];
    };
    let mut found = Vec::new();
    for (header, name, parsed) in [("From", "from", message.from()), ("To", "to", message.to())] {
        let given = values.get(name).map(Value::to_string).unwrap_or_default();
        // The parser changes the form of a quoted address.
        if parsed.is_none() || given.contains('"') {
            continue;
        }
        let expected = given
            .rsplit_once('<')
            .map_or(given.as_str(), |(_, address)| address.trim_end_matches('>'));
        let address = parsed
            .and_then(Address::first)
            .and_then(|first| first.address());
        if address != Some(expected) {
            found.push(format!(
                "{header} does not contain the address: write \"{header}: {{{{ {name}|safe }}}}\""
            ));
        }
    }
    found
}

fn check_entity(headers: &Headers, body: &str, found: &mut Vec<String>) {
    let content_type = headers.content_type();
    if !content_type.is_multipart() {
        let decoded =
            quoted_printable::decode(body.as_bytes(), quoted_printable::ParseMode::Strict);
        if headers.transfer_encoding() == "quoted-printable" && decoded.is_err() {
            found.push(
                "a part is declared as quoted-printable but is not: put its text between \
                 {% filter quoted_printable %} and {% endfilter %}, or remove that header"
                    .to_owned(),
            );
        }
        return;
    }
    if headers.get("MIME-Version").is_none() {
        found.push("the mail has parts but no MIME-Version: 1.0".to_owned());
    }
    match content_type.parameter("boundary") {
        Some(boundary) if !boundary.is_empty() => check_parts(body, &boundary, found),
        _ => found.push(format!("{:?} has no boundary", content_type.as_str())),
    }
}

fn check_parts(body: &str, boundary: &str, found: &mut Vec<String>) {
    let mut parts = 0;
    for section in sections(body, boundary) {
        match section {
            Section::Part {
                lines,
                is_terminated: true,
            } => {
                parts += 1;
                check_part(&lines.join("\r\n"), parts, found);
            }
            Section::Delimiter {
                is_closing: true, ..
            } => {
                if parts == 0 {
                    found.push("the mail has no parts between its boundaries".to_owned());
                }
                return;
            }
            _ => {}
        }
    }
    found.push("the last part is not followed by --, the boundary and --".to_owned());
}

fn check_part(part: &str, number: usize, found: &mut Vec<String>) {
    match Entity::parse(part) {
        Some(Entity { mut headers, body }) => {
            // The MIME-Version of the mail applies to its parts.
            headers.push("MIME-Version", "1.0");
            check_entity(&headers, body, found);
        }
        None => found.push(format!(
            "part {number} of the mail lacks headers such as \"Content-Type: text/plain; \
             charset=utf-8\", or the empty line after them"
        )),
    }
}

/// Whether some part shows a text, escaped or unescaped.
fn shows(mail: &str, text: &str) -> bool {
    let Some(message) = MessageParser::default().parse(mail) else {
        return false;
    };
    let escaped = escape(text, Quotes::MarkupSafe);
    (0..message.text_body_count())
        .filter_map(|part| message.body_text(part))
        .chain((0..message.html_body_count()).filter_map(|part| message.body_html(part)))
        .any(|body| body.contains(text) || body.contains(&escaped))
}
