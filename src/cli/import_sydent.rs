//! `sydent import sydent`: from sydent.conf and its database to a configuration, a key file and a
//! database of this server.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::import::bar;
use super::new_file::{FileAccess, StagedFile};
use super::termination::on_termination;
use super::{Failure, print};
use crate::clock::Clock;
use crate::config::{DatabaseUrl, SecretUrl, environment};
use crate::domain::ids::ServerName;
use crate::domain::lookup::Pepper;
use crate::domain::signing::KeyRing;
use crate::import::conf::{ConversionContext, Converted, SydentConf, Target};
use crate::import::data::{self, Import, Report, read_peers};
use crate::random;

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Sydent {
    /// Sydent's configuration.
    #[arg(
        long,
        env = "SYDENT_CONF",
        value_name = "FILE",
        default_value = "sydent.conf"
    )]
    conf: PathBuf,
    /// Its database, if not the one that the configuration names.
    #[arg(long, value_name = "FILE", conflicts_with = "conf_only")]
    db: Option<PathBuf>,
    /// Take over the configuration and the key, and no data.
    #[arg(long)]
    conf_only: bool,
    /// The configuration to write. The key file is written beside it, with the
    /// ending .key.
    #[arg(long, short, value_name = "FILE", default_value = "sydent.toml")]
    out: PathBuf,
    /// The database to fill, such as `sqlite:new.db` or `postgres://…`. When left
    /// out, an SQLite file beside the configuration, with the ending .sqlite.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The name under which Sydent signs, if its configuration does not say it.
    #[arg(long, value_name = "NAME")]
    server_name: Option<ServerName>,
    /// The folder that Sydent is started in, where relative paths of its
    /// configuration begin. When left out, the folder of the configuration.
    #[arg(long, value_name = "DIR")]
    started_in: Option<PathBuf>,
    /// Let `[DEFAULT]` of the configuration count before Sydent's own defaults,
    /// which Sydent does not.
    #[arg(long)]
    default_section: bool,
    /// Do everything, and then undo it: only show what would become of it.
    #[arg(long)]
    dry_run: bool,
    /// Replace the files and everything in the database that is to be filled.
    #[arg(long)]
    force: bool,
}

/// The database to fill, as it is reached and as the configuration names it.
struct TargetDatabase {
    url: DatabaseUrl,
    written: String,
}

