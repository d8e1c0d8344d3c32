//! The settings that a Sydent with this `sydent.conf` runs with, and which of them
//! were converted.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::ConfError;
use super::defaults::{DEFAULTS, VARIABLES};
use super::ini::{DEFAULT, Ini};
use super::percent_format::interpolate;

/// One setting of Sydent.
#[derive(Debug)]
pub(super) struct Setting {
    /// The value, interpolated unless it was read with [`SydentSettings::get_raw`].
    pub(super) value: String,
    /// `[section] key`.
    pub(super) key: String,
    /// Where the value comes from: `[section] key`, an environment variable, or
    /// Sydent's default.
    pub(super) origin: String,
    /// Whether the value does not come from the file.
    pub(super) is_default: bool,
}

/// A `sydent.conf` with Sydent's defaults.
pub(super) struct SydentSettings {
    ini: Ini,
    defaults: Vec<SydentDefault>,
    reading: Reading,
    /// Section and key of the settings in the file that were read.
    used: RefCell<BTreeSet<(String, String)>>,
}

/// How a release of Sydent reads `[DEFAULT]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It takes precedence over Sydent's own defaults.
    DefaultSectionCounts,
    /// Sydent's own defaults take precedence over it.
    DefaultSectionHidden,
}

/// A default of Sydent.
struct SydentDefault {
    section: &'static str,
    key: &'static str,
    value: String,
    /// The environment variable that replaces the built-in default.
    variable: Option<&'static str>,
}

enum Origin {
    Section,
    DefaultSection,
    Default(Option<&'static str>),
}

impl SydentSettings {
    pub(super) fn parse(
        text: &str,
        environment: &[(String, String)],
        reading: Reading,
    ) -> Result<Self, ConfError> {
        let defaults = DEFAULTS.iter().map(|&(section, key, value)| {
            let variable = find_variable(environment, section, key);
            SydentDefault {
                section,
                key,
                value: variable.map_or(value, |(_, value)| value).to_owned(),
                variable: variable.map(|(name, _)| name),
            }
        });
        Ok(Self {
            defaults: defaults.collect(),
            ini: Ini::parse(text)?,
            reading,
            used: RefCell::default(),
        })
    }

    /// A setting that Sydent has a default for.
    pub(super) fn get(&self, section: &str, key: &str) -> Result<Setting, ConfError> {
        self.get_optional(section, key)?
            .ok_or_else(|| ConfError::new(setting_name(section, key), "is missing"))
    }

    /// A setting that may be missing.
    pub(super) fn get_optional(
        &self,
        section: &str,
        key: &str,
    ) -> Result<Option<Setting>, ConfError> {
        self.read(section, key, |raw| {
            interpolate(raw, &|key| self.find(section, key).map(|(raw, _)| raw))
        })
    }

    /// A setting that may be missing, without interpolation.
    pub(super) fn get_raw(&self, section: &str, key: &str) -> Result<Option<Setting>, ConfError> {
        self.read(section, key, |raw| Ok(raw.to_owned()))
    }

    fn read(
        &self,
        section: &str,
        key: &str,
        decode: impl FnOnce(&str) -> Result<String, &'static str>,
    ) -> Result<Option<Setting>, ConfError> {
        let Some((raw, origin)) = self.find(section, key) else {
            return Ok(None);
        };
        let name = setting_name(section, key);
        let value = decode(raw).map_err(|problem| ConfError::new(name.clone(), problem))?;
        let is_default = matches!(origin, Origin::Default(_));
        let origin = match origin {
            Origin::Section => {
                self.mark_used(section, key);
                name.clone()
            }
            Origin::DefaultSection => {
                self.mark_used(DEFAULT, key);
                setting_name(DEFAULT, key)
            }
            Origin::Default(Some(variable)) => variable.to_owned(),
            Origin::Default(None) => format!("{name} (Sydent's default)"),
        };
        Ok(Some(Setting {
            value,
            key: name,
            origin,
            is_default,
        }))
    }

    fn mark_used(&self, section: &str, key: &str) {
        let name = (section.to_owned(), key.to_owned());
        self.used.borrow_mut().insert(name);
    }

    /// Whether a setting in the file was read.
    pub(super) fn is_used(&self, section: &str, key: &str) -> bool {
        let used = self.used.borrow();
        used.contains(&(section.to_owned(), key.to_owned()))
    }

    fn find(&self, section: &str, key: &str) -> Option<(&str, Origin)> {
        let in_section = || Some((self.ini.raw(section, key)?, Origin::Section));
        let in_default_section = || Some((self.ini.raw(DEFAULT, key)?, Origin::DefaultSection));
        let in_defaults = || {
            let mut defaults = self.defaults.iter();
            let default = defaults.find(|row| row.section == section && row.key == key)?;
            Some((default.value.as_str(), Origin::Default(default.variable)))
        };
        match self.reading {
            Reading::DefaultSectionCounts => in_section()
                .or_else(in_default_section)
                .or_else(in_defaults),
            Reading::DefaultSectionHidden => in_section()
                .or_else(in_defaults)
                .or_else(in_default_section),
        }
    }

