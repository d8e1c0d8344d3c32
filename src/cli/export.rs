//! `sydent export sydent`: writes a database that the Python Sydent opens.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::new_file::{FileAccess, StagedFile};
use super::stdout::print;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::signing::KeyRing;
use crate::import::data::Sydent;
use crate::import::export::{Exports, export};

/// The subcommands of `sydent export`.
#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Write a database for the Python Sydent, to go back to it.
    ///
    /// Stop the server first: what happens later is not in the file.
    Sydent(ExportSydent),
}

/// The options of `sydent export sydent`.
#[derive(Debug, Args)]
pub(super) struct ExportSydent {
    #[command(flatten)]
    file: ConfigFile,
    /// The database to write. The parts of its sydent.conf, with the signing key, are
    /// written beside it, with .conf added to the name.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// The database of the Sydent that was imported. This server stores only hashes of
    /// access tokens, and takes from there those that are still valid.
    #[arg(long, value_name = "FILE")]
    tokens_from: Option<PathBuf>,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
}

impl ExportCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let Self::Sydent(export) = self;
        export.run()
    }
}

impl ExportSydent {
    fn run(&self) -> Result<(), Failure> {
        let config = self.file.settings()?.into_config()?;
        let conf = with_suffix(&self.out, ".conf");
        for path in [&self.out, &conf] {
            if !self.force && path.exists() {
                return Err(Failure::new(format!(
                    "{} already exists; nothing was written. Use --force to replace it.",
                    path.display()
                )));
            }
        }
        let mut old = match &self.tokens_from {
            Some(path) => Some(Sydent::open(path).map_err(|error| failure(&error))?),
            None => None,
        };
        let key_file = read_key_file(&config)?;
        let keys = KeyRing::parse(&key_file).map_err(|error| {
            let file = config.server.signing_key_file.display();
            Failure::new(format!("{file}: {error}."))
        })?;
        let conf_text = conf_parts(&config, &key_file, &self.out)?;
        let conf = StagedFile::write(&conf, &conf_text, FileAccess::Owner)?;
        let temporary = with_suffix(&self.out, ".new");
        let _ = fs::remove_file(&temporary);
        let now = Clock::system().now().as_i64();
        let exports = export(&config, &keys, old.as_mut(), &temporary, now)
            .map_err(|error| failure(&error))
            .and_then(|exports| {
                fs::rename(&temporary, &self.out).map_err(|error| failure(&error))?;
                Ok(exports)
            })
            .inspect_err(|_failure| {
                let _ = fs::remove_file(&temporary);
            })?;
        conf.commit()?;
        print(&self.summary(&exports))
    }

    fn summary(&self, exports: &Exports) -> String {
        let mut text = String::new();
        for (kind, count) in &exports.rows {
            let _ = writeln!(text, "{kind:<24}{count:>10}");
        }
        if self.tokens_from.is_none() {
            text.push_str(
                "Access tokens were not exported: clients log in again. --tokens-from keeps those \
                 of the Sydent that was imported.\n",
            );
        }
        let _ = writeln!(
            text,
            "\nWrote {0}, and {0}.conf with the parts of sydent.conf that belong to it. That file \
             contains the signing key: keep it secret.",
            self.out.display()
        );
        text
    }
}

fn failure(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("Nothing was exported: {error}."))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn read_key_file(config: &Config) -> Result<Zeroizing<String>, Failure> {
    let file = &config.server.signing_key_file;
    fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|error| Failure::new(format!("Cannot read {}: {error}.", file.display())))
}

/// The parts of a sydent.conf that belong to the data.
fn conf_parts(
    config: &Config,
    key_file: &str,
    database: &Path,
) -> Result<Zeroizing<String>, Failure> {
    // The first one is active; Sydent has one only.
    let key = key_file
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    let database = std::path::absolute(database)
        .map_err(|error| Failure::new(format!("Cannot find the folder: {error}.")))?;
    // Python replaces %(name)s in values.
    let value = |text: &str| text.replace('%', "%%");
    let mut text = Zeroizing::new(format!(
        "# For the sydent.conf of the database that `sydent export sydent` wrote.\n\
         [general]\nserver.name = {}\n\n[db]\ndb.file = {}\n\n[crypto]\ned25519.signingkey = {key}\n",
        config.server.name,
        value(&database.display().to_string())
    ));
    for (name, peer) in &config.replication.peers {
        let url = value(&peer.url);
        let _ = write!(text, "\n[peer.{name}]\nbase_replication_url = {url}\n");
    }
    Ok(text)
}