impl Sydent {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let conf = self.conf()?;
        let source = self.source(&conf)?;
        let target = self.target()?;
        let key_out = self.out.with_extension("key");
        self.check_files(&key_out, source.as_deref(), &target)?;
        let mut source = match &source {
            Some(path) => Some(open_copy(path)?),
            None => None,
        };
        let converted = self.converted(&conf, source.as_mut(), &key_out, &target)?;
        let mut files = Vec::new();
        if !self.dry_run {
            let readers = match target.url {
                DatabaseUrl::Sqlite(_) if !converted.is_secret => FileAccess::Umask,
                _ => FileAccess::Owner,
            };
            files.push(StagedFile::write(
                &key_out,
                &converted.signing_key,
                FileAccess::Owner,
            )?);
            files.push(StagedFile::write(&self.out, &converted.toml, readers)?);
        }
        let report = match &mut source {
            Some(source) => Some(self.import(source, &target, &converted)?),
            None => None,
        };
        for file in files {
            file.put().map_err(|failure| match report {
                Some(_) => Failure::new(format!(
                    "{failure}\nThe database is filled all the same. Once the file can be \
                     written, do it again with --force."
                )),
                None => failure,
            })?;
        }
        print(&self.told(&converted, report.as_ref(), &key_out, &target))
    }

    fn conf(&self) -> Result<SydentConf, Failure> {
        let path = self.conf.display();
        let text = std::fs::read_to_string(&self.conf)
            .map_err(|error| Failure::new(format!("{path} cannot be read: {error}.")))?;
        let environment: Vec<(String, String)> = environment().collect();
        let folder = match (&self.started_in, self.conf.parent()) {
            (Some(folder), _) => folder,
            (None, Some(folder)) => folder,
            (None, None) => Path::new(""),
        };
        let circumstances = ConversionContext {
            environment: &environment,
            folder: &absolute(&folder.join("."))?,
            default_section: self.default_section,
        };
        SydentConf::parse(&text, circumstances).map_err(|error| self.not_taken(&error))
    }

    fn not_taken(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::new(format!(
            "Nothing was taken over. {}: {error}.",
            self.conf.display()
        ))
    }

    /// The database to read, unless there is to be no data.
    fn source(&self, conf: &SydentConf) -> Result<Option<PathBuf>, Failure> {
        if self.conf_only {
            return Ok(None);
        }
        let path = match &self.db {
            Some(path) => path.clone(),
            None => conf.database().map_err(|error| self.not_taken(&error))?,
        };
        if !path.is_file() {
            return Err(Failure::new(format!(
                "There is no database {}. Name Sydent's database with --db, or take over the \
                 configuration alone with --conf-only.",
                path.display()
            )));
        }
        Ok(Some(path))
    }

    fn target(&self) -> Result<TargetDatabase, Failure> {
        let Some(text) = &self.database else {
            let path = self.out.with_extension("sqlite");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let written = format!("sqlite:{name}");
            let url = DatabaseUrl::Sqlite(path);
            return Ok(TargetDatabase { url, written });
        };
        let url = DatabaseUrl::parse(text)
            .map_err(|error| Failure::new(format!("--database {error}.")))?;
        let written = match &url {
            // What is relative here begins elsewhere than in the file.
            DatabaseUrl::Sqlite(path) => format!("sqlite://{}", absolute(path)?.display()),
            DatabaseUrl::Postgres(_) => text.clone(),
        };
        Ok(TargetDatabase { url, written })
    }

    /// Refuses what would be lost or mixed up before anything is done.
    fn check_files(
        &self,
        key_out: &Path,
        source: Option<&Path>,
        target: &TargetDatabase,
    ) -> Result<(), Failure> {
        let folder = self.out.parent();
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let sentence = format!("There is no folder {}.", folder.display());
            return Err(Failure::new(sentence));
        }
        let mut written = vec![self.out.as_path(), key_out];
        if let DatabaseUrl::Sqlite(path) = &target.url {
            written.push(path);
        }
        for (index, one) in written.iter().enumerate() {
            if written.iter().skip(index + 1).any(|other| one == other) {
                return Err(Failure::new(format!(
                    "{} would be written twice; choose another name for --out.",
                    one.display()
                )));
            }
            for read in [Some(self.conf.as_path()), source].into_iter().flatten() {
                if is_same_file(one, read) {
                    return Err(Failure::new(format!(
                        "{} is Sydent's own; choose another file to write.",
                        one.display()
                    )));
                }
            }
        }
        for path in [&self.out, key_out] {
            if path.is_dir() {
                let sentence = format!("{} is a folder.", path.display());
                return Err(Failure::new(sentence));
            }
            if !self.force && path.exists() {
                return Err(Failure::new(format!(
                    "{} exists already; nothing was written. --force replaces it.",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    fn converted(
        &self,
        conf: &SydentConf,
        source: Option<&mut data::Sydent>,
        key_out: &Path,
        target: &TargetDatabase,
    ) -> Result<Converted, Failure> {
        let peers = match source {
            Some(source) => read_peers(source).map_err(|error| self.not_taken(&error))?,
            None => Vec::new(),
        };
        let target = Target {
            server_name: self.server_name.as_ref(),
            file: &self.out,
            key_file: &key_out.file_name().unwrap_or_default().to_string_lossy(),
            database: &target.written,
            peers: &peers,
        };
        conf.convert(&target)
            .map_err(|error| self.not_taken(&error))
    }

    fn import(
        &self,
        source: &mut data::Sydent,
        target: &TargetDatabase,
        converted: &Converted,
    ) -> Result<Report, Failure> {
        let nothing = |error: &dyn std::fmt::Display| {
            Failure::new(format!("Nothing was taken over: {error}."))
        };
        let keys = KeyRing::parse(&converted.signing_key).map_err(|error| nothing(&error))?;
        let bar = bar();
        let import = Import {
            source,
            target: target.url.clone(),
            server_name: converted.server_name.clone(),
            keys,
            fresh_pepper: fresh_pepper()?,
            dry_run: self.dry_run,
            force: self.force,
            now: Clock::system().now(),
        };
        let report = import.run(&mut |done, total| {
            bar.set_length(total);
            bar.set_position(done.min(total));
        });
        bar.finish_and_clear();
        report.map_err(|error| nothing(&error))
    }

    fn told(
        &self,
        converted: &Converted,
        report: Option<&Report>,
        key_out: &Path,
        target: &TargetDatabase,
    ) -> String {
        let mut text = String::new();
        let mut list = |head: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                // Writing to a text does not fail.
                let _ = write!(text, "{head}\n- {}\n\n", lines.join("\n- "));
            }
        };
        list("In the configuration, look at:", converted.remarks.clone());
        let without = converted.without_counterpart.iter();
        let without = without.map(|(key, reason)| format!("{key}: {reason}."));
        list("Settings without a counterpart:", without.collect());
        match report {
            Some(report) => text.push_str(&report.to_string()),
            None => text.push_str(NO_DATA),
        }
        if self.dry_run {
            text.push_str("This was a dry run: nothing was written.\n");
            return text;
        }
        let _ = write!(
            text,
            "\nWrote {} and the signing key {}; the database is {:?}.\nNext: sydent config check \
             --config {}\n",
            self.out.display(),
            key_out.display(),
            SecretUrl::from(target.written.clone()),
            self.out.display()
        );
        text
    }
}

const NO_DATA: &str = "Only the configuration and the key were taken over, and no data: the server \
    will know of no binding, account or invitation that Sydent has.\n";

/// Copies and opens the database. No signal that ends this command leaves the
/// copy behind.
fn open_copy(path: &Path) -> Result<data::Sydent, Failure> {
    on_termination(data::remove_private_copies)?;
    data::Sydent::open_copy(path)
        .map_err(|error| Failure::new(format!("Nothing was imported: {error}.")))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(format!("{} has no usable name: {error}.", path.display())))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some_and(|one| real(other) == Some(one))
}

fn fresh_pepper() -> Result<Pepper, Failure> {
    let mut bytes = [0; 16];
    random::fill(&mut bytes)
        .map_err(|error| Failure::new(format!("No pepper was made: {error}.")))?;
    Ok(Pepper::of(u128::from_le_bytes(bytes)))
}
