//! Texts of strangers as people see them: in one line, without characters that hide or
//! reorder others, and without links.

use std::borrow::Cow;

/// Joins two letters of Persian, of Indian scripts, and two emoji, or keeps them apart.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Top-level domains that no registry has: for documents, and for local networks. Some
/// programs make links of them, too.
const RESERVED: [&str; 8] = [
    "example",
    "invalid",
    "test",
    "localhost",
    "local",
    "onion",
    "internal",
    "lan",
];

/// The text in one line, without invisible and bidirectional control characters;
/// `None` if nothing else is left. A joiner stays between two characters of a word: at
/// its edges it joins nothing.
#[must_use]
pub fn one_line(text: &str) -> Option<String> {
    let mut line = String::with_capacity(text.len());
    let mut joiner = None;
    for c in text.chars() {
        if JOINERS.contains(&c) {
            joiner = joiner.or(Some(c));
        } else if c.is_whitespace() {
            joiner = None;
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !is_invisible(c) {
            let joiner = joiner.take();
            line.extend(joiner.filter(|_| !line.is_empty() && !line.ends_with(' ')));
            line.push(c);
        }
    }
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

/// Whether a character is a control character, or one of those that are not seen and may
/// reorder others.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text without joiners, to search in it: a word is the same with and without.
#[must_use]
pub fn without_joiners(text: &str) -> Cow<'_, str> {
    if text.contains(JOINERS) {
        text.replace(JOINERS, "").into()
    } else {
        text.into()
    }
}

/// Cuts a text of more than `max` characters to `kept` characters and an ellipsis
/// (INV-21).
#[must_use]
pub fn shorten(text: &str, max: usize, kept: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let shortened: String = text.chars().take(kept).collect();
    format!("{}…", shortened.trim_end_matches(JOINERS))
}

/// Rewrites a text so that mail programs do not turn it into a link (MSG-07):
/// `evil.example` becomes `evil[.]example`. They make links of URLs, of names that
/// begin with `www.`, and of names in a top-level domain, also after an `@`.
#[must_use]
pub fn defang(text: &str) -> String {
    let mut defanged = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(start) = rest.find(is_host_character) {
        let (before, from_start) = rest.split_at_checked(start).unwrap_or((rest, ""));
        let end = from_start
            .find(|c| !is_host_character(c))
            .unwrap_or(from_start.len());
        let (run, after) = from_start.split_at_checked(end).unwrap_or((from_start, ""));
        defanged.push_str(before);
        if is_linked(run) {
            defanged.push_str(&bracket_dots(run));
        } else {
            defanged.push_str(run);
        }
        rest = match scheme_end(after) {
            Some(after_colon) => {
                defanged.push_str("[:]");
                after_colon
            }
            None => after,
        };
    }
    defanged.push_str(rest);
    defanged
}

/// What follows the colon of a URL's scheme, if the text begins with one.
fn scheme_end(text: &str) -> Option<&str> {
    let after = text.strip_prefix([':', '\u{ff1a}'])?;
    after.starts_with(['/', '\u{ff0f}']).then_some(after)
}

fn is_host_character(c: char) -> bool {
    is_dot(c) || is_label_character(c)
}

/// Characters that browsers treat as a dot in host names.
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{2024}')
}

/// Letters and digits of all scripts with their marks, which are no letters.
fn is_label_character(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '-' | '_')
        || JOINERS.contains(&c)
        || (!c.is_ascii() && !c.is_whitespace() && !is_dot(c) && !is_punctuation(c))
}

/// Punctuation that ends a link outside of ASCII.
fn is_punctuation(c: char) -> bool {
    matches!(c, '\u{a1}'..='\u{a9}' | '\u{ab}' | '\u{ac}' | '\u{ae}'..='\u{b1}' | '\u{b4}'..='\u{b8}'
        | '\u{bb}' | '\u{bf}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'
        | '\u{3003}'..='\u{3020}' | '\u{ff01}'..='\u{ff0d}' | '\u{ff0f}' | '\u{ff1a}'..='\u{ff20}')
}

/// Whether a mail program would make a link of labels that dots separate: any label
/// but the first can end a name.
fn is_linked(run: &str) -> bool {
    let mut labels = run.split(is_dot);
    let first = labels.next().unwrap_or_default();
    let mut labels = labels.peekable();
    let is_www = first.eq_ignore_ascii_case("www") && labels.peek().is_some_and(|l| !l.is_empty());
    // After an empty label a new name begins.
    let mut follows = !first.is_empty();
    is_www
        || labels.any(|label| {
            let ends_name = follows && is_top_level(label);
            follows = !label.is_empty();
            ends_name
        })
}

fn is_top_level(label: &str) -> bool {
    let label = without_joiners(label);
    let label = label.trim_end_matches(['-', '_']);
    let Ok(ascii) = idna::domain_to_ascii(label) else {
        return false;
    };
    RESERVED.contains(&ascii.as_str())
        || psl::suffix(ascii.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// Puts every dot between two labels into brackets.
fn bracket_dots(run: &str) -> String {
    let mut bracketed = String::with_capacity(run.len() + 8);
    let mut before = '.';
    let mut rest = run.chars().peekable();
    while let Some(c) = rest.next() {
        let follows = rest.peek().is_some_and(|after| !is_dot(*after));
        if is_dot(c) && !is_dot(before) && follows {
            bracketed.push_str("[.]");
        } else {
            bracketed.push(c);
        }
        before = c;
    }
    bracketed
}

#[cfg(test)]
#[path = "shown_text_tests.rs"]
mod tests;
