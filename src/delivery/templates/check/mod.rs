//! Finds what is wrong with the templates in a folder of brands, for whoever writes them.
//!
//! The server refuses only what it cannot use. Here each file is looked at by itself, whether or
//! not a request would reach it, and with values that strangers might send.

mod mail;
mod names;
mod samples;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use minijinja::{Environment, Value};

use super::folder::{Sources, forms};
use super::{INVITATION_MAIL, TemplateError, VERIFICATION_MAIL, VERIFY_RESPONSE, finished, jinja};
use crate::config::TemplateSettings;

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// How many brands there are.
    pub brands: usize,
    /// How many templates were looked at.
    pub templates: usize,
    /// What is wrong, by file.
    pub mistakes: Vec<Mistake>,
}

/// One mistake in a template. Shown as `file:line: what`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// The line in it, counted from 1, where it is known.
    pub line: Option<usize>,
    /// A sentence without a full stop.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Renders each template of each brand in `brands_dir` with sample values.
///
/// # Errors
///
/// The folder, or a file in it, cannot be read.
pub fn check(brands_dir: &Path) -> Result<Checked, TemplateError> {
    let sources = Arc::new(Sources::read(&TemplateSettings {
        brands_dir: Some(brands_dir.to_owned()),
        ..TemplateSettings::default()
    })?);
    let environment = jinja::environment(Arc::clone(&sources));
    let mut checked = Checked {
        brands: 0,
        templates: 0,
        mistakes: Vec::new(),
    };
    for brand in sources.brands() {
        checked.brands += 1;
        for file in [VERIFICATION_MAIL, INVITATION_MAIL, VERIFY_RESPONSE] {
            for form in forms(file) {
                let name = format!("{brand}/{form}");
                if !sources.is_from_disk(&name) {
                    continue;
                }
                checked.templates += 1;
                let subject = Subject {
                    name: &name,
                    file,
                    environment: &environment,
                    sources: &sources,
                };
                for mistake in subject.mistakes() {
                    if !checked.mistakes.contains(&mistake) {
                        checked.mistakes.push(mistake);
                    }
                }
            }
        }
    }
    Ok(checked)
}

/// The template that is looked at.
struct Subject<'a> {
    /// `brand/file`.
    name: &'a str,
    /// Which one it is, in the present form.
    file: &'static str,
    environment: &'a Environment<'static>,
    sources: &'a Sources,
}

impl Subject<'_> {
    fn mistakes(&self) -> Vec<Mistake> {
        let mut found: Vec<Mistake> = self
            .unknown_names()
            .into_iter()
            .map(|(line, what)| self.mistake(line, what))
            .collect();
        for sample in samples::of(self.file) {
            match self.render(&sample.values) {
                Ok(text) => found.extend(self.in_rendering(&sample, &text)),
                Err(mistake) => {
                    found.push(mistake);
                    break;
                }
            }
        }
        found
    }

    fn render(&self, values: &BTreeMap<String, Value>) -> Result<String, Mistake> {
        let rendered = self
            .environment
            .get_template(self.name)
            .and_then(|template| template.render(values));
        rendered.map_err(
            |error| match TemplateError::broken(&error, self.name, self.sources) {
                TemplateError::Broken { file, line, reason } => Mistake {
                    file,
                    line,
                    what: reason,
                },
                other => self.mistake(None, other.to_string()),
            },
        )
    }

    fn in_rendering(&self, sample: &samples::Sample, text: &str) -> Vec<Mistake> {
        if self.file == VERIFY_RESPONSE {
            return self.unescaped(text, "the page").into_iter().collect();
        }
        let mail = finished(text);
        let mut found = Vec::new();
        for what in mail::mistakes(&mail, &sample.values) {
            found.push(self.mistake(None, what));
        }
        if let Some(html) = mail::html(&mail) {
            found.extend(self.unescaped(&html, "the HTML part"));
        }
        if self.has_fixed_boundary(&mail) {
            let what = "its parts are delimited by text that is the same in each mail, so that a \
                        stranger's text can end them: write {{ multipart_boundary }}";
            found.push(self.mistake(None, what.to_owned()));
        }
        found
    }

    /// The values that a stranger chose and that stand in HTML as they are.
    fn unescaped(&self, html: &str, place: &str) -> Vec<Mistake> {
        samples::STRANGERS
            .iter()
            .filter(|(_, tag)| html.contains(tag))
            .map(|(name, _)| {
                let what = format!(
                    "{name} stands in {place} unescaped: leave out |safe there, as it may be anything"
                );
                self.mistake(self.line_of_unescaped(name), what)
            })
            .collect()
    }

    fn has_fixed_boundary(&self, mail: &str) -> bool {
        let Some(boundary) = mail::boundary(mail) else {
            return false;
        };
        let text = self.sources.text(self.name).unwrap_or_default();
        text.contains(&boundary)
    }

    fn mistake(&self, line: Option<usize>, what: String) -> Mistake {
        Mistake {
            file: self.sources.file(self.name),
            line,
            what,
        }
    }
}

#[cfg(test)]
mod tests;
