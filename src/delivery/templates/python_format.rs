//! Templates of older versions of the Python Sydent, which interpolate values with Python's `%`
//! operator: `%(name)s`, `%(name_forhtml)s`, `%(name_forurl)s`, and `%%`.
//!
//! They are translated to templates of the engine line by line, so brands, the check at start and
//! the line numbers of errors work as for Jinja2 templates.

use minijinja::{State, Value};

use super::html::{Quotes, escape};
use super::urlencode;

/// The engine's function that replaces the placeholders.
pub(super) const FUNCTION: &str = "percent";

/// What an old template writes, which decides where its text is HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A mail: HTML in the bodies of parts of the type `text/html`.
    Mail,
    /// A page: HTML throughout.
    Page,
}

/// A piece of an old template.
enum Piece<'a> {
    Text(&'a str),
    /// A placeholder: the name between the parentheses.
    Value(&'a str),
    /// A doubled percent sign, which writes one.
    Percent,
    /// A percent sign that Python rejects. It is kept as text here.
    StrayPercent,
}

/// Whether a page is an old template. Sydent used the same file name for both forms.
pub(super) fn is_old_page(text: &str) -> bool {
    text.contains("%(message)s") || !(text.contains("{{") || text.contains("{%"))
}

/// Translates an old template for the engine. Text that looks like Jinja2, such as the `{#` of a
/// style sheet, is kept as text.
pub(super) fn to_jinja(text: &str, kind: Kind) -> String {
    let mut template = String::with_capacity(text.len() + 256);
    let mut html = HtmlTracker::new(kind);
    for piece in Pieces(text) {
        match piece {
            Piece::Text(text) => {
                html.feed(text);
                push_literally(&mut template, text);
            }
            Piece::Value(name) => {
                let call = format!("{{{{ {FUNCTION}(\"{name}\", {}) }}}}", html.in_html);
                template.push_str(&call);
            }
            Piece::Percent | Piece::StrayPercent => template.push('%'),
        }
    }
    // The engine strips one line feed from the end, Python does not.
    if template.ends_with('\n') {
        template.push('\n');
    }
    template
}

/// The value of a placeholder. An unknown name is empty: a mail without it is better than none.
///
/// Inside HTML every value is escaped, whatever the placeholder says: names of rooms and users
/// come from strangers, and Sydent's own old templates did not escape all of them (MSG-02).
pub(super) fn value(state: &State, name: &str, in_html: bool) -> Value {
    let lookup = |name: &str| match state.lookup(name) {
        Some(value) if !value.is_undefined() => value.to_string(),
        _ => String::new(),
    };
    // The suffix always selects an encoding: a field of the request that is called
    // `name_forhtml` would be inserted without one.
    let text = if let Some(name) = name.strip_suffix("_forhtml") {
        escape(&lookup(name), Quotes::PythonHtml)
    } else if let Some(name) = name.strip_suffix("_forurl") {
        urlencode::path(&lookup(name))
    } else if in_html {
        escape(&lookup(name), Quotes::PythonHtml)
    } else {
        lookup(name)
    };
    Value::from_safe_string(text)
}

/// The names of the values in an old template, without their suffixes, and the errors that Python
/// would raise; each with its line, counted from 1.
pub(super) fn names(text: &str) -> Vec<(usize, Result<&str, &'static str>)> {
    let mut line = 1;
    let mut found = Vec::new();
    for piece in Pieces(text) {
        match piece {
            Piece::Text(text) => line += text.matches('\n').count(),
            Piece::Percent => {}
            Piece::StrayPercent => found.push((line, Err(STRAY_PERCENT))),
            Piece::Value(name) => {
                let base = name
                    .strip_suffix("_forhtml")
                    .or_else(|| name.strip_suffix("_forurl"));
                found.push((line, Ok(base.unwrap_or(name))));
            }
        }
    }
    found
}

const STRAY_PERCENT: &str = "a percent sign is neither doubled (%%) nor followed by (name)s";

struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let Some(after) = self.0.strip_prefix('%') else {
            let (text, _) = self.0.split_once('%').unwrap_or((self.0, ""));
            self.0 = self.0.strip_prefix(text).unwrap_or_default();
            return Some(Piece::Text(text));
        };
        let (piece, rest) = if let Some(rest) = after.strip_prefix('%') {
            (Piece::Percent, rest)
        } else if let Some((name, rest)) = placeholder(after) {
            (Piece::Value(name), rest)
        } else {
            (Piece::StrayPercent, after)
        };
        self.0 = rest;
        Some(piece)
    }
}

/// Splits `(name)s…` into the name and the rest.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(")s")?;
    // Fields such as org.matrix.web_client_location have dots.
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, rest))
}

/// Tracks whether the text of a template is HTML. In a mail, HTML begins after the empty line
/// below `Content-Type: text/html` and ends at the next `Content-Type`.
///
/// This is a template and not yet a message: values, and with them the boundary, are missing.
struct HtmlTracker {
    line: String,
    in_headers: bool,
    html_follows: bool,
    in_html: bool,
}

impl HtmlTracker {
    fn new(kind: Kind) -> Self {
        Self {
            line: String::new(),
            in_headers: kind == Kind::Mail,
            html_follows: false,
            in_html: kind == Kind::Page,
        }
    }

    fn feed(&mut self, text: &str) {
        for c in text.chars() {
            if c == '\n' {
                self.end_line();
            } else {
                self.line.push(c.to_ascii_lowercase());
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let is_html = line.contains("text/html");
        if line.starts_with("content-type:") {
            self.in_headers = true;
            self.in_html = false;
            self.html_follows = is_html;
        } else if self.in_headers && line.trim().is_empty() {
            self.in_headers = false;
            self.in_html = self.html_follows;
        } else if self.in_headers && line.starts_with([' ', '\t']) {
            self.html_follows |= is_html;
        }
    }
}

/// Writes every brace as an expression, so two adjacent pieces cannot form a tag.
fn push_literally(template: &mut String, text: &str) {
    for c in text.chars() {
        if c == '{' {
            template.push_str("{{ \"{\" }}");
        } else {
            template.push(c);
        }
    }
}

#[cfg(test)]
#[path = "tests/python_format.rs"]
mod tests;
