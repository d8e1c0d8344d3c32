//! The values that Sydent runs on, each with the place that it came from, and what nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::ConfError;
use super::defaults::{DEFAULTS, VARIABLES};
use super::ini::{DEFAULT, Ini, interpolate};

/// A value.
#[derive(Debug)]
pub(super) struct Given {
    /// What it says.
    pub(super) text: String,
    /// `[section] key`.
    pub(super) key: String,
    /// The same with what it has instead of a place in the file.
    pub(super) from: String,
    /// Whether the file does not have it.
    pub(super) by_default: bool,
}

/// A file with the defaults under it.
pub(super) struct Reading {
    ini: Ini,
    /// Section, key, value, and the variable that it is from.
    defaults: Vec<(&'static str, &'static str, String, Option<&'static str>)>,
    /// Whether `[DEFAULT]` comes before Sydent's own defaults.
    default_section: bool,
    used: RefCell<BTreeSet<(String, String)>>,
}

enum Origin {
    Section,
    DefaultSection,
    Default(Option<&'static str>),
}

impl Reading {
    pub(super) fn of(
        text: &str,
        environment: &[(String, String)],
        default_section: bool,
    ) -> Result<Self, ConfError> {
        let by_variable = |section: &str, key: &str| {
            let mut variables = VARIABLES.iter();
            let (variable, ..) = *variables.find(|row| row.1 == section && row.2 == key)?;
            let (_, value) = environment.iter().find(|(name, _)| name == variable)?;
            Some((value.clone(), variable))
        };
        let defaults =
            DEFAULTS
                .iter()
                .map(|&(section, key, value)| match by_variable(section, key) {
                    Some((value, variable)) => (section, key, value, Some(variable)),
                    None => (section, key, value.to_owned(), None),
                });
        Ok(Self {
            defaults: defaults.collect(),
            ini: Ini::parse(text)?,
            default_section,
            used: RefCell::default(),
        })
    }

    /// A value that Sydent has a default for.
    pub(super) fn get(&self, section: &str, key: &str) -> Result<Given, ConfError> {
        let given = self.optional(section, key)?;
        given.ok_or_else(|| ConfError::new(place(section, key), "is missing"))
    }

    /// A value that may be missing.
    pub(super) fn optional(&self, section: &str, key: &str) -> Result<Option<Given>, ConfError> {
        self.given(section, key, |raw| {
            interpolate(raw, &|key| self.find(section, key).map(|(raw, _)| raw))
        })
    }

    /// The same as it is written, with nothing filled in.
    pub(super) fn raw(&self, section: &str, key: &str) -> Result<Option<Given>, ConfError> {
        self.given(section, key, |raw| Ok(raw.to_owned()))
    }

    fn given(
        &self,
        section: &str,
        key: &str,
        read: impl FnOnce(&str) -> Result<String, &'static str>,
    ) -> Result<Option<Given>, ConfError> {
        let Some((raw, origin)) = self.find(section, key) else {
            return Ok(None);
        };
        let place = place(section, key);
        let text = read(raw).map_err(|sentence| ConfError::new(place.clone(), sentence))?;
        let from = match origin {
            Origin::Section => {
                self.mark(section, key);
                place.clone()
            }
            Origin::DefaultSection => {
                self.mark(DEFAULT, key);
                self::place(DEFAULT, key)
            }
            Origin::Default(Some(variable)) => variable.to_owned(),
            Origin::Default(None) => format!("{place} (Sydent's default)"),
        };
        Ok(Some(Given {
            text,
            key: place,
            from,
            by_default: matches!(origin, Origin::Default(_)),
        }))
    }

    fn mark(&self, section: &str, key: &str) {
        let name = (section.to_owned(), key.to_owned());
        self.used.borrow_mut().insert(name);
    }

    /// Whether somebody asked for a value of the file.
    pub(super) fn is_used(&self, section: &str, key: &str) -> bool {
        let used = self.used.borrow();
        used.contains(&(section.to_owned(), key.to_owned()))
    }

