//! The template engine, set up so that it writes what Jinja2 writes.
//!
//! minijinja escapes `/` and names the quotes otherwise, which shows in plain text and in links;
//! the formatter and the filters here escape as Jinja2's `MarkupSafe` does. The table in
//! `tests/jinja_table.rs` holds what Jinja2 itself gives.
//!
//! What is missing (`center`, `urlize`, `xmlattr`, `truncate` without its arguments' names) is an
//! error when the template is loaded.

use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, Output, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::folder::Sources;
use super::{mime, python_format, urlencode};

/// An engine over these sources. Escaping is on in every template, mails included, as in Sydent.
pub(super) fn environment(sources: Arc<Sources>) -> Environment<'static> {
    let mut environment = Environment::new();
    // An error must not carry the values that were being rendered.
    environment.set_debug(false);
    environment.set_loader(move |name| Ok(sources.text(name).map(str::to_owned)));
    environment.set_auto_reload(false);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(format);
    environment.set_unknown_method_callback(method);
    minijinja_contrib::add_to_environment(&mut environment);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("forceescape", force_escape);
    environment.add_filter("urlencode", urlencode::urlencode);
    environment.add_filter("quoted_printable", quoted_printable);
    environment.add_filter("encoded_words", encoded_words);
    environment.add_function(python_format::FUNCTION, python_format::value);
    environment
}

/// Writes a value as `MarkupSafe` escapes it: quotes as numbers, slashes as they are.
pub(crate) fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_safe() || matches!(state.auto_escape(), AutoEscape::None) {
        write!(out, "{value}")?;
    } else {
        out.write_str(&escaped(value))?;
    }
    Ok(())
}

/// Python's methods of strings, lists and maps. One that adds no text keeps safe text safe.
fn method(state: &mut State, of: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let result = unknown_method_callback(state, of, name, args)?;
    let stays_safe = of.is_safe() && args.is_empty() && result.kind() == ValueKind::String;
    Ok(if stays_safe {
        Value::from_safe_string(result.to_string())
    } else {
        result
    })
}

fn escape(value: &Value) -> Value {
    if value.is_safe() {
        value.clone()
    } else {
        force_escape(value)
    }
}

fn force_escape(value: &Value) -> Value {
    Value::from_safe_string(escaped(value))
}

fn escaped(value: &Value) -> String {
    let text = value.to_string();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The text is in its final form afterwards: an escape on top would break the encoding.
fn quoted_printable(text: &str) -> Value {
    Value::from_safe_string(mime::quoted_printable(text))
}

fn encoded_words(text: &str) -> String {
    mime::encoded_words(text)
}
