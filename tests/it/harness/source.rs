//! The server's own source, read well enough to see what it names.

#![expect(
    clippy::string_slice,
    reason = "a reader that loses its place must fail"
)]

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file of `src/`.
pub struct Source {
    /// Its path below `src/`, such as `actor/pool.rs`.
    pub path: String,
    /// All of it.
    pub text: String,
    /// It without comments, tests and the content of literals.
    pub code: String,
    /// The content of its text literals, tests excepted.
    pub literals: Vec<String>,
}

/// What lies in this folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every file of `src/` that is not a test, in order.
pub fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&repository("src"), &mut found);
    let mut sources: Vec<Source> = found
        .iter()
        .map(|file| {
            let path = file.strip_prefix(repository("src")).unwrap();
            let text = std::fs::read_to_string(file).unwrap();
            Source::read(path.to_str().unwrap(), text)
        })
        .collect();
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(sources.len() > 50, "the source is somewhere else");
    sources
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            if !name.ends_with("tests") {
                found.push(path);
            }
        }
    }
}

impl Source {
    fn read(path: &str, text: String) -> Self {
        let (code, literals) = without_tests(&text);
        Self {
            path: path.to_owned(),
            text,
            code,
            literals,
        }
    }

    /// The part of the server that it belongs to: its first folder, or its name.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether it is one of these files, or in one of these folders (`actor/`).
    pub fn is_in(&self, places: &str) -> bool {
        let within = |place: &str| {
            self.path == place || (place.ends_with('/') && self.path.starts_with(place))
        };
        places.split_whitespace().any(within)
    }

    /// Every path of more than one name that it names, `use` trees unfolded:
    /// `crate::db::Store`, `std::sync::Arc`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let words = words(&self.code);
        let mut at = 0;
        while at < words.len() {
            let goes_on = at > 1 && words[at - 1] == "::" && ends_a_name(words[at - 2]);
            let is_path = is_name(words[at]) && words.get(at + 1) == Some(&"::");
            at = if is_path && !goes_on {
                unfold(&words, at, "", &mut paths)
            } else {
                at + 1
            };
        }
        paths
    }

    /// The paths into other parts of the server, such as `db::Store`.
    pub fn paths_into_other_rooms(&self) -> Vec<String> {
        let all = self.paths();
        let inner = all.iter().filter_map(|path| path.strip_prefix("crate::"));
        let depth = self.path.matches('/').count() + usize::from(!self.path.ends_with("/mod.rs"));
        let up = format!("{}::", vec!["super"; depth].join("::"));
        let upper = all.iter().filter_map(|path| path.strip_prefix(&up));
        let mut paths: Vec<String> = inner
            .chain(upper)
            .filter(|path| path.split("::").next() != Some(self.room()))
            .map(str::to_owned)
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// The first path that begins with one of these names of crates or modules.
    pub fn path_into(&self, modules: &str) -> Option<String> {
        let begins = |path: &String| modules.split_whitespace().any(|m| is_within(path, m));
        self.paths().into_iter().find(begins)
    }

    /// The first of these words that stands in its code.
    pub fn word_of(&self, wanted: &str) -> Option<&str> {
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        words(&self.code)
            .into_iter()
            .find(|word| wanted.contains(word))
    }
}

/// Whether a path names a module or something in it.
pub fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Follows a path, or all branches of a tree, that begins at `at`; answers
/// where it ends.
fn unfold(words: &[&str], mut at: usize, before: &str, paths: &mut Vec<String>) -> usize {
    let mut path = before.to_owned();
    while words.get(at).is_some_and(|word| is_name(word)) {
        path.push_str(words[at]);
        at += 1;
        if words.get(at) != Some(&"::") {
            break;
        }
        path.push_str("::");
        at += 1;
    }
    if words.get(at) != Some(&"{") {
        paths.push(path.trim_end_matches(':').to_owned());
        return at;
    }
    at += 1;
    while words.get(at).is_some_and(|word| *word != "}") {
        at = match words[at] {
            "as" => at + 2,
            word if is_name(word) => unfold(words, at, &path, paths),
            _ => at + 1,
        };
    }
    at + 1
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn ends_a_name(word: &str) -> bool {
    is_name(word) || word == ">"
}

/// Names, `::`, and single characters.
fn words(code: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while !rest.is_empty() {
        let name = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let length = match name {
            0 if rest.starts_with("::") => 2,
            0 => rest.chars().next().unwrap().len_utf8(),
            name => name,
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}

/// The code, with every literal empty, and the literals.
fn without_tests(text: &str) -> (String, Vec<String>) {
    let (mut code, mut literals) = without_comments(text);
    while let Some(begin) = code.find("#[cfg(test)]") {
        let end = end_of_item(&code[begin..]) + begin;
        let before = code[..begin].matches('"').count() / 2;
        let within = code[begin..end].matches('"').count() / 2;
        literals.drain(before..before + within);
        code.replace_range(begin..end, "");
    }
    (code, literals)
}

fn end_of_item(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn without_comments(text: &str) -> (String, Vec<String>) {
    let (mut code, mut literals) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let used = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some((content, used)) = literal(rest) {
            code.push_str("\"\"");
            literals.push(rest[content].to_owned());
            used
        } else if let Some(used) = character(rest) {
            used
        } else if c.is_alphanumeric() || c == '_' {
            // A whole word, so that its last letter is not taken for a prefix.
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let word = &rest[..end.unwrap_or(rest.len())];
            code.push_str(word);
            word.len()
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = &rest[used..];
    }
    (code, literals)
}

/// The content of the text literal that stands here, and its length.
fn literal(text: &str) -> Option<(Range<usize>, usize)> {
    let prefix = text.len() - text.trim_start_matches(['b', 'c']).len();
    let after = &text[prefix..];
    if let Some(raw) = after.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let begin = prefix + 1 + hashes + 1;
        let end_mark = format!("\"{}", "#".repeat(hashes));
        raw[hashes..].strip_prefix('"')?;
        let end = begin + text[begin..].find(&end_mark)?;
        return Some((begin..end, end + end_mark.len()));
    }
    after.strip_prefix('"')?;
    let begin = prefix + 1;
    let mut escaped = false;
    for (at, c) in text[begin..].char_indices() {
        match c {
            '"' if !escaped => return Some((begin..begin + at, begin + at + 1)),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// The length of the character literal that stands here; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let length = match inner.strip_prefix('\\') {
        Some(escape) => 1 + escape.chars().next()?.len_utf8(),
        None => inner.chars().next()?.len_utf8(),
    };
    let end = inner[length..].find('\'')?;
    let closed = end == 0 || (inner.starts_with('\\') && end < 10);
    closed.then_some(1 + length + end + 1)
}

#[test]
fn the_reader_sees_code_and_only_code() {
    let text = r##"
        use a::{b, c::{self, D as E}, f::*};
        // crate::no
        const T: &str = r#"crate::no {" "#; /* crate::no */
        fn g<'x>(y: &'x super::z::Z) { h('"', '\'', b'{', "M_A\"{", ::i::j()) }
        #[cfg(test)] mod tests { use k::l; const M: &str = "M_B"; }
        use k::m;
    "##;
    let source = Source::read("n/o.rs", text.to_owned());
    let paths = source.paths().join(" ");
    assert_eq!(paths, "a::b a::c::self a::c::D a::f super::z::Z i::j k::m");
    assert_eq!(source.literals, ["crate::no {\" ", "M_A\\\"{"]);
}
