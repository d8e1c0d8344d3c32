//! Whether what a template writes is a mail.

use std::collections::BTreeMap;

use mail_parser::{Address, MessageParser};
use minijinja::Value;

use super::super::normalize::{LONGEST_LINE, entity, find, parameter, value_of};

/// Headers that each mail has, once.
const NEEDED: [&str; 5] = ["From", "To", "Subject", "Date", "Message-ID"];

/// What is wrong, in sentences without a full stop. `mail` has CRLF line ends.
pub(super) fn mistakes(mail: &str, values: &BTreeMap<String, Value>) -> Vec<String> {
    let Some((headers, body)) = entity(mail).filter(|(headers, _)| !headers.is_empty()) else {
        return vec![no_headers(mail)];
    };
    let mut found = Vec::new();
    for name in NEEDED {
        let times = headers
            .iter()
            .filter(|header| value_of(header, name).is_some_and(|value| !value.is_empty()))
            .count();
        match times {
            0 => found.push(format!("the mail has no {name}")),
            1 => {}
            _ => found.push(format!("the mail has more than one {name}")),
        }
    }
    found.extend(addresses(mail, values));
    in_entity(&headers, body, &mut found);
    if let Some(line) = mail
        .split("\r\n")
        .position(|line| line.len() > LONGEST_LINE)
    {
        found.push(format!(
            "line {} of the mail is longer than {LONGEST_LINE} bytes, which mail servers refuse",
            line + 1
        ));
    }
    let has_any = |names: &[&str]| {
        names.iter().any(|name| {
            let value = values.get(*name).map(Value::to_string);
            value.is_some_and(|value| shows(mail, &value))
        })
    };
    // A mail that cannot be read shows nothing.
    if found.is_empty() && !has_any(&["token", "link", "join_link"]) {
        found.push("the mail shows neither the link nor the token".to_owned());
    }
    found
}

/// The text of the first part in HTML.
pub(super) fn html(mail: &str) -> Option<String> {
    let message = MessageParser::default().parse(mail)?;
    let part = message.html_part(0)?;
    let is_html = matches!(part.body, mail_parser::PartType::Html(_));
    is_html.then(|| message.body_html(0).map(std::borrow::Cow::into_owned))?
}

/// What delimits the parts of a mail.
pub(super) fn boundary(mail: &str) -> Option<String> {
    let (headers, _) = entity(mail)?;
    parameter(&find(&headers, "content-type")?, "boundary")
}

fn no_headers(mail: &str) -> String {
    let head = mail.split("\r\n\r\n").next().unwrap_or_default();
    let is_header = |line: &str| {
        let name = line.split_once(':').map(|(name, _)| name);
        line.starts_with([' ', '\t'])
            || name.is_some_and(|name| {
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
            })
    };
    match head.split("\r\n").position(|line| !is_header(line)) {
        Some(line) => format!(
            "line {} of the mail is no header: a mail begins with lines such as \"To: {{{{ to|safe }}}}\", \
             and an empty line ends them",
            line + 1
        ),
        None => "the mail has no text: an empty line must follow the headers".to_owned(),
    }
}

/// Whether sender and recipient come out as they went in.
fn addresses(mail: &str, values: &BTreeMap<String, Value>) -> Vec<String> {
    let Some(message) = MessageParser::default().parse(mail) else {
        return vec!["the mail cannot be read".to_owned()];
    };
    let given = |name| values.get(name).map(Value::to_string).unwrap_or_default();
    let mut found = Vec::new();
    for (header, name, read) in [("From", "from", message.from()), ("To", "to", message.to())] {
        let expected = given(name);
        // A quoted address comes out of the parser in another form.
        if read.is_none() || expected.contains('"') {
            continue;
        }
        let expected = expected
            .rsplit_once('<')
            .map_or(expected.as_str(), |(_, address)| {
                address.trim_end_matches('>')
            });
        let read = read
            .and_then(Address::first)
            .and_then(|first| first.address());
        if read != Some(expected) {
            found.push(format!(
                "{header} does not hold the address: write \"{header}: {{{{ {name}|safe }}}}\""
            ));
        }
    }
    found
}

fn in_entity(headers: &[String], body: &str, found: &mut Vec<String>) {
    let kind = find(headers, "content-type").unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("multipart/") {
        let encoding = find(headers, "content-transfer-encoding").unwrap_or_default();
        let decoded =
            quoted_printable::decode(body.as_bytes(), quoted_printable::ParseMode::Strict);
        if encoding.eq_ignore_ascii_case("quoted-printable") && decoded.is_err() {
            found.push(
                "a part that says it is quoted-printable is not: put its text between \
                 {% filter quoted_printable %} and {% endfilter %}, or leave that header out"
                    .to_owned(),
            );
        }
        return;
    }
    if find(headers, "mime-version").is_none() {
        found.push("the mail has parts but no MIME-Version: 1.0".to_owned());
    }
    let Some(boundary) = parameter(&kind, "boundary").filter(|boundary| !boundary.is_empty())
    else {
        found.push(format!("{kind:?} names no boundary"));
        return;
    };
    in_parts(body, &boundary, found);
}

fn in_parts(body: &str, boundary: &str, found: &mut Vec<String>) {
    let begin = format!("--{boundary}");
    let end = format!("--{boundary}--");
    let mut part: Option<Vec<&str>> = None;
    let mut parts = 0;
    for line in body.split("\r\n") {
        let delimiter = line.trim_end();
        if delimiter != begin && delimiter != end {
            if let Some(part) = &mut part {
                part.push(line);
            }
            continue;
        }
        if let Some(part) = part.take() {
            parts += 1;
            match entity(&part.join("\r\n")) {
                // What MIME-Version says of the mail holds for its parts.
                Some((mut headers, body)) => {
                    headers.push("MIME-Version: 1.0".to_owned());
                    in_entity(&headers, body, found);
                }
                None => found.push(format!(
                    "part {parts} of the mail lacks headers such as \"Content-Type: text/plain; \
                     charset=utf-8\", or the empty line below them"
                )),
            }
        }
        if delimiter == end {
            if parts == 0 {
                found.push("the mail has no parts between its boundaries".to_owned());
            }
            return;
        }
        part = Some(Vec::new());
    }
    found.push("the last part is not ended by the boundary between -- and --".to_owned());
}

/// Whether some part shows a text, escaped or as it is.
fn shows(mail: &str, text: &str) -> bool {
    let Some(message) = MessageParser::default().parse(mail) else {
        return false;
    };
    let escaped = text.replace('&', "&amp;");
    (0..message.text_body_count())
        .filter_map(|part| message.body_text(part))
        .chain((0..message.html_body_count()).filter_map(|part| message.body_html(part)))
        .any(|body| body.contains(text) || body.contains(&escaped))
}