    /// The keys whose value in `[DEFAULT]` makes a difference between the two
    /// readings.
    pub(super) fn hidden_by_defaults(&self) -> Vec<&'static str> {
        self.defaults
            .iter()
            .filter(|default| {
                let in_default_section = self.ini.raw(DEFAULT, default.key);
                self.ini.raw(default.section, default.key).is_none()
                    && in_default_section.is_some_and(|raw| raw != default.value)
            })
            .map(|default| default.key)
            .collect()
    }

    /// Whether the file has a signing key in `[DEFAULT]` and none in `[crypto]`.
    pub(super) fn has_key_in_default_section(&self) -> bool {
        const KEY: &str = "ed25519.signingkey";
        let has_key = |section| {
            self.ini
                .raw(section, KEY)
                .is_some_and(|raw| !raw.is_empty())
        };
        has_key(DEFAULT) && !has_key("crypto")
    }

    /// The keys of a section, including those of `[DEFAULT]`.
    pub(super) fn keys(&self, section: &str) -> BTreeSet<&str> {
        self.ini
            .all()
            .filter(|(name, ..)| *name == section || *name == DEFAULT)
            .map(|(_, key, _)| key)
            .collect()
    }

    /// The names of the sections that begin with `prefix`, without it.
    pub(super) fn sections_with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        self.ini
            .sections()
            .filter_map(move |section| section.strip_prefix(prefix))
    }

    /// The settings in the file that were not read, each with the reason.
    pub(super) fn unused(&self) -> Vec<(String, &'static str)> {
        let mut unused = Vec::new();
        for (section, key, raw) in self.ini.all() {
            if self.is_used(section, key) || self.is_referenced(key) {
                continue;
            }
            let reason = if section == DEFAULT {
                self.shadowing_reason(key, raw)
            } else {
                Some(UNKNOWN)
            };
            if let Some(reason) = reason {
                unused.push((setting_name(section, key), reason));
            }
        }
        unused
    }

    /// Why a key of `[DEFAULT]` has no effect; `None` if it makes no difference,
    /// because the effective value is the same or is set in the section itself.
    fn shadowing_reason(&self, key: &str, raw: &str) -> Option<&'static str> {
        let mut defaults = self.defaults.iter();
        let Some(default) = defaults.find(|row| row.key == key) else {
            return Some(UNKNOWN);
        };
        let is_set = self.ini.raw(default.section, key).is_some();
        (!is_set && raw != default.value).then_some(SHADOWED)
    }

    fn is_referenced(&self, key: &str) -> bool {
        let reference = format!("%({key})s");
        self.ini
            .all()
            .any(|(_, _, raw)| raw.to_lowercase().contains(&reference))
    }
}

fn find_variable<'a>(
    environment: &'a [(String, String)],
    section: &str,
    key: &str,
) -> Option<(&'static str, &'a str)> {
    let (variable, ..) = VARIABLES
        .iter()
        .find(|(_, of_section, of_key)| *of_section == section && *of_key == key)?;
    let (_, value) = environment.iter().find(|(name, _)| name == variable)?;
    Some((variable, value))
}

const UNKNOWN: &str = "Sydent has no such setting";
const SHADOWED: &str = "Sydent's own default takes precedence over [DEFAULT], because of \
    --no-default-section";

/// The name of a Sydent setting in messages.
pub(super) fn setting_name(section: &str, key: &str) -> String {
    format!("[{section}] {key}")
}

impl Setting {
    /// The value as a whole number.
    pub(super) fn as_int(&self) -> Result<i64, ConfError> {
        let text = self.value.trim().replace('_', "");
        text.parse()
            .map_err(|_invalid| self.error("must be a whole number"))
    }

    /// The value as a number above 0.
    pub(super) fn as_positive(&self) -> Result<f64, ConfError> {
        let text = self.value.trim().replace('_', "");
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite() && *number > 0.0)
            .ok_or_else(|| self.error("must be a number above 0"))
    }

    /// The value as a boolean, in the words that Python's `getboolean` accepts.
    pub(super) fn as_bool(&self) -> Result<bool, ConfError> {
        match self.value.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(true),
            "0" | "no" | "false" | "off" => Ok(false),
            _ => Err(self.error("must be true or false")),
        }
    }

    /// Whether the value is `true`. Sydent takes all other values of some settings
    /// as false.
    pub(super) fn is_true(&self) -> bool {
        self.value.to_lowercase() == "true"
    }

    /// The items of a comma-separated list.
    pub(super) fn items(&self) -> Vec<&str> {
        if self.value.is_empty() {
            return Vec::new();
        }
        self.value.split(',').map(str::trim).collect()
    }

    /// The lines of the value, except empty ones.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.value
            .split('\n')
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// An error about this setting; `problem` completes a sentence that begins with
    /// its name.
    pub(super) fn error(&self, problem: impl Into<String>) -> ConfError {
        ConfError::new(self.key.clone(), problem)
    }
}
