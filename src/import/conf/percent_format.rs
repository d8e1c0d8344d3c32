//! Python's `%(name)s` formatting, in the values of a `sydent.conf` and in the subjects of mails.

/// A part of a text with `%` formatting.
pub(super) enum Token<'a> {
    Text(&'a str),
    /// `%%`
    Percent,
    /// `%(key)s`
    Reference(&'a str),
}

pub(super) const INVALID_PERCENT: &str = "has a % that is neither %% nor %(name)s";

/// Splits a text with `%` formatting. The last token is an error if Python rejects
/// the text.
pub(super) fn tokens(mut rest: &str) -> impl Iterator<Item = Result<Token<'_>, &'static str>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (token, after) = next_token(rest).map_or_else(
            || (Err(INVALID_PERCENT), ""),
            |(token, after)| (Ok(token), after),
        );
        rest = after;
        Some(token)
    })
}

fn next_token(text: &str) -> Option<(Token<'_>, &str)> {
    let Some(formatted) = text.strip_prefix('%') else {
        let (literal, _) = text.split_once('%').unwrap_or((text, ""));
        return Some((Token::Text(literal), text.strip_prefix(literal)?));
    };
    if let Some(after) = formatted.strip_prefix('%') {
        return Some((Token::Percent, after));
    }
    let (key, after) = formatted.strip_prefix('(')?.split_once(')')?;
    let after = after.strip_prefix('s')?;
    (!key.is_empty()).then_some((Token::Reference(key), after))
}

/// Python's limit on references within values that are referred to.
const MAX_DEPTH: usize = 10;

/// Replaces the references in `text` with the values that `find` returns.
///
/// # Errors
/// What Python rejects; the error does not contain the value.
pub(super) fn interpolate<'a>(
    text: &str,
    find: &impl Fn(&str) -> Option<&'a str>,
) -> Result<String, &'static str> {
    let mut result = String::new();
    append_interpolated(text, find, 1, &mut result)?;
    Ok(result)
}

fn append_interpolated<'a>(
    text: &str,
    find: &impl Fn(&str) -> Option<&'a str>,
    depth: usize,
    result: &mut String,
) -> Result<(), &'static str> {
    if depth > MAX_DEPTH {
        return Err("refers to itself, or to other values more than 10 levels deep");
    }
    for token in tokens(text) {
        match token? {
            Token::Text(text) => result.push_str(text),
            Token::Percent => result.push('%'),
            Token::Reference(key) => {
                let value =
                    find(&key.to_lowercase()).ok_or("refers to a key that does not exist")?;
                if value.contains('%') {
                    append_interpolated(value, find, depth + 1, result)?;
                } else {
                    result.push_str(value);
                }
            }
        }
    }
    Ok(())
}
