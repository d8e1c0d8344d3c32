//! The template engine, set up to render what Jinja2 renders.
//!
//! minijinja escapes `/` and writes quotes as named entities, which shows in plain text and in
//! links. The formatter and the filters here escape as Jinja2's `MarkupSafe` does. The table in
//! `tests/jinja_table.rs` holds the output of Jinja2 itself.
//!
//! A template that uses something missing (`center`, `urlize`, `xmlattr`, keyword arguments of
//! `truncate`) fails when it is loaded.

use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, Output, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::folder::Sources;
use super::html::{self, Quotes};
use super::{mime, python_format, urlencode};

/// Creates an engine for these sources. Like Sydent, it escapes in every template, mails included.
pub(super) fn environment(sources: Arc<Sources>) -> Environment<'static> {
    let mut environment = Environment::new();
    // With debug on, an error would contain the rendered values.
    environment.set_debug(false);
    environment.set_loader(move |name| Ok(sources.text(name).map(str::to_owned)));
    environment.set_auto_reload(false);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(escaping_formatter);
    environment.set_unknown_method_callback(call_python_method);
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

/// Writes a value escaped as `MarkupSafe` does, unless it is marked as safe or escaping is off.
pub(crate) fn escaping_formatter(
    out: &mut Output,
    state: &mut State,
    value: &Value,
) -> Result<(), Error> {
    if value.is_safe() || matches!(state.auto_escape(), AutoEscape::None) {
        write!(out, "{value}")?;
    } else {
        out.write_str(&escape_value(value))?;
    }
    Ok(())
}

/// Calls one of Python's methods of strings, lists and maps. A method without arguments adds no
/// text, so its result is as safe as the string itself.
fn call_python_method(
    state: &mut State,
    receiver: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let result = unknown_method_callback(state, receiver, name, args)?;
    let stays_safe = receiver.is_safe() && args.is_empty() && result.kind() == ValueKind::String;
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
    Value::from_safe_string(escape_value(value))
}

fn escape_value(value: &Value) -> String {
    html::escape(&value.to_string(), Quotes::MarkupSafe)
}

/// Marks the result as safe: escaping it would break the encoding.
fn quoted_printable(text: &str) -> Value {
    Value::from_safe_string(mime::quoted_printable(text))
}

fn encoded_words(text: &str) -> String {
    mime::encoded_words(text)
}
