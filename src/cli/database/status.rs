//! `sydent database status`.

use clap::Args;

use crate::cli::config_file::ConfigFile;
use crate::cli::failure::Failure;
use crate::cli::stdout::{print, shown};
use crate::server::databases::{self, DatabaseStatus};

/// The options of `sydent database status`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  The schema is the one of this version
  1  It is another one, such as that of an earlier version
  2  The database cannot be read";

impl Status {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let status = self.read().map_err(Failure::with_exit_code_2)?;
        let text = if self.json {
            let json = serde_json::to_string_pretty(&status);
            json.map_err(|error| Failure::new(format!("Cannot write JSON: {error}.")))? + "\n"
        } else {
            describe(&status)
        };
        print(&text)?;
        if !status.unknown_migrations.is_empty() {
            return Err(Failure::new(
                "A later version of the server has migrated the schema.",
            ));
        }
        if !status.pending_migrations.is_empty() {
            return Err(Failure::new(
                "The schema is not the one of this version: the next start of a server, or \
                 `sydent database migrate`, migrates it.",
            ));
        }
        Ok(())
    }

    fn read(&self) -> Result<DatabaseStatus, Failure> {
        let config = self.file.settings()?.into_config()?;
        Ok(databases::status(&config)?)
    }
}

fn describe(status: &DatabaseStatus) -> String {
    let list = |versions: &[String]| match versions {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let mut lines = vec![
        ("database", status.backend.clone()),
        (
            "schema",
            status.schema.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("pending migrations", list(&status.pending_migrations)),
    ];
    if !status.unknown_migrations.is_empty() {
        lines.push(("later migrations", list(&status.unknown_migrations)));
    }
    let name = status
        .server_name
        .as_deref()
        .map_or_else(|| "none".to_owned(), shown);
    lines.push(("server", name));
    lines.push(("size", size(status.bytes)));
    if let Some(connections) = &status.connections {
        let (count, addresses) = (connections.count, connections.addresses);
        lines.push((
            "connections",
            format!("{count}, from {addresses} addresses"),
        ));
    }
    lines.push((
        "pepper rotation",
        status.pepper_rotation.as_ref().map_or_else(
            || "none".to_owned(),
            |rotation| format!("at association {} of {}", rotation.hashed_to, rotation.last),
        ),
    ));
    let queued = status
        .queue
        .iter()
        .map(|(kind, n)| format!("{n} {}", shown(kind)));
    lines.push(("queue", list(&queued.collect::<Vec<_>>())));
    let lines = lines
        .into_iter()
        .map(|(label, text)| format!("{label:<20}{text}\n"));
    let rows = status
        .rows
        .iter()
        .map(|(table, n)| format!("  {table:<22}{n:>12}\n"));
    lines
        .chain(["rows\n".to_owned()])
        .chain(rows)
        .collect::<Vec<_>>()
        .concat()
}

/// Bytes, in the unit in which they have few digits.
fn size(bytes: i64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut number, mut unit) = (bytes / 1024, 0);
    while number >= 10_240 && unit + 1 < UNITS.len() {
        (number, unit) = (number / 1024, unit + 1);
    }
    format!("{number} {}", UNITS.get(unit).unwrap_or(&""))
}
