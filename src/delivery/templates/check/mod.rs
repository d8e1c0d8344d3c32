//! Finds mistakes in the templates of a folder of brands, for their authors.
//!
//! The server rejects only templates that it cannot use. The check examines every file, also one
//! that no request would use, and with hostile values.

mod mail;
mod names;
mod samples;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use minijinja::{Environment, Value};

use super::folder::{Sources, forms};
use super::{
    INVITATION_MAIL, TemplateError, VERIFICATION_MAIL, VERIFY_CONTINUE, VERIFY_RESPONSE,
    build_message, jinja,
};
use crate::config::TemplateSettings;

/// The result of a check.
#[derive(Debug)]
pub struct CheckReport {
    /// How many brands exist.
    pub brands: usize,
    /// How many templates were examined.
    pub templates: usize,
    /// The mistakes, by file.
    pub mistakes: Vec<Mistake>,
}

/// A mistake in a template, displayed as `file:line: what`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// The line in the file, counted from 1, if it is known.
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
pub fn check(brands_dir: &Path) -> Result<CheckReport, TemplateError> {
    let sources = Arc::new(Sources::read(&TemplateSettings {
        brands_dir: Some(brands_dir.to_owned()),
        ..TemplateSettings::default()
    })?);
    let environment = jinja::environment(Arc::clone(&sources));
    let mut report = CheckReport {
        brands: 0,
        templates: 0,
        mistakes: Vec::new(),
    };
    for brand in sources.brands() {
        report.brands += 1;
        for file in FILES {
            for form in forms(file) {
                let name = format!("{brand}/{form}");
                if !sources.is_from_disk(&name) {
                    continue;
                }
                report.templates += 1;
                let subject = Subject {
                    name: &name,
                    file,
                    environment: &environment,
                    sources: &sources,
                };
                for mistake in subject.mistakes() {
                    if !report.mistakes.contains(&mistake) {
                        report.mistakes.push(mistake);
                    }
                }
            }
        }
    }
    Ok(report)
}

/// The templates of a brand.
const FILES: [&str; 4] = [
    VERIFICATION_MAIL,
    INVITATION_MAIL,
    VERIFY_RESPONSE,
    VERIFY_CONTINUE,
];

/// The template that is examined.
struct Subject<'a> {
    /// `brand/file`.
    name: &'a str,
    /// The file name of its Jinja2 form.
    file: &'static str,
    environment: &'a Environment<'static>,
    sources: &'a Sources,
}

impl Subject<'_> {
    fn is_page(&self) -> bool {
        [VERIFY_RESPONSE, VERIFY_CONTINUE].contains(&self.file)
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let mut found: Vec<Mistake> = self
            .unknown_names()
            .into_iter()
            .map(|(line, what)| self.mistake(line, what))
            .collect();
        for sample in samples::for_template(self.file) {
            match self.render(&sample.values) {
                Ok(text) => found.extend(self.check_rendered(&sample, &text)),
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

    fn check_rendered(&self, sample: &samples::Sample, text: &str) -> Vec<Mistake> {
        if self.is_page() {
            return self.unescaped(text, "the page").into_iter().collect();
        }
        let mail = build_message(text);
        let mut found = Vec::new();
        for what in mail::mistakes(&mail, &sample.values) {
            found.push(self.mistake(None, what));
        }
        if let Some(html) = mail::html(&mail) {
            found.extend(self.unescaped(&html, "the HTML part"));
        }
        if self.has_fixed_boundary(&mail) {
            let what = "its boundary is the same in every mail, so a stranger's text can end a part: \
                        write {{ multipart_boundary }}";
            found.push(self.mistake(None, what.to_owned()));
        }
        found
    }

    /// The values chosen by strangers that appear in HTML unescaped.
    fn unescaped(&self, html: &str, place: &str) -> Vec<Mistake> {
        samples::STRANGERS
            .iter()
            .filter(|(_, tag)| html.contains(tag))
            .map(|(name, _)| {
                let what = format!(
                    "{name} is unescaped in {place}: remove |safe, because a stranger chooses the value"
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
