//! Splits MIME entities (RFC 2045) into headers, body and parts, and writes them again byte for
//! byte.
//!
//! `mail_parser` cannot do this. It is as lenient as a mail program: it accepts a delimiter in the
//! middle of a line, skips malformed headers and closes parts that nothing closes. `normalize` must
//! keep such bytes, and `check` must report them. Code that only reads a message uses `mail_parser`.

/// The header fields of an entity, each with its folded lines and without the last line end.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers(Vec<String>);

/// Headers and body of a message or of a part.
pub(super) struct Entity<'a> {
    pub(super) headers: Headers,
    pub(super) body: &'a str,
}

/// A content type with its parameters, unfolded.
pub(super) struct ContentType(String);

/// A section of a multipart body. The sections joined by CRLF are the body.
pub(super) enum Section<'a> {
    /// The lines before the first delimiter or after the closing one.
    Outside(Vec<&'a str>),
    /// A delimiter line.
    Delimiter { line: &'a str, is_closing: bool },
    /// The lines of a part. An unterminated one has no delimiter after it.
    Part {
        lines: Vec<&'a str>,
        is_terminated: bool,
    },
}

impl<'a> Entity<'a> {
    /// Splits a text with CRLF line ends. `None` if it does not begin with headers and an empty
    /// line; there may be no headers before that line.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(body) = text.strip_prefix("\r\n") {
            let headers = Headers::default();
            return Some(Self { headers, body });
        }
        let (block, body) = text.split_once("\r\n\r\n")?;
        let headers = Headers::parse(block)?;
        Some(Self { headers, body })
    }
}

impl Headers {
    fn parse(block: &str) -> Option<Self> {
        let mut fields: Vec<String> = Vec::new();
        for line in block.split("\r\n") {
            if is_continuation(line) {
                let field = fields.last_mut()?;
                field.push_str("\r\n");
                field.push_str(line);
            } else {
                field_name(line)?;
                fields.push(line.to_owned());
            }
        }
        Some(Self(fields))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The unfolded value of the first field of this name.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }

    /// The unfolded values of all fields of this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(move |field| value(field, name))
    }

    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.0.push(format!("{name}: {value}"));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|field| value(field, name).is_none());
    }

    /// Passes each value of this name that is not ASCII to `encode`. The result may have line
    /// feeds, which fold the field.
    pub(super) fn encode(&mut self, name: &str, encode: fn(&str) -> String) {
        for field in self.0.iter_mut().filter(|field| !field.is_ascii()) {
            if let Some(text) = value(field, name) {
                *field = format!("{name}: {}", encode(&text).replace('\n', "\r\n"));
            }
        }
    }

    /// The content type; `text/plain` if there is none (RFC 2045, section 5.2).
    pub(super) fn content_type(&self) -> ContentType {
        let value = self.get("Content-Type");
        ContentType(value.unwrap_or_else(|| "text/plain".to_owned()))
    }

    /// The content transfer encoding in lower case; empty if there is none.
    pub(super) fn transfer_encoding(&self) -> String {
        let value = self.get("Content-Transfer-Encoding");
        value.unwrap_or_default().to_ascii_lowercase()
    }

    /// Writes the entity that has these headers and this body.
    pub(super) fn with_body(&self, body: &str) -> String {
        let mut text = self.0.join("\r\n");
        if !self.is_empty() {
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body);
        text
    }
}

impl ContentType {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.is_of("multipart/")
    }

    pub(super) fn is_text(&self) -> bool {
        self.is_of("text/")
    }

    fn is_of(&self, kind: &str) -> bool {
        self.0.to_ascii_lowercase().starts_with(kind)
    }

    /// A parameter without its quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .0
            .split(';')
            .skip(1)
            .filter_map(|parameter| parameter.trim().split_once('='))
            .find(|(found, _)| found.trim().eq_ignore_ascii_case(name))?;
        Some(value.trim().trim_matches('"').to_owned())
    }
}

/// Splits a multipart body at the lines that are its delimiters (RFC 2046, section 5.1.1).
pub(super) fn sections<'a>(body: &'a str, boundary: &str) -> Vec<Section<'a>> {
    let opening = format!("--{boundary}");
    let closing = format!("--{boundary}--");
    let mut sections = Vec::new();
    let mut lines = Vec::new();
    let mut in_part = false;
    for line in body.split("\r\n") {
        let delimiter = line.trim_end();
        let is_closing = delimiter == closing;
        if delimiter != opening && !is_closing {
            lines.push(line);
            continue;
        }
        sections.extend(section(std::mem::take(&mut lines), in_part, true));
        sections.push(Section::Delimiter { line, is_closing });
        in_part = !is_closing;
    }
    sections.extend(section(lines, in_part, false));
    sections
}

fn section(lines: Vec<&str>, is_part: bool, is_terminated: bool) -> Option<Section<'_>> {
    if is_part {
        Some(Section::Part {
            lines,
            is_terminated,
        })
    } else {
        (!lines.is_empty()).then_some(Section::Outside(lines))
    }
}

/// Whether a line belongs to a block of headers.
pub(super) fn is_header_line(line: &str) -> bool {
    is_continuation(line) || field_name(line).is_some()
}

fn is_continuation(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// The name of the field that begins in this line.
fn field_name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then_some(name)
}

/// The unfolded value, if the field has this name.
fn value(field: &str, name: &str) -> Option<String> {
    let (found, value) = field.split_once(':')?;
    found
        .eq_ignore_ascii_case(name)
        .then(|| value.replace("\r\n", " ").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unfolded_and_found_in_any_case() {
        let text = "Subject: a\r\n b\r\nX: 1\r\nx: 2\r\n\r\nbody";
        let Entity { mut headers, body } = Entity::parse(text).unwrap();
        assert_eq!(body, "body");
        assert_eq!(headers.get("subject").as_deref(), Some("a  b"));
        assert!(headers.all("X").eq(["1", "2"]));
        assert_eq!(headers.with_body(body), text);
        headers.remove("x");
        assert_eq!(headers.with_body(""), "Subject: a\r\n b\r\n\r\n");
        for bad in ["", "no empty line", "no header\r\n\r\n", " x: y\r\n\r\n"] {
            assert!(Entity::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn sections_make_up_the_body() {
        for body in [
            "before\r\n--b\r\n\r\none\r\n--b \r\n--b\r\ntwo\r\n--b--\r\nafter\r\n",
            "--b",
            "--b\r\n",
            "--b\r\nnot -- ended",
            "text --b\r\n--bc\r\n",
            "",
        ] {
            let lines: Vec<&str> = sections(body, "b")
                .into_iter()
                .flat_map(|section| match section {
                    Section::Outside(lines) | Section::Part { lines, .. } => lines,
                    Section::Delimiter { line, .. } => vec![line],
                })
                .collect();
            assert_eq!(lines.join("\r\n"), body);
        }
    }
}
