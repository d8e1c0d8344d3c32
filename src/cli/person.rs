//! `sydent person`: what the server stores about one person.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::{print, shown};
use super::typed;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::person::{Person, PersonRecords, RowCounts};
use crate::logging;
use crate::server::ServerError;
use crate::server::person::{Copies, Named, People};

#[derive(Debug, Subcommand)]
pub(super) enum PersonCommand {
    /// Print everything that the database has about a person, as JSON.
    ///
    /// Servers may keep running on the database.
    #[command(after_help = EXPORT_EXIT_CODES)]
    Export {
        #[command(flatten)]
        who: Who,
    },
    /// Erase everything that the database has about a person.
    ///
    /// Without --yes it only prints what would be erased. Servers may keep running on the
    /// database. The removed bindings are pushed to the peers of the mesh.
    #[command(after_help = ERASE_EXIT_CODES)]
    Erase {
        #[command(flatten)]
        who: Who,
        /// Erase it.
        #[arg(long)]
        yes: bool,
        /// How long to wait until the peers have received the removals.
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        wait: u64,
    },
    /// Print the pseudonym that a person has in today's log.
    ///
    /// The log has pseudonyms if `log.personal_data` is "pseudonym". They are new every day
    /// (UTC).
    Pseudonym {
        /// The email address, the phone number with its country code, or the Matrix ID.
        #[arg(required = true, value_name = "ADDRESS|MXID")]
        name: Vec<String>,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Args)]
pub(super) struct Who {
    /// The email address, the phone number with its country code, or the Matrix ID.
    #[arg(required = true, value_name = "ADDRESS|MXID")]
    name: Vec<String>,
    /// Leave out the other addresses and users of the person: those that are bound to each
    /// other.
    #[arg(long)]
    only_this: bool,
    #[command(flatten)]
    file: ConfigFile,
}

const EXPORT_EXIT_CODES: &str = "\
Exit codes:
  0  The data was printed
  1  There is no data about this person
  2  An argument is invalid, or the command failed";
const ERASE_EXIT_CODES: &str = "\
Exit codes:
  0  The data was erased, or printed without --yes
  1  There is no data about this person
  2  An argument is invalid, or the command failed; nothing was erased
  3  The data was erased, but not all of it yet; the output says what is left";

impl PersonCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Export { who } => who.export(),
            Self::Erase { who, yes, wait } => who.erase(*yes, Duration::from_secs(*wait)),
            Self::Pseudonym { name, file } => {
                let named = typed::person(&name.join(" "))?;
                let config = file.settings()?.into_config()?;
                let mut people = People::open(&config, Clock::system())?;
                print(&format!("{}\n", people.pseudonym(&named)?))
            }
        }
    }
}

impl Who {
    fn open(&self) -> Result<(Named, People), Failure> {
        let named = typed::person(&self.name.join(" "))?;
        let open = || -> Result<People, Failure> {
            let config: Config = self.file.settings()?.into_config()?;
            logging::start(config.log);
            Ok(People::open(&config, Clock::system())?)
        };
        Ok((named, open().map_err(Failure::with_exit_code_2)?))
    }

    fn export(&self) -> Result<(), Failure> {
        let (named, mut people) = self.open()?;
        let export = people
            .export(&named, self.only_this)
            .map_err(|error| Failure::from(error).with_exit_code_2())?;
        let counts = export.tables.counts();
        if export.tables.is_empty() {
            return Err(Failure::new(NOTHING));
        }
        log_audit("export", &counts);
        let text = serde_json::to_string_pretty(&export)
            .map_err(|error| Failure::new(format!("{error}.")).with_exit_code_2())?;
        print(&format!("{text}\n"))
    }

    fn erase(&self, is_confirmed: bool, wait: Duration) -> Result<(), Failure> {
        let failed = |error| Failure::from(error).with_exit_code_2();
        let (named, mut people) = self.open()?;
        let (person, records) = people.show(&named, self.only_this).map_err(failed)?;
        let counts = records.counts();
        if counts.is_empty() {
            // Deleted rows may have left copies in the file, also those of an erasure that
            // was interrupted.
            if is_confirmed && rewrite(&mut people)? == Copies::InLog {
                return Err(unfinished(format!("{NOTHING} {LOG_IS_READ}")));
            }
            return Err(Failure::new(NOTHING));
        }
        if !is_confirmed {
            return print(&preview(&person, &records));
        }
        let erased = people.erase(&named, self.only_this).map_err(failed)?;
        log_audit("erase", &erased);
        print(&format!("Erased:\n{}", table(&erased)))?;
        finish(&mut people, wait)
    }
}

const NOTHING: &str = "The database has no data about this person.";

/// Waits for the peers, and then rewrites the file.
fn finish(people: &mut People, wait: Duration) -> Result<(), Failure> {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let end = Instant::now() + wait;
    let mut waiting = people.finish().map_err(interrupted)?.waiting;
    while waiting > 0 && Instant::now() < end {
        pause(LOOK_EVERY);
        waiting = people.finish().map_err(interrupted)?.waiting;
    }
    let copies = rewrite(people)?;
    if waiting > 0 {
        return Err(unfinished(format!(
            "Not all peers have received the removals yet. Until they have, {waiting} erased \
             addresses stay in the list of changes for them, at most for \
             retention.unconfirmed_erasures. The server removes them then; `sydent peers` shows \
             which peers are behind."
        )));
    }
    match copies {
        Copies::None => {
            print("Nothing of it is left in the database. Backups and logs are not changed.\n")
        }
        Copies::InLog => Err(unfinished(LOG_IS_READ.to_owned())),
        Copies::InPostgres => print(IN_POSTGRES),
    }
}

fn rewrite(people: &mut People) -> Result<Copies, Failure> {
    people.rewrite(pause).map_err(interrupted)
}

fn unfinished(message: String) -> Failure {
    Failure::new(message).with_exit_code_3()
}

fn interrupted(error: ServerError) -> Failure {
    unfinished(format!("{} Run the command again.", Failure::from(error)))
}

const LOG_IS_READ: &str = "The write-ahead log of the database may still have copies, because \
    another program is reading it. A running server goes on trying to empty it; otherwise run the \
    command again.";
const IN_POSTGRES: &str = "No table has anything of it. PostgreSQL keeps copies of deleted rows in \
    its files until VACUUM FULL rewrites them, and in its write-ahead log until that is used again. \
    Backups and logs are not changed.\n";

#[expect(
    clippy::disallowed_methods,
    reason = "the command waits for peers and has nothing else to do"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}

fn log_audit(action: &str, counts: &RowCounts) {
    let rows: u64 = counts.values().sum();
    log::info!(target: "sydent::audit", action, rows; "data of a person");
}

fn preview(person: &Person, records: &PersonRecords) -> String {
    let mut text = String::from("This would be erased.\n\n");
    for threepid in &person.threepids {
        let medium = threepid.medium().as_str();
        let _ = writeln!(text, "  {medium:<8}{}", shown(threepid.address()));
    }
    for user in &person.users {
        let _ = writeln!(text, "  {:<8}{}", "user", shown(user.as_str()));
    }
    let _ = write!(text, "\n{}\n", table(&records.counts()));
    text + "Nothing was changed. With --yes it is erased for good; with --only-this, only what \
            you have named.\n"
}

/// How many rows of each table.
fn table(counts: &RowCounts) -> String {
    let line = |(table, rows): (&String, &u64)| format!("  {table:<24}{rows:>6}\n");
    counts.iter().map(line).collect()
}
