//! Parses files exactly as Python's `configparser` does with its default options: keys in lower
//! case, values over several lines, duplicates rejected, no comments after values, and `%(name)s`
//! in values.
//!
//! The crate `configparser` is not suitable: it lets the last of two equal keys or sections win,
//! has no `%(name)s`, no `%%` and no fallback to `[DEFAULT]`, and accepts a key without a value. A
//! file that is parsed differently than by Sydent would start the new server with other settings
//! than those in use. The tables in the tests are results of Python 3.11.

use std::collections::BTreeSet;

use super::ConfError;

/// The section whose values all other sections inherit.
pub(super) const DEFAULT: &str = "DEFAULT";

/// A parsed file; values are not interpolated.
#[derive(Debug, Default)]
pub(super) struct Ini {
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    name: String,
    /// In the order of the file, without duplicate keys.
    values: Vec<(String, String)>,
}

impl Ini {
    /// Parses a file.
    ///
    /// # Errors
    /// What Python rejects, with the number of the line.
    pub(super) fn parse(text: &str) -> Result<Self, ConfError> {
        let mut parser = Parser::default();
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for (index, line) in text.split('\n').enumerate() {
            parser
                .parse_line(line)
                .map_err(|problem| ConfError::new(format!("line {}", index + 1), problem))?;
        }
        for section in &mut parser.ini.sections {
            for (_, value) in &mut section.values {
                value.truncate(value.trim_end_matches(is_space).len());
            }
        }
        Ok(parser.ini)
    }

    /// A value of this section, not inherited and not interpolated.
    pub(super) fn raw(&self, section: &str, key: &str) -> Option<&str> {
        let mut values = self.section(section)?.values.iter();
        let (_, value) = values.find(|(name, _)| name == key)?;
        Some(value)
    }

    /// The names of all sections except [`DEFAULT`].
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        let names = self.sections.iter().map(|section| section.name.as_str());
        names.filter(|name| *name != DEFAULT)
    }

    /// Section, key and value of everything in the file, not interpolated.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.sections.iter().flat_map(|section| {
            let values = section.values.iter();
            values.map(|(key, value)| (section.name.as_str(), key.as_str(), value.as_str()))
        })
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

#[derive(Default)]
struct Parser {
    ini: Ini,
    /// The name of the current section.
    section: Option<String>,
    /// Whether an indented line continues the last value.
    in_value: bool,
    /// The indentation of the last key or section.
    indent: usize,
    /// All keys so far, by section.
    seen: BTreeSet<(String, String)>,
}

impl Parser {
    fn parse_line(&mut self, line: &str) -> Result<(), &'static str> {
        let value = line.trim_matches(is_space);
        if value.starts_with(['#', ';']) {
            return Ok(());
        }
        if value.is_empty() {
            self.append("");
            return Ok(());
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if self.in_value && indent > self.indent {
            self.append(value);
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = parse_header(value) {
            return self.begin_section(name);
        }
        if self.section.is_none() {
            return Err("must come after a section header, such as [general]");
        }
        let (key, value) = value
            .split_once(['=', ':'])
            .ok_or("must be `key = value`")?;
        let key = key.trim_end_matches(is_space).to_lowercase();
        if key.is_empty() {
            return Err("has no key before the value");
        }
        self.add_value(key, value.trim_matches(is_space).to_owned())
    }

    fn begin_section(&mut self, name: &str) -> Result<(), &'static str> {
        let exists = self.ini.section(name).is_some();
        if exists && name != DEFAULT {
            return Err("repeats the header of an earlier section");
        }
        if !exists {
            self.ini.sections.push(Section {
                name: name.to_owned(),
                values: Vec::new(),
            });
        }
        self.section = Some(name.to_owned());
        self.in_value = false;
        Ok(())
    }

    fn add_value(&mut self, key: String, value: String) -> Result<(), &'static str> {
        let section = self.section.clone().unwrap_or_default();
        if !self.seen.insert((section, key.clone())) {
            return Err("repeats an earlier key of this section");
        }
        if let Some(values) = self.values() {
            values.push((key, value));
        }
        self.in_value = true;
        Ok(())
    }

    /// Adds a line to the last value, if there is one.
    fn append(&mut self, line: &str) {
        if !self.in_value {
            return;
        }
        if let Some((_, value)) = self.values().and_then(|values| values.last_mut()) {
            value.push('\n');
            value.push_str(line);
        }
    }

    fn values(&mut self) -> Option<&mut Vec<(String, String)>> {
        let name = self.section.as_deref()?;
        let mut sections = self.ini.sections.iter_mut();
        let section = sections.find(|section| section.name == name)?;
        Some(&mut section.values)
    }
}