    fn find(&self, section: &str, key: &str) -> Option<(&str, Origin)> {
        let own = || Some((self.ini.raw(section, key)?, Origin::Section));
        let shared = || Some((self.ini.raw(DEFAULT, key)?, Origin::DefaultSection));
        let default = || {
            let mut defaults = self.defaults.iter();
            let found = defaults.find(|row| row.0 == section && row.1 == key);
            found.map(|(_, _, value, variable)| (value.as_str(), Origin::Default(*variable)))
        };
        if self.default_section {
            own().or_else(shared).or_else(default)
        } else {
            own().or_else(default).or_else(shared)
        }
    }

    /// The keys of a section, those of `[DEFAULT]` included.
    pub(super) fn keys(&self, section: &str) -> BTreeSet<&str> {
        let all = self.ini.all();
        all.filter(|(name, ..)| *name == section || *name == DEFAULT)
            .map(|(_, key, _)| key)
            .collect()
    }

    /// The names of the sections that begin so, without that beginning.
    pub(super) fn sections_of<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let sections = self.ini.sections();
        sections.filter_map(move |section| section.strip_prefix(prefix))
    }

    /// What nobody asked for, with the reason.
    pub(super) fn unused(&self) -> Vec<(String, &'static str)> {
        let used = self.used.borrow();
        let mut unused = Vec::new();
        for (section, key, raw) in self.ini.all() {
            if used.contains(&(section.to_owned(), key.to_owned())) || self.is_referred_to(key) {
                continue;
            }
            let reason = if section == DEFAULT {
                match self.hidden(key, raw) {
                    Some(reason) => reason,
                    None => continue,
                }
            } else {
                UNKNOWN
            };
            unused.push((place(section, key), reason));
        }
        unused
    }

    /// Why a key of `[DEFAULT]` has no effect; nothing if it says the same as
    /// what hides it.
    fn hidden(&self, key: &str, raw: &str) -> Option<&'static str> {
        let mut defaults = self.defaults.iter();
        let Some((section, _, value, _)) = defaults.find(|row| row.1 == key) else {
            return Some(UNKNOWN);
        };
        let is_set = self.ini.raw(section, key).is_some();
        (!is_set && raw != value).then_some(HIDDEN)
    }

    fn is_referred_to(&self, key: &str) -> bool {
        let reference = format!("%({key})s");
        let mut all = self.ini.all();
        all.any(|(_, _, raw)| raw.to_lowercase().contains(&reference))
    }
}

const UNKNOWN: &str = "Sydent has no such setting";
const HIDDEN: &str = "Sydent takes its own default before what [DEFAULT] says; with \
    --default-section this takes what [DEFAULT] says";

/// How a setting of Sydent is named to people.
pub(super) fn place(section: &str, key: &str) -> String {
    format!("[{section}] {key}")
}

impl Given {
    /// A whole number.
    pub(super) fn int(&self) -> Result<i64, ConfError> {
        let text = self.text.trim().replace('_', "");
        text.parse()
            .map_err(|_no_number| self.wrong("must be a whole number"))
    }

    /// A number above 0.
    pub(super) fn positive(&self) -> Result<f64, ConfError> {
        let number = self.text.trim().replace('_', "").parse::<f64>();
        let fine = number
            .ok()
            .filter(|number| number.is_finite() && *number > 0.0);
        fine.ok_or_else(|| self.wrong("must be a number above 0"))
    }

    /// Yes or no in one of the words that Python knows.
    pub(super) fn boolean(&self) -> Result<bool, ConfError> {
        match self.text.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(true),
            "0" | "no" | "false" | "off" => Ok(false),
            _ => Err(self.wrong("must be true or false")),
        }
    }

    /// Whether it says true; all else is false.
    pub(super) fn is_true(&self) -> bool {
        self.text.to_lowercase() == "true"
    }

    /// What stands between commas.
    pub(super) fn listed(&self) -> Vec<&str> {
        if self.text.is_empty() {
            return Vec::new();
        }
        self.text.split(',').map(str::trim).collect()
    }

    /// Its lines but the empty ones.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.text
            .split('\n')
            .filter(|line| !line.is_empty())
            .collect()
    }

    pub(super) fn wrong(&self, sentence: impl Into<String>) -> ConfError {
        ConfError::new(self.key.clone(), sentence)
    }
}
