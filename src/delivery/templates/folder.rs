//! Reads the brand folders into memory.
//!
//! A mail template is in Jinja2 (`.eml.j2`) or in Sydent's old form (`.eml`). Like Sydent, this
//! server uses the former where a brand has both.
//!
//! The name of a template is `brand/file`, as in the Python Sydent, so
//! `{% include "acme/foot.html" %}` and `{% extends "default/…" %}` work. Changes on disk take
//! effect at the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::python_format::{self, Kind};
use super::{
    BUILT_IN, INVITATION_MAIL, SINGLE_FILES, TemplateError, VERIFICATION_MAIL, VERIFY_CONTINUE,
    VERIFY_RESPONSE,
};
use crate::config::TemplateSettings;

/// The text and the file of each template, by name.
#[derive(Debug)]
pub(super) struct Sources {
    texts: BTreeMap<String, Source>,
    folders: BTreeSet<String>,
}

#[derive(Debug)]
struct Source {
    text: String,
    /// The text before its translation, if it is in Sydent's old form.
    old: Option<String>,
    /// `None` for a template that is built into the binary.
    path: Option<PathBuf>,
}

impl Sources {
    /// Reads the built-in brand, then the single files that replace a template of every brand, then
    /// the brand folders, which may override files of the built-in brand.
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
            (
                VERIFY_CONTINUE,
                include_str!("../../../config/brands/default/verify_continue_template.html"),
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
                sources.insert(setting, path.clone(), text)?;
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
        let files = entries(folder)?.into_iter();
        for (file, path) in files.filter(|(_, path)| path.is_file()) {
            let bytes = fs::read(&path).map_err(unreadable(&path))?;
            match self.insert(&format!("{brand}/{file}"), path, bytes) {
                // Such as a logo; only a template of the server must be text.
                Err(TemplateError::NotUtf8 { path }) if !is_template(&file) => {
                    log::debug!("ignoring {}: not a UTF-8 text file", path.display());
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn insert(&mut self, name: &str, path: PathBuf, bytes: Vec<u8>) -> Result<(), TemplateError> {
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(TemplateError::NotUtf8 { path });
        };
        let text = normalize_line_ends(&text);
        let (text, old) = match old_kind(name, &path, &text) {
            Some(kind) => (python_format::to_jinja(&text, kind), Some(text)),
            None => (text, None),
        };
        let path = Some(path);
        self.texts
            .insert(name.to_owned(), Source { text, old, path });
        Ok(())
    }

    /// The names of the brand folders, sorted.
    pub(super) fn brands(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }

    /// The name of the template to use for `file`: the single file that is configured for it; else
    /// that of the first brand that has one, Jinja2 before the old form; else the built-in one.
    pub(super) fn resolve(&self, brands: &[&str], file: &str) -> String {
        let single = SINGLE_FILES
            .iter()
            .find(|(single, setting)| *single == file && self.texts.contains_key(*setting));
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

    /// Whether the template comes from the administrator and not from the binary.
    pub(super) fn is_from_disk(&self, name: &str) -> bool {
        self.texts
            .get(name)
            .is_some_and(|source| source.path.is_some())
    }

    /// The text of the template `name` before its translation, if it is in Sydent's old form.
    pub(super) fn old_text(&self, name: &str) -> Option<&str> {
        self.texts.get(name)?.old.as_deref()
    }

    /// The text of the template `name`, which is `brand/file`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(|source| source.text.as_str())
    }

    /// How errors name the template: its path, if it has one.
    pub(super) fn file(&self, name: &str) -> String {
        match self.texts.get(name).and_then(|source| source.path.as_ref()) {
            Some(path) => path.display().to_string(),
            None => format!("{name} (built in)"),
        }
    }
}

/// The entries of a folder with their names. Names with a leading dot are skipped: they belong to
/// editors, version control and mounted volumes.
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

/// The file names that a template may have: that of the Jinja2 form, then that of the old form.
pub(super) fn forms(file: &str) -> impl Iterator<Item = &str> {
    [Some(file), file.strip_suffix(".j2")].into_iter().flatten()
}

/// Whether the server itself uses the file. Other files in a folder are there to be included.
fn is_template(file: &str) -> bool {
    [
        VERIFICATION_MAIL,
        VERIFY_RESPONSE,
        VERIFY_CONTINUE,
        INVITATION_MAIL,
    ]
    .into_iter()
    .flat_map(forms)
    .any(|form| form == file)
}

/// Removes a byte order mark and replaces CRLF by LF.
fn normalize_line_ends(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.replace("\r\n", "\n")
}

/// The kind of a template in Sydent's old form; `None` for a Jinja2 template.
fn old_kind(name: &str, path: &Path, text: &str) -> Option<Kind> {
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    let single = SINGLE_FILES.iter().find(|(_, setting)| *setting == name);
    let file = single.map_or(file, |(file, _)| *file);
    if file == VERIFY_RESPONSE {
        return python_format::is_old_page(text).then_some(Kind::Page);
    }
    let is_mail = is_template(file) && file != VERIFY_CONTINUE;
    let is_jinja = path.extension().is_some_and(|extension| extension == "j2");
    (is_mail && !is_jinja).then_some(Kind::Mail)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> TemplateError + use<> {
    let path = path.to_owned();
    |source| TemplateError::Unreadable { path, source }
}
