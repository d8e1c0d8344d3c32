//! `sydent database copy`.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::progress_bar::progress_bar;
use crate::cli::stdout::print;
use crate::config::{DatabaseUrl, Secret};
use crate::priority;
use crate::server::databases;

/// The arguments of `sydent database copy`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Copy {
    /// The URL of the database to read, as in `database.url`; relative paths start at the
    /// current folder.
    #[arg(value_name = "FROM")]
    from: Secret,
    /// The URL of the database to fill. An SQLite file need not exist.
    #[arg(value_name = "TO")]
    to: Secret,
}

impl Copy {
    pub(super) fn run(&self) -> Result<(), Failure> {
        // A server may run on the machine.
        priority::give_way();
        // Errors of clap would quote the URL, which may have a password.
        let parse = |name: &str, url: &Secret| {
            let parsed = DatabaseUrl::parse(url.expose());
            let parsed =
                parsed.map_err(|error| Failure::new(format!("The URL {name} {error}.")))?;
            absolute(parsed)
        };
        let (from, to) = (parse("FROM", &self.from)?, parse("TO", &self.to)?);
        let bar = progress_bar();
        let copied = databases::copy(&from, &to, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let copied =
            copied.map_err(|error| Failure::new(format!("Nothing was copied: {error}.")))?;
        let rows: u64 = copied.iter().map(|(_, rows)| rows).sum();
        let tables = copied.iter().filter(|(_, rows)| *rows > 0);
        let lines = tables.map(|(table, rows)| format!("  {table:<22}{rows:>12}\n"));
        let lines: Vec<String> = lines.collect();
        print(&format!(
            "Rows copied, and compared with the source: {rows}\n{}Set database.url to {}, and \
             start the server.\n",
            lines.concat(),
            name(&to)
        ))
    }
}

/// A relative path means another file here than in the configuration, where it is relative
/// to the folder of that.
fn absolute(url: DatabaseUrl) -> Result<DatabaseUrl, Failure> {
    let DatabaseUrl::Sqlite(file) = url else {
        return Ok(url);
    };
    let absolute = std::path::absolute(file);
    let absolute = absolute.map_err(|error| {
        Failure::new(format!(
            "Cannot find out what the current folder is: {error}."
        ))
    })?;
    Ok(DatabaseUrl::Sqlite(absolute))
}

/// What a database is called in the configuration; a URL of PostgreSQL may have a password.
fn name(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Sqlite(file) => format!("sqlite://{}", file.display()),
        DatabaseUrl::Postgres(_) => "the URL of the copy".to_owned(),
    }
}