/// The name in a section header; text after the last bracket is ignored.
fn parse_header(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// The characters that Python's `str.strip` removes.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::super::percent_format::interpolate;
    use super::*;

    /// Every value of every section, as `section/key=value`.
    fn show(text: &str) -> Option<Vec<String>> {
        let ini = Ini::parse(text).ok()?;
        let mut shown = Vec::new();
        for section in ini.sections() {
            let own = ini.all().filter(|(name, ..)| *name == section);
            let inherited = ini
                .all()
                .filter(|(name, key, _)| *name == DEFAULT && ini.raw(section, key).is_none());
            for (_, key, raw) in own.chain(inherited) {
                let value = |key: &str| ini.raw(section, key).or_else(|| ini.raw(DEFAULT, key));
                let text = interpolate(raw, &value).unwrap_or_else(|_| "REFUSED".to_owned());
                shown.push(format!("{section}/{key}={text}"));
            }
        }
        Some(shown)
    }

    /// OPS-07
    #[test]
    fn parses_like_python_configparser() {
        for (text, expected) in [
            ("[a]\nk = v\n", &["a/k=v"][..]),
            ("[a]\nK.x = v\n", &["a/k.x=v"]),
            ("[a]\nk: v = w\n", &["a/k=v = w"]),
            ("[a]\nk = v ; w # x\n", &["a/k=v ; w # x"]),
            ("[a]\n# c = d\n  ; e = f\nk=v\n", &["a/k=v"]),
            ("[a]\nk = one\n  two\n\tthree\n", &["a/k=one\ntwo\nthree"]),
            (
                "[a]\nk = one\n\n  two\n\nj = x\n",
                &["a/k=one\n\ntwo", "a/j=x"],
            ),
            ("[a]\nk = one\n  # no\n  two\n", &["a/k=one\ntwo"]),
            ("[a]\nk =\n  one\n  two\n", &["a/k=\none\ntwo"]),
            (
                "[a]\n  k = one\n  j = two\n    three\n",
                &["a/k=one", "a/j=two\nthree"],
            ),
            ("[a]\nk =\n", &["a/k="]),
            (
                "[DEFAULT]\nk = 1\n[a]\n[DEFAULT]\nj = 2\n",
                &["a/k=1", "a/j=2"],
            ),
            ("[DEFAULT]\nk = 1\n[a]\nk = 2\n[b]\n", &["a/k=2", "b/k=1"]),
            ("[a] trailing\nk = v\n", &["a/k=v"]),
            ("[a]b]\nk = v\n", &["a]b/k=v"]),
            ("[ a ]\nk = v\n", &[" a /k=v"]),
            ("[a]\r\nk = v\r\n  w\r\n", &["a/k=v\nw"]),
            ("[a]\rk = v\r", &["a/k=v"]),
            ("[a]\nk = v\n [b]\nj = w\n", &["a/k=v\n[b]", "a/j=w"]),
            ("[a]\n\n [b]\nj = w\n", &["b/j=w"]),
            ("[a]\n  k = v\n[b]\nj = w\n", &["a/k=v", "b/j=w"]),
            ("[default]\nk = v\n[a]\n", &["default/k=v"]),
            ("[a]\nk = \"quoted\"\n", &["a/k=\"quoted\""]),
            ("[a]\nk  =   v  \n", &["a/k=v"]),
            ("[a]\nk = v\n#x\n\n  w\n", &["a/k=v\n\nw"]),
            ("[a]\nkÄ = ä\u{a0}\n", &["a/kä=ä"]),
            ("[a]\nk = v\u{c}\n\u{1c} w\n", &["a/k=v\nw"]),
            ("[a]\nk = one\n  j = two\n", &["a/k=one\nj = two"]),
            ("[a]\nk==v\n", &["a/k==v"]),
            (
                "[a]\nsome words: here = there\n",
                &["a/some words=here = there"],
            ),
            ("", &[]),
            ("# nothing\n", &[]),
        ] {
            assert_eq!(show(text).unwrap(), expected, "{text:?}");
        }
    }

    /// OPS-07
    #[test]
    fn interpolates_like_python_configparser() {
        let chain: Vec<String> = (0..10)
            .map(|n| format!("k{n} = %(k{})s\n", n + 1))
            .collect();
        let chain = chain.concat();
        for (text, expected) in [
            ("k = %(j)s!\nj = x%%y\n", "x%y!"),
            ("k = %(J)s\nj = %(l)s\nl = z\n", "z"),
            ("k = %%(j)s\n", "%(j)s"),
            ("k = %(j)s%(j)s\nj = %(i)s\ni = %(h)s\nh = 5\n", "55"),
            ("[DEFAULT]\nd = base\n[a]\nk = %(d)s/x\n", "base/x"),
            ("k = %(none)s\n", "REFUSED"),
            ("k = 50%\n", "REFUSED"),
            ("k = %s\n", "REFUSED"),
            ("k = %(j)d\nj = 1\n", "REFUSED"),
            ("k = %(j\nj = 1\n", "REFUSED"),
            ("k = %()s\n", "REFUSED"),
            ("k = %(k)s\n", "REFUSED"),
            ("k = %(l)s\nl = %(k)s\n", "REFUSED"),
            (&format!("k = %(k1)s\n{chain}k10 = v"), "v"),
            (&format!("k = %(k0)s\n{chain}k10 = v"), "REFUSED"),
        ] {
            let text = format!("[a]\n{text}").replace("[a]\n[DEFAULT]", "[DEFAULT]");
            let all = show(&text).unwrap();
            let value = all.iter().find_map(|line| line.strip_prefix("a/k="));
            assert_eq!(value, Some(expected), "{text:?}");
        }
    }

    /// OPS-07
    #[test]
    fn errors_of_python_are_rejected_with_their_line() {
        for (text, line) in [
            ("[a]\nk\n", "line 2 must be `key = value`"),
            ("[a]\n= v\n", "line 2 has no key"),
            ("k = v\n", "line 1 must come after"),
            ("[]\nk = v\n", "line 1 must come after"),
            ("\u{feff}[a]\nk = v\n", "line 1 must come after"),
            ("[a]\nk = 1\nK = 2\n", "line 3 repeats an earlier key"),
            ("[a]\nk = 1\n[a]\nj = 2\n", "line 3 repeats the header"),
            (
                "[DEFAULT]\nk = 1\n[DEFAULT]\nk = 2\n",
                "line 4 repeats an earlier key",
            ),
        ] {
            let error = Ini::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(line), "{text:?}: {error}");
        }
    }
}
