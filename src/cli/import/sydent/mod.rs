//! `sydent import sydent`: writes a configuration, a key file and a database from the
//! `sydent.conf` and the database of a Python Sydent.

mod summary;
mod target;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::Args;

use self::summary::Summary;
use self::target::{ImportPaths, TargetDatabase, absolute};
use crate::cli::failure::Failure;
use crate::cli::new_file::{FileAccess, StagedFile};
use crate::cli::progress_bar::progress_bar;
use crate::cli::stdout::{print, shown_lines};
use crate::cli::termination::on_termination;
use crate::clock::Clock;
use crate::config::{DatabaseUrl, environment};
use crate::domain::ids::ServerName;
use crate::domain::lookup::Pepper;
use crate::domain::session_secrets::HashKey;
use crate::domain::signing::KeyRing;
use crate::import::conf::{ConversionContext, Converted, DefaultSection, SydentConf, Target};
use crate::import::data::{self, Import, Report, read_peers};
use crate::{priority, random};

/// The options of `sydent import sydent`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(in crate::cli) struct Sydent {
    /// The configuration file of Sydent.
    #[arg(
        long,
        env = "SYDENT_CONF",
        value_name = "FILE",
        default_value = "sydent.conf"
    )]
    conf: PathBuf,
    /// The database of Sydent [default: the one in its configuration].
    #[arg(long, value_name = "FILE", conflicts_with = "conf_only")]
    db: Option<PathBuf>,
    /// Import only the configuration and the signing key, no data.
    #[arg(long)]
    conf_only: bool,
    /// The configuration file to write. The key file gets the same name with the
    /// extension .key.
    #[arg(long, short, value_name = "FILE", default_value = "sydent.toml")]
    out: PathBuf,
    /// The database to fill, such as `sqlite:new.db` or `postgres://…` [default: an
    /// SQLite file named like the configuration file, with the extension .sqlite].
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The server name that Sydent signs with, if its configuration does not set one.
    #[arg(long, value_name = "NAME")]
    server_name: Option<ServerName>,
    /// The working directory of Sydent, which relative paths in its configuration start
    /// at [default: the folder of its configuration].
    #[arg(long, value_name = "DIR")]
    started_in: Option<PathBuf>,
    /// Values in `[DEFAULT]` of the configuration count, as in Sydent up to 1.0, from
    /// git and from 2.7 on. This is the default, unless it decides about something
    /// sensitive.
    #[arg(long)]
    default_section: bool,
    /// Sydent's built-in defaults hide values in `[DEFAULT]`, as in the releases 2.0.0 to
    /// 2.6.1 on pypi.org.
    #[arg(long, conflicts_with = "default_section")]
    no_default_section: bool,
    /// Run the import in a transaction and roll it back; write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Replace existing files, and all data in the database to fill.
    #[arg(long)]
    force: bool,
}

