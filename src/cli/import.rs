//! `sydent import`: taking over an existing server.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use zeroize::Zeroizing;

use super::import_verify::Verify;
use super::new_file::{Readers, create, replace};
use super::{Failure, print};
use crate::clock::Clock;
use crate::config::DatabaseUrl;
use crate::domain::ids::ServerName;
use crate::domain::lookup::Pepper;
use crate::domain::signing::KeyRing;
use crate::import::data::{Import, key_file};
use crate::random;

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Take over what a Python Sydent knows, from its database of any version.
    ///
    /// Nothing of Sydent is changed, and it may go on running. Either everything
    /// is taken over or nothing.
    Sydent(Sydent),
    /// Ask an old server and the new one that took it over the same questions,
    /// and tell which answers differ.
    ///
    /// The exit code is 0 if nothing differs but what docs/from-sydent.md says,
    /// 1 if something else does, and 2 if not everything could be asked.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(super) struct Sydent {
    /// Sydent's database.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// The name under which Sydent signs, as in its `server.name`.
    #[arg(long, value_name = "NAME")]
    server_name: ServerName,
    /// A file with its signing key, as in its `crypto.ed25519.signingkey`.
    #[arg(long, value_name = "FILE")]
    signing_key_file: PathBuf,
    /// The key file to write for this server, readable by its owner alone.
    #[arg(long, value_name = "FILE")]
    key_out: PathBuf,
    /// The database to fill, such as `sqlite:new.db` or `postgres://…`.
    #[arg(long, value_name = "URL")]
    database: String,
    /// Do everything, and then undo it: only show what would become of it.
    #[arg(long)]
    dry_run: bool,
    /// Replace the files and everything in the database that is to be filled.
    #[arg(long)]
    force: bool,
}

impl ImportCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Sydent(sydent) => sydent.run(),
            Self::Verify(verify) => verify.run(),
        }
    }
}

impl Sydent {
    fn run(&self) -> Result<(), Failure> {
        let key = self.key()?;
        let invalid =
            |name: &str, why: &dyn std::fmt::Display| Failure::new(format!("{name} {why}."));
        let target =
            DatabaseUrl::parse(&self.database).map_err(|error| invalid("--database", &error))?;
        if let DatabaseUrl::Sqlite(path) = &target
            && is_same_file(path, &self.db)
        {
            return Err(Failure::new(
                "--database names Sydent's own database; choose another file.",
            ));
        }
        if !self.force && self.key_out.exists() {
            return Err(Failure::new(format!(
                "{} exists already; --force replaces it.",
                self.key_out.display()
            )));
        }
        let keys = KeyRing::parse(&key).map_err(|error| invalid("The signing key", &error))?;
        let bar = bar();
        let import = Import {
            source: &self.db,
            target,
            name: self.server_name.clone(),
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
        let report =
            report.map_err(|error| Failure::new(format!("Nothing was taken over: {error}.")))?;
        print(&report.to_string())?;
        if self.dry_run {
            return print("This was a dry run: nothing was written.\n");
        }
        if self.force {
            replace(&self.key_out, &key, Readers::Owner)
        } else {
            create(&self.key_out, &key, Readers::Owner)
        }
    }

    fn key(&self) -> Result<Zeroizing<String>, Failure> {
        let path = self.signing_key_file.display();
        let text = std::fs::read_to_string(&self.signing_key_file)
            .map_err(|error| Failure::new(format!("{path} cannot be read: {error}.")))?;
        key_file(&Zeroizing::new(text)).map_err(|error| Failure::new(format!("{path}: {error}.")))
    }
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

/// Shown to people only.
pub(super) fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_bad| ProgressStyle::default_bar()))
}
