//! `sydent accounts`: who has an account, and who must not have one.

use clap::{Args, Subcommand};

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::{print, shown};
use crate::clock::Clock;
use crate::domain::Invalid;
use crate::domain::account_scope::AccountScope;
use crate::domain::time::UnixMillis;
use crate::server::accounts::{AccountAdmin, AccountRow};

#[derive(Debug, Subcommand)]
pub(super) enum AccountsCommand {
    /// List the accounts, and the users and homeservers that are blocked.
    #[command(after_help = LISTED)]
    List {
        /// Only the account of this user or those of this homeserver.
        #[arg(value_name = "USER|HOMESERVER", value_parser = scope)]
        who: Option<AccountScope>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show the access tokens and accepted terms of accounts, but not the tokens
    /// themselves.
    #[command(after_help = FOUND)]
    Show(Who),
    /// Revoke all access tokens of a user or of a homeserver's users.
    ///
    /// Running servers know at once. Clients register again by themselves.
    #[command(after_help = REVOKED)]
    Revoke(Who),
    /// Block a user or all users of a homeserver, and revoke their access tokens.
    ///
    /// Running servers know at once. Bindings stay; `sydent unbind` removes them.
    /// Version 1 of the API has no accounts and is not affected.
    #[command(after_help = BLOCKED)]
    Block(Who),
    /// End the block of a user or a homeserver.
    #[command(after_help = UNBLOCKED)]
    Unblock(Who),
}

/// The arguments of most of them.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// A user, such as `@alice:example.org`, or a homeserver, such as `example.org`.
    #[arg(value_name = "USER|HOMESERVER", value_parser = scope)]
    who: AccountScope,
    #[command(flatten)]
    file: ConfigFile,
}

const LISTED: &str = "\
Exit codes:
  0  There is at least one such account or block
  1  There is none
  2  An argument is invalid, or the database cannot be used";
const FOUND: &str = "\
Exit codes:
  0  There is at least one such account
  1  There is none
  2  An argument is invalid, or the database cannot be used";
const REVOKED: &str = "\
Exit codes:
  0  The tokens were revoked
  1  There were none
  2  An argument is invalid, or the database cannot be used";
const BLOCKED: &str = "\
Exit codes:
  0  The user or homeserver is blocked now
  1  It was blocked already
  2  An argument is invalid, or the database cannot be used";
const UNBLOCKED: &str = "\
Exit codes:
  0  The block was ended
  1  There was no such block
  2  An argument is invalid, or the database cannot be used";
const NO_ACCOUNT: &str = "There is no such account.";

impl AccountsCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::List { who, file } => list(&mut open(file)?, who.as_ref()),
            Self::Show(Who { who, file }) => show(&mut open(file)?, who),
            Self::Revoke(Who { who, file }) => {
                match open(file)?.revoke(who.clone()).map_err(failed)? {
                    0 => Err(Failure::new("There were no access tokens to revoke.")),
                    revoked => print(&format!("Access tokens revoked: {revoked}.\n")),
                }
            }
            Self::Block(Who { who, file }) => {
                let clock = Clock::system();
                let (revoked, is_new) = open(file)?.block(who.clone(), &clock).map_err(failed)?;
                let name = who.as_str();
                if !is_new {
                    let message = format!("{name} was blocked already; nothing was changed.");
                    return Err(Failure::new(message));
                }
                print(&format!(
                    "{name} is blocked. Access tokens revoked: {revoked}.\n"
                ))
            }
            Self::Unblock(Who { who, file }) => {
                let name = who.as_str();
                if open(file)?.unblock(who.clone()).map_err(failed)? {
                    print(&format!("{name} is no longer blocked.\n"))
                } else {
                    Err(Failure::new(format!("There is no block of {name}.")))
                }
            }
        }
    }
}

fn scope(text: &str) -> Result<AccountScope, Invalid> {
    AccountScope::parse(text)
}

fn failed(error: impl Into<Failure>) -> Failure {
    error.into().with_exit_code_2()
}

fn open(file: &ConfigFile) -> Result<AccountAdmin, Failure> {
    let settings = file.settings().map_err(failed)?;
    let config = settings.into_config().map_err(failed)?;
    AccountAdmin::open(&config).map_err(failed)
}

fn list(accounts: &mut AccountAdmin, who: Option<&AccountScope>) -> Result<(), Failure> {
    let list = accounts.list(who.cloned()).map_err(failed)?;
    let mut lines: Vec<String> = list.accounts.iter().map(line).collect();
    for (blocked, at) in &list.blocked {
        let is_asked = |who: &AccountScope| who.as_str() == blocked || who.contains(blocked);
        if who.is_none_or(is_asked) {
            lines.push(format!("{}  blocked since {}", shown(blocked), day(*at)));
        }
    }
    if lines.is_empty() {
        return Err(Failure::new(NO_ACCOUNT));
    }
    print(&(lines.join("\n") + "\n"))
}

fn line(account: &AccountRow) -> String {
    let tokens = match account.tokens {
        1 => "1 token".to_owned(),
        count => format!("{count} tokens"),
    };
    let used = account.last_used_at.map(day);
    format!(
        "{}  {tokens}, opened {}, last used {}",
        shown(&account.user),
        day(account.created_at),
        used.as_deref().unwrap_or("never")
    )
}

fn show(accounts: &mut AccountAdmin, who: &AccountScope) -> Result<(), Failure> {
    let list = accounts.list(Some(who.clone())).map_err(failed)?;
    if list.accounts.is_empty() {
        return Err(Failure::new(NO_ACCOUNT));
    }
    let mut text = String::new();
    for account in &list.accounts {
        let details = accounts.show(account.user.clone()).map_err(failed)?;
        let mut lines = vec![
            shown(&account.user),
            format!("  opened          {}", day(account.created_at)),
        ];
        for (created, used) in &details.tokens {
            let used = used.map_or_else(|| "unknown".to_owned(), day);
            let created = day(*created);
            lines.push(format!(
                "  token           created {created}, last used {used}"
            ));
        }
        for (url, at) in &details.terms {
            lines.push(format!("  accepted terms  {}, {}", shown(url), day(*at)));
        }
        for (blocked, at) in &list.blocked {
            let is_own = AccountScope::parse(blocked).is_ok_and(|it| it.contains(&account.user));
            if is_own {
                lines.push(format!(
                    "  blocked         as {}, since {}",
                    shown(blocked),
                    day(*at)
                ));
            }
        }
        text.push_str(&lines.join("\n"));
        text.push('\n');
    }
    print(&text)
}

/// The day of a time, in UTC.
fn day(at: i64) -> String {
    let day = UnixMillis::new(at).utc_day();
    day.unwrap_or_else(|| "unknown".to_owned())
}
