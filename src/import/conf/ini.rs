//! Files in the format of Python's `configparser`, read as it reads them with the settings that
//! Sydent leaves alone: keys in lower case, values over several lines, duplicates refused, no
//! comments behind values, and `%(name)s` in values.
//!
//! The crate `configparser` does not do: it lets the last of two equal keys or sections win, knows
//! no `%(name)s`, `%%` or `[DEFAULT]` behind all sections, and takes a key without a value. What a
//! Sydent runs on must be read as that Sydent reads it, or a server comes up under other settings
//! than those that were in use. The tables below hold what Python 3.11 made of each text.

use std::collections::BTreeSet;

use super::ConfError;

/// The section whose values count in all others.
pub(super) const DEFAULT: &str = "DEFAULT";

/// A file by sections, values as they are written.
#[derive(Debug, Default)]
pub(super) struct Ini {
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    name: String,
    /// In the order of the file; a key stands there once.
    values: Vec<(String, String)>,
}

impl Ini {
    /// Reads a file.
    ///
    /// # Errors
    /// What Python refuses, with the line.
    pub(super) fn parse(text: &str) -> Result<Self, ConfError> {
        let mut parser = Parser::default();
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for (index, line) in text.split('\n').enumerate() {
            parser
                .line(line)
                .map_err(|sentence| ConfError::new(format!("line {}", index + 1), sentence))?;
        }
        let mut ini = parser.ini;
        for (_, value) in ini
            .sections
            .iter_mut()
            .flat_map(|section| &mut section.values)
        {
            let length = value.trim_end_matches(is_space).len();
            value.truncate(length);
        }
        Ok(ini)
    }

    /// A value of that very section, as it is written.
    pub(super) fn raw(&self, section: &str, key: &str) -> Option<&str> {
        let mut values = self.section(section)?.values.iter();
        let found = values.find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The sections' names, without [`DEFAULT`].
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        let names = self.sections.iter().map(|section| section.name.as_str());
        names.filter(|name| *name != DEFAULT)
    }

    /// Everything in the file: section, key, and value as it is written.
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
    /// Where in the file we are.
    section: Option<String>,
    /// Whether a further line may belong to the last value.
    in_value: bool,
    indent: usize,
    seen: BTreeSet<(String, String)>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
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
        if let Some(name) = header(value) {
            return self.begin(name);
        }
        if self.section.is_none() {
            return Err("must stand below a section's name in brackets, such as [general]");
        }
        let (key, value) = value
            .split_once(['=', ':'])
            .ok_or("must be a key, = or :, and a value")?;
        let key = key.trim_end_matches(is_space).to_lowercase();
        if key.is_empty() {
            return Err("must have a key before the value");
        }
        self.set(key, value.trim_matches(is_space).to_owned())
    }

    fn begin(&mut self, name: &str) -> Result<(), &'static str> {
        let known = self.ini.section(name).is_some();
        if known && name != DEFAULT {
            return Err("begins a section that is there already");
        }
        if !known {
            self.ini.sections.push(Section {
                name: name.to_owned(),
                values: Vec::new(),
            });
        }
        self.section = Some(name.to_owned());
        self.in_value = false;
        Ok(())
    }

    fn set(&mut self, key: String, value: String) -> Result<(), &'static str> {
        let section = self.section.clone().unwrap_or_default();
        if !self.seen.insert((section, key.clone())) {
            return Err("has a key that is there already in this section");
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

/// A section's name; what stands behind the last bracket does not count.
fn header(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// What Python takes for white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// How deep values may refer to one another.
const DEEPEST: usize = 10;

/// A value with those filled in that it refers to.
///
/// # Errors
/// What Python refuses, without the value.
pub(super) fn interpolate<'a>(
    text: &str,
    value: &impl Fn(&str) -> Option<&'a str>,
) -> Result<String, &'static str> {
    let mut filled = String::new();
    fill(text, value, 1, &mut filled)?;
    Ok(filled)
}

fn fill<'a>(
    text: &str,
    value: &impl Fn(&str) -> Option<&'a str>,
    depth: usize,
    filled: &mut String,
) -> Result<(), &'static str> {
    const SIGN: &str = "has a % that is neither %% nor %(key)s";
    if depth > DEEPEST {
        return Err("refers to itself, or too deep");
    }
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            filled.push('%');
            rest = after;
            continue;
        }
        let (key, after) = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'))
            .ok_or(SIGN)?;
        rest = after.strip_prefix('s').ok_or(SIGN)?;
        if key.is_empty() {
            return Err(SIGN);
        }
        let found = value(&key.to_lowercase()).ok_or("refers to a key that is not there")?;
        if found.contains('%') {
            fill(found, value, depth + 1, filled)?;
        } else {
            filled.push_str(found);
        }
    }
    filled.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of every section, as `section/key=value`.
    fn read(text: &str) -> Option<Vec<String>> {
        let ini = Ini::parse(text).ok()?;
        let of_default = || ini.all().filter(|(section, ..)| *section == DEFAULT);
        let mut shown = Vec::new();
        for section in ini.sections() {
            let own = ini.all().filter(|(name, ..)| *name == section);
            let inherited = of_default().filter(|(_, key, _)| ini.raw(section, key).is_none());
            for (_, key, raw) in own.chain(inherited) {
                let value = |key: &str| ini.raw(section, key).or_else(|| ini.raw(DEFAULT, key));
                let text = interpolate(raw, &value).unwrap_or_else(|_| "REFUSED".to_owned());
                shown.push(format!("{section}/{key}={text}"));
            }
        }
        Some(shown)
    }

    #[test]
    fn ops_07_what_python_reads() {
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
            assert_eq!(read(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn ops_07_what_python_fills_in() {
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
            let all = read(&text).unwrap();
            let value = all.iter().find_map(|line| line.strip_prefix("a/k="));
            assert_eq!(value, Some(expected), "{text:?}");
        }
    }

    #[test]
    fn ops_07_what_python_refuses_is_refused_with_its_line() {
        for (text, line) in [
            ("[a]\nk\n", "line 2 must be a key"),
            ("[a]\n= v\n", "line 2 must have a key"),
            ("k = v\n", "line 1 must stand below"),
            ("[]\nk = v\n", "line 1 must stand below"),
            ("\u{feff}[a]\nk = v\n", "line 1 must stand below"),
            (
                "[a]\nk = 1\nK = 2\n",
                "line 3 has a key that is there already",
            ),
            ("[a]\nk = 1\n[a]\nj = 2\n", "line 3 begins a section"),
            ("[DEFAULT]\nk = 1\n[DEFAULT]\nk = 2\n", "line 4 has a key"),
        ] {
            let refusal = Ini::parse(text).unwrap_err().to_string();
            assert!(refusal.starts_with(line), "{text:?}: {refusal}");
        }
    }
}