impl Sydent {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        // A server may run on the machine, Sydent for one.
        priority::give_way();
        let conf = self.conf()?;
        let source = self.source(&conf)?;
        let target = TargetDatabase::new(self.database.as_deref(), &self.out)?;
        let key_file = self.out.with_extension("key");
        let sources = [Some(self.conf.as_path()), source.as_deref()];
        ImportPaths {
            outputs: [&self.out, &key_file],
            target: &target,
            sources: sources.into_iter().flatten().collect(),
            force: self.force,
        }
        .check()?;
        let mut source = match &source {
            Some(path) => Some(open_copy(path)?),
            None => None,
        };
        let converted = self.convert(&conf, source.as_mut(), &key_file, &target)?;
        let files = if self.dry_run {
            Vec::new()
        } else {
            self.stage(&converted, &key_file, &target)?
        };
        let report = match &mut source {
            Some(source) => Some(self.import(source, &target, &converted)?),
            None => None,
        };
        for file in files {
            file.commit().map_err(|failure| match report {
                Some(_) => Failure::new(format!(
                    "{failure}\nThe database has been filled nevertheless. Make the file writable \
                     and run the import again with --force."
                )),
                None => failure,
            })?;
        }
        print(
            &Summary {
                converted: &converted,
                report: report.as_ref(),
                config: &self.out,
                key_file: &key_file,
                database: &target.configured,
                dry_run: self.dry_run,
            }
            .to_string(),
        )
    }

    fn conf(&self) -> Result<SydentConf, Failure> {
        let text = std::fs::read_to_string(&self.conf).map_err(|error| {
            Failure::new(format!(
                "Cannot read {}: {error}. Set the configuration file of Sydent with --conf.",
                self.conf.display()
            ))
        })?;
        let environment: Vec<(String, String)> = environment().collect();
        let folder = match (&self.started_in, self.conf.parent()) {
            (Some(folder), _) => folder,
            (None, Some(folder)) => folder,
            (None, None) => Path::new(""),
        };
        let context = ConversionContext {
            environment: &environment,
            folder: &absolute(&folder.join("."))?,
            default_section: match (self.default_section, self.no_default_section) {
                (true, _) => DefaultSection::Counts,
                (_, true) => DefaultSection::Hidden,
                _ => DefaultSection::Unspecified,
            },
        };
        SydentConf::parse(&text, context).map_err(|error| self.conf_failure(&error))
    }

    fn conf_failure(&self, error: &dyn Display) -> Failure {
        Failure::new(format!(
            "Nothing was imported. {}: {error}.",
            self.conf.display()
        ))
    }

    /// The path of the database to read; `None` with `--conf-only`.
    fn source(&self, conf: &SydentConf) -> Result<Option<PathBuf>, Failure> {
        if self.conf_only {
            return Ok(None);
        }
        let path = match &self.db {
            Some(path) => path.clone(),
            None => conf.database().map_err(|error| self.conf_failure(&error))?,
        };
        if !path.is_file() {
            return Err(Failure::new(format!(
                "The database {} does not exist. Set the database of Sydent with --db, or import \
                 only the configuration with --conf-only.",
                path.display()
            )));
        }
        Ok(Some(path))
    }

    fn convert(
        &self,
        conf: &SydentConf,
        source: Option<&mut data::Sydent>,
        key_file: &Path,
        target: &TargetDatabase,
    ) -> Result<Converted, Failure> {
        let peers = match source {
            Some(source) => read_peers(source).map_err(|error| self.conf_failure(&error))?,
            None => Vec::new(),
        };
        let target = Target {
            server_name: self.server_name.as_ref(),
            file: &self.out,
            key_file: &key_file.file_name().unwrap_or_default().to_string_lossy(),
            database: &target.configured,
            peers: &peers,
        };
        conf.convert(&target)
            .map_err(|error| self.conf_failure(&error))
    }

    /// Writes the key file and the configuration under temporary names, so that a full
    /// disk is found before the database is filled.
    fn stage(
        &self,
        converted: &Converted,
        key_file: &Path,
        target: &TargetDatabase,
    ) -> Result<Vec<StagedFile>, Failure> {
        let access = match target.url {
            DatabaseUrl::Sqlite(_) if !converted.is_secret => FileAccess::Umask,
            _ => FileAccess::Owner,
        };
        Ok(vec![
            StagedFile::write(key_file, &converted.signing_key, FileAccess::Owner)?,
            StagedFile::write(&self.out, &converted.toml, access)?,
        ])
    }

    fn import(
        &self,
        source: &mut data::Sydent,
        target: &TargetDatabase,
        converted: &Converted,
    ) -> Result<Report, Failure> {
        let keys =
            KeyRing::parse(&converted.signing_key).map_err(|error| import_failure(&error))?;
        let bar = progress_bar();
        let import = Import {
            source,
            target: target.url.clone(),
            server_name: converted.server_name.clone(),
            is_name_given: self.server_name.is_some(),
            keys,
            fresh_pepper: random_pepper()?,
            fresh_key: HashKey::new(random_bytes()?),
            dry_run: self.dry_run,
            force: self.force,
            now: Clock::system().now().as_i64(),
        };
        let report = import.run(&mut |done, total| {
            bar.set_length(total);
            bar.set_position(done.min(total));
        });
        bar.finish_and_clear();
        report.map_err(|error| import_failure(&error))
    }
}

/// Copies the database and opens the copy. A signal that ends this command deletes it.
fn open_copy(path: &Path) -> Result<data::Sydent, Failure> {
    on_termination(data::remove_private_copies)?;
    let (sydent, warning) =
        data::Sydent::open_copy(path).map_err(|error| import_failure(&error))?;
    if let Some(warning) = warning {
        eprintln!("{}", shown_lines(&warning));
    }
    Ok(sydent)
}

fn import_failure(error: &dyn Display) -> Failure {
    Failure::new(format!("Nothing was imported: {error}."))
}

fn random_pepper() -> Result<Pepper, Failure> {
    Ok(Pepper::from_random(u128::from_le_bytes(random_bytes()?)))
}

fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], Failure> {
    let mut bytes = [0; LENGTH];
    random::fill(&mut bytes)
        .map_err(|error| Failure::new(format!("Cannot generate random bytes: {error}.")))?;
    Ok(bytes)
}
