//! The files and the database that `sydent import sydent` writes.

use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::config::DatabaseUrl;

/// The database to fill: its URL, and the same as the configuration contains it.
pub(super) struct TargetDatabase {
    pub(super) url: DatabaseUrl,
    pub(super) configured: String,
}

impl TargetDatabase {
    /// Reads `--database`; without it, an SQLite file named like the configuration file.
    pub(super) fn new(database: Option<&str>, out: &Path) -> Result<Self, Failure> {
        let Some(text) = database else {
            let path = out.with_extension("sqlite");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let configured = format!("sqlite:{name}");
            let url = DatabaseUrl::Sqlite(path);
            return Ok(Self { url, configured });
        };
        let url = DatabaseUrl::parse(text)
            .map_err(|error| Failure::new(format!("--database {error}.")))?;
        let configured = match &url {
            // A relative path on the command line starts at the working directory, one in
            // the configuration at the folder of the file.
            DatabaseUrl::Sqlite(path) => format!("sqlite://{}", absolute(path)?.display()),
            DatabaseUrl::Postgres(_) => text.to_owned(),
        };
        Ok(Self { url, configured })
    }
}

/// Where an import writes, and what it reads.
pub(super) struct ImportPaths<'a> {
    /// The configuration file and the key file to write.
    pub(super) outputs: [&'a Path; 2],
    /// The database to fill.
    pub(super) target: &'a TargetDatabase,
    /// Sydent's configuration file, and its database if that is imported.
    pub(super) sources: Vec<&'a Path>,
    /// Whether existing outputs may be replaced.
    pub(super) force: bool,
}

impl ImportPaths<'_> {
    /// Fails when the import would overwrite one of its own files, a file of Sydent, or,
    /// without `--force`, an existing file.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let [config, _] = self.outputs;
        let folder = config
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::new(format!(
                "The folder {} does not exist; create it first.",
                folder.display()
            )));
        }
        self.check_distinct()?;
        for path in self.outputs {
            if path.is_dir() {
                return Err(Failure::new(format!(
                    "{} is a folder; set another file name with --out.",
                    path.display()
                )));
            }
            if !self.force && path.exists() {
                return Err(Failure::new(format!(
                    "{} already exists; nothing was written. Use --force to replace it.",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    fn check_distinct(&self) -> Result<(), Failure> {
        let mut written = self.outputs.to_vec();
        if let DatabaseUrl::Sqlite(path) = &self.target.url {
            written.push(path);
        }
        for (index, path) in written.iter().enumerate() {
            if written.iter().skip(index + 1).any(|other| other == path) {
                return Err(Failure::new(format!(
                    "{} would be written twice; set another file name with --out.",
                    path.display()
                )));
            }
            if self.sources.iter().any(|source| is_same_file(path, source)) {
                return Err(Failure::new(format!(
                    "{} belongs to Sydent; set another file with --out or --database.",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// The path, independent of the working directory.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(format!("{} is not a usable path: {error}.", path.display())))
}

fn is_same_file(path: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().ok();
    canonical(path).is_some_and(|path| canonical(other) == Some(path))
}
