//! The files of `src/`, as far as the invariants are about them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::reader::Code;
use crate::harness::repository;

/// A file of `src/` without its tests.
pub struct Source {
    /// Its path below `src/`, such as `actor/pool.rs`.
    pub path: String,
    /// All of it, with its tests.
    pub text: String,
    /// What its code names.
    pub code: Code,
}

/// Every file of `src/` that is not a test, in order.
pub fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let mut files = Vec::new();
        collect(&repository("src"), &mut files);
        files.sort();
        assert!(files.len() > 50, "src/ has only {} files", files.len());
        files.iter().map(|file| Source::read(file)).collect()
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(file: &Path) -> Self {
        let path = file.strip_prefix(repository("src")).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        let code = Code::read(&module_of(&path), &text);
        Self { path, text, code }
    }

    /// Its module, such as `actor::pool`; empty for the crate.
    pub fn module(&self) -> String {
        module_of(&self.path)
    }

    /// The top-level module that it belongs to.
    pub fn top_module(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether it is one of these files, or in one of these folders (`actor/`).
    pub fn is_in(&self, places: &str) -> bool {
        let contains = |place: &str| {
            self.path == place || (place.ends_with('/') && self.path.starts_with(place))
        };
        places.split_whitespace().any(contains)
    }

    /// The paths into other top-level modules, such as `db::Store`.
    pub fn paths_into_other_modules(&self) -> BTreeSet<&str> {
        let paths = self.code.internal.iter().map(String::as_str);
        let elsewhere = |path: &&str| !is_within(path, self.top_module());
        paths.filter(elsewhere).collect()
    }

    /// The first path that begins with one of these names of crates or modules.
    pub fn path_into(&self, modules: &str) -> Option<&String> {
        let begins = |path: &&String| modules.split_whitespace().any(|m| is_within(path, m));
        self.code.paths.iter().find(begins)
    }

    /// The first of these names that its code contains.
    pub fn name_among<'a>(&self, names: &'a str) -> Option<&'a str> {
        let mut names = names.split_whitespace();
        names.find(|name| self.code.names.contains(*name))
    }
}

fn module_of(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap();
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" | "main" => String::new(),
        path => path.replace('/', "::"),
    }
}

/// Whether a path names a module or something in it.
pub fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
