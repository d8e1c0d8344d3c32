//! Reads the brand folders into memory.
//!
//! A mail template may be one in Jinja2 (`.eml.j2`) or an old one of Sydent (`.eml`), of which the
//! first is taken where a brand has both, as Sydent does.
//!
//! A template's name is `brand/file`, as with the Python Sydent, so `{% include "acme/foot.html" %}`
//! and `{% extends "default/…" %}` work. Later changes on disk count from the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::python_format::{self, Kind};
use super::{
    BUILT_IN, INVITATION_MAIL, SINGLE_FILES, TemplateError, VERIFICATION_MAIL, VERIFY_RESPONSE,
};
use crate::config::TemplateSettings;

/// Each template's text, and where it came from.
#[derive(Debug)]
pub(super) struct Sources {
    texts: BTreeMap<String, Source>,
    folders: BTreeSet<String>,
}

#[derive(Debug)]
struct Source {
    text: String,
    /// What stands in the file, if that is in Sydent's old form.
    old: Option<String>,
    /// Nothing for what is inside the binary.
    path: Option<PathBuf>,
}

impl Sources {
    /// The brand inside the binary; the folders in `brands_dir`, which may replace its files; and
    /// the files that take the place of all brands' own.
    pub(super) fn read(settings: &TemplateSettings) -> Result<Self, TemplateError> {
        let built_in = [
            (
                INVITATION_MAIL,
                include_str!("../../../config/brands/default/invite_template.eml.j2"),
            ),
            (
                VERIFICATION_MAIL,
                include_str!("../../../config/brands/default/verification_template.eml.j2"),
            ),
            (
                VERIFY_RESPONSE,
                include_str!("../../../config/brands/default/verify_response_template.html"),
            ),
        ];
        let texts = built_in.map(|(file, text)| {
            let source = Source {
                text: text.to_owned(),
                old: None,
                path: None,
            };
            (format!("{BUILT_IN}/{file}"), source)
        });
        let mut sources = Self {
            texts: texts.into(),
            folders: BTreeSet::new(),
        };
        let singles = [
            &settings.verification_mail,
            &settings.invitation_mail,
            &settings.verify_response,
        ];
        for ((_, setting), path) in SINGLE_FILES.into_iter().zip(singles) {
            if let Some(path) = path {
                let text = fs::read(path).map_err(unreadable(path))?;
                sources.take(setting, path.clone(), text)?;
            }
        }
        if let Some(dir) = &settings.brands_dir {
            for (brand, path) in entries(dir)?.into_iter().filter(|(_, path)| path.is_dir()) {
                sources.read_brand(&brand, &path)?;
                sources.folders.insert(brand);
            }
        }
        Ok(sources)
    }

    fn read_brand(&mut self, brand: &str, folder: &Path) -> Result<(), TemplateError> {
        for (file, path) in entries(folder)?
            .into_iter()
            .filter(|(_, path)| path.is_file())
        {
            let bytes = fs::read(&path).map_err(unreadable(&path))?;
            match self.take(&format!("{brand}/{file}"), path, bytes) {
                Err(TemplateError::NotUtf8 { path }) if !is_used(&file) => {
                    log::debug!("{} is no text and no template.", path.display());
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str, path: PathBuf, bytes: Vec<u8>) -> Result<(), TemplateError> {
        let Ok(written) = String::from_utf8(bytes) else {
            return Err(TemplateError::NotUtf8 { path });
        };
        let written = plain(&written);
        let source = Source {
            text: prepared(name, &path, &written),
            old: old_kind(name, &path, &written).is_some().then_some(written),
            path: Some(path),
        };
        self.texts.insert(name.to_owned(), source);
        Ok(())
    }

    /// The folders' names, sorted.
    pub(super) fn brands(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }

    /// The name of the template that is used for `file`: the single file that is set for it; else
    /// the first brand's that exists, in Jinja2 before the old form; else the one inside the binary.
    pub(super) fn resolve(&self, brands: &[&str], file: &str) -> String {
        let single = SINGLE_FILES
            .iter()
            .find(|(of, setting)| *of == file && self.texts.contains_key(*setting));
        if let Some((_, setting)) = single {
            return (*setting).to_owned();
        }
        brands
            .iter()
            .chain([&BUILT_IN])
            .flat_map(|brand| forms(file).map(move |file| format!("{brand}/{file}")))
            .find(|name| self.is_from_disk(name))
            .unwrap_or_else(|| format!("{BUILT_IN}/{file}"))
    }

    /// Whether the operator wrote this template.
    pub(super) fn is_from_disk(&self, name: &str) -> bool {
        self.texts
            .get(name)
            .is_some_and(|source| source.path.is_some())
    }

    /// What stands in the file of the template `name`, if that is in Sydent's old form.
    pub(super) fn old_text(&self, name: &str) -> Option<&str> {
        self.texts.get(name)?.old.as_deref()
    }

    /// The text of the template `name`, which is `brand/file`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(|source| source.text.as_str())
    }

    /// What to call the template in an error: its path where it has one.
    pub(super) fn file(&self, name: &str) -> String {
        match self.texts.get(name).and_then(|source| source.path.as_ref()) {
            Some(path) => path.display().to_string(),
            None => format!("{name} (built in)"),
        }
    }
}

/// What is in a folder, by name. Names that begin with a dot belong to editors, version control
/// and mounted volumes.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, TemplateError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        match path
            .file_name()
            .map(|name| name.to_str().map(str::to_owned))
        {
            Some(Some(name)) if name.starts_with('.') => {}
            Some(Some(name)) => found.push((name, path)),
            _ => return Err(TemplateError::NotUtf8 { path }),
        }
    }
    Ok(found)
}

/// The names that a template may have in a folder: that of the present form, and of the old one.
pub(super) fn forms(file: &str) -> impl Iterator<Item = &str> {
    [Some(file), file.strip_suffix(".j2")].into_iter().flatten()
}

fn is_used(file: &str) -> bool {
    [VERIFICATION_MAIL, VERIFY_RESPONSE, INVITATION_MAIL]
        .into_iter()
        .flat_map(forms)
        .any(|used| used == file)
}

/// Without a byte order mark, and with LF only.
fn plain(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.replace("\r\n", "\n")
}

/// Brings a file to the form that the engine reads as Jinja2 would.
fn prepared(name: &str, path: &Path, text: &str) -> String {
    match old_kind(name, path, text) {
        Some(kind) => python_format::to_jinja(text, kind),
        None => text.to_owned(),
    }
}

/// Whether a template is in Sydent's old form. Of other files in a folder none is: they are there
/// to be included.
fn old_kind(name: &str, path: &Path, text: &str) -> Option<Kind> {
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    let single = SINGLE_FILES.iter().find(|(_, setting)| *setting == name);
    let file = single.map_or(file, |(of, _)| *of);
    if file == VERIFY_RESPONSE {
        return python_format::is_old_page(text).then_some(Kind::Page);
    }
    let is_mail = is_used(file);
    let is_jinja = path.extension().is_some_and(|extension| extension == "j2");
    (is_mail && !is_jinja).then_some(Kind::Mail)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> TemplateError + use<> {
    let path = path.to_owned();
    |source| TemplateError::Unreadable { path, source }
}
