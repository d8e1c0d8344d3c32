//! HTML escaping.

/// How quotes are escaped. `&`, `<` and `>` are escaped the same way in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// `&#34;` and `&#39;`, as Jinja2's `MarkupSafe` writes them.
    MarkupSafe,
    /// `&quot;` and `&#x27;`, as Python's `html.escape` writes them.
    PythonHtml,
}

/// Escapes a text for HTML.
///
/// `minijinja::HtmlEscape` escapes `/` too. Neither Jinja2 nor Python does, and templates of the
/// Python Sydent must render to the same bytes here.
pub(super) fn escape(text: &str, quotes: Quotes) -> String {
    let (double, single) = match quotes {
        Quotes::MarkupSafe => ("&#34;", "&#39;"),
        Quotes::PythonHtml => ("&quot;", "&#x27;"),
    };
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str(double),
            '\'' => escaped.push_str(single),
            other => escaped.push(other),
        }
    }
    escaped
}
