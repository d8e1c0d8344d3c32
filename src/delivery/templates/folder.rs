//! Reads the brand folders into memory.
//!
//! A template's name is `brand/file`, as with the Python Sydent, so `{% include "acme/foot.html" %}`
//! and `{% extends "default/…" %}` work. Later changes on disk count from the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{
    BUILT_IN, INVITATION_MAIL, TemplateError, VERIFICATION_MAIL, VERIFY_RESPONSE, python_format,
};

/// Each template's text, and where it came from.
#[derive(Debug)]
pub(super) struct Sources {
    texts: BTreeMap<String, Source>,
    folders: BTreeSet<String>,
}

#[derive(Debug)]
struct Source {
    text: String,
    /// Nothing for what is inside the binary.
    path: Option<PathBuf>,
}

impl Sources {
    /// The brand inside the binary and the folders in `brands_dir`, which may replace its files.
    pub(super) fn read(brands_dir: Option<&Path>) -> Result<Self, TemplateError> {
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
                path: None,
            };
            (format!("{BUILT_IN}/{file}"), source)
        });
        let mut sources = Self {
            texts: texts.into(),
            folders: BTreeSet::new(),
        };
        if let Some(dir) = brands_dir {
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
            match String::from_utf8(bytes) {
                Ok(text) => {
                    let text = prepare(&file, &text);
                    self.texts.insert(
                        format!("{brand}/{file}"),
                        Source {
                            text,
                            path: Some(path),
                        },
                    );
                }
                Err(_)
                    if [VERIFICATION_MAIL, VERIFY_RESPONSE, INVITATION_MAIL]
                        .contains(&file.as_str()) =>
                {
                    return Err(TemplateError::NotUtf8 { path });
                }
                Err(_) => log::debug!("{} is no text and no template.", path.display()),
            }
        }
        Ok(())
    }

    /// The folders' names, sorted.
    pub(super) fn brands(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().map(String::as_str)
    }

    /// The name of the first brand's `file` that exists; else the one inside the binary.
    pub(super) fn resolve(&self, brands: &[&str], file: &str) -> String {
        brands
            .iter()
            .map(|brand| format!("{brand}/{file}"))
            .find(|name| self.texts.contains_key(name))
            .unwrap_or_else(|| format!("{BUILT_IN}/{file}"))
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

/// Brings a file to the form that the engine reads as Jinja2 would: without a byte order mark,
/// with LF only, and in Jinja2's syntax.
fn prepare(file: &str, text: &str) -> String {
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n");
    if file == VERIFY_RESPONSE && text.contains("%(message)s") {
        return python_format::to_jinja(&text);
    }
    text
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> TemplateError + use<> {
    let path = path.to_owned();
    |source| TemplateError::Unreadable { path, source }
}
