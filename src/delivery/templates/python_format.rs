//! Templates of older versions of the Python Sydent, which fill values in with Python's `%`
//! instead of Jinja2: `%(name)s`, `%(name_forhtml)s`, `%(name_forurl)s`, and `%%`.
//!
//! They are rewritten as templates of the engine, line by line, so that all else (brands, the trial
//! at start, the place of a mistake) is the same for both.

use minijinja::{State, Value};

use super::urlencode;

/// The engine's function that the placeholders become.
pub(super) const FUNCTION: &str = "percent";

/// What an old template can be, which says where its text is HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A mail: HTML in the bodies of parts that say so.
    Mail,
    /// A page: all of it.
    Page,
}

/// One piece of an old template.
enum Piece<'a> {
    Text(&'a str),
    /// The name between the parentheses.
    Value(&'a str),
    /// A percent sign that stands for itself, as Python wants it.
    Percent,
    /// A percent sign that Python refuses. It stands for itself here.
    Stray,
}

/// Whether a page is one of Sydent's rather than one in Jinja2, which has the same file name.
pub(super) fn is_old_page(text: &str) -> bool {
    text.contains("%(message)s") || !(text.contains("{{") || text.contains("{%"))
}

/// Rewrites an old template for the engine. All that Python would not replace stands as it is,
/// also what looks like Jinja2, such as the `{#` of a style sheet.
pub(super) fn to_jinja(text: &str, kind: Kind) -> String {
    let mut template = String::with_capacity(text.len() + 256);
    let mut place = Place::of(kind);
    for piece in Pieces(text) {
        match piece {
            Piece::Text(text) => {
                place.pass(text);
                push_literally(&mut template, text);
            }
            Piece::Value(name) => {
                let escape = place.in_html;
                let call = format!("{{{{ {FUNCTION}(\"{name}\", {escape}) }}}}");
                template.push_str(&call);
            }
            Piece::Percent | Piece::Stray => template.push('%'),
        }
    }
    // The engine takes one line end off the end, Python none.
    if template.ends_with('\n') {
        template.push('\n');
    }
    template
}

/// The value of a placeholder. A name that nobody set is empty, so that no mail is lost by it.
///
/// In HTML a value is escaped whatever the placeholder says: the names of rooms and people are
/// strangers' texts, and Sydent's own old templates forgot some of them (MSG-02).
pub(super) fn value(state: &State, name: &str, in_html: bool) -> Value {
    let of = |name: &str| match state.lookup(name) {
        Some(value) if !value.is_undefined() => value.to_string(),
        _ => String::new(),
    };
    // Never a request's field that is called so: it would come unescaped.
    let text = if let Some(name) = name.strip_suffix("_forhtml") {
        escaped(&of(name))
    } else if let Some(name) = name.strip_suffix("_forurl") {
        urlencode::path(&of(name))
    } else if in_html {
        escaped(&of(name))
    } else {
        of(name)
    };
    Value::from_safe_string(text)
}

/// The names of the values in an old template, without their endings, and what Python would
/// refuse; each with its line, counted from 1.
pub(super) fn names(text: &str) -> Vec<(usize, Result<&str, &'static str>)> {
    let mut line = 1;
    let mut found = Vec::new();
    for piece in Pieces(text) {
        match piece {
            Piece::Text(text) => line += text.matches('\n').count(),
            Piece::Percent => {}
            Piece::Stray => found.push((line, Err(STRAY))),
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

const STRAY: &str = "a percent sign is neither doubled (%%) nor followed by (name)s";

/// As Python's `html.escape` does it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            other => escaped.push(other),
        }
    }
    escaped
}

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
            (Piece::Stray, after)
        };
        self.0 = rest;
        Some(piece)
    }
}

/// Splits `(name)s…` into the name and what follows.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(")s")?;
    // With dots for fields such as org.matrix.web_client_location.
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, rest))
}

/// Follows the parts of a mail: after the empty line below `Content-Type: text/html` begins HTML,
/// and it ends at the next `Content-Type`.
struct Place {
    line: String,
    in_headers: bool,
    html_follows: bool,
    in_html: bool,
}

impl Place {
    fn of(kind: Kind) -> Self {
        Self {
            line: String::new(),
            in_headers: kind == Kind::Mail,
            html_follows: false,
            in_html: kind == Kind::Page,
        }
    }

    fn pass(&mut self, text: &str) {
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
        let names_html = line.contains("text/html");
        if line.starts_with("content-type:") {
            self.in_headers = true;
            self.in_html = false;
            self.html_follows = names_html;
        } else if self.in_headers && line.trim().is_empty() {
            self.in_headers = false;
            self.in_html = self.html_follows;
        } else if self.in_headers && line.starts_with([' ', '\t']) {
            self.html_follows |= names_html;
        }
    }
}

/// Every brace as an expression: what two pieces write side by side is no tag either.
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
