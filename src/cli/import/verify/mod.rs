//! `sydent import verify`: sends the same requests to the old and the new server and
//! compares the responses.

mod context;
mod keys_and_accounts;
mod lookups;
mod servers;

use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use self::context::{VerifyContext, database_failure};
use self::servers::Servers;
use crate::cli::failure::Failure;
use crate::cli::progress_bar::progress_bar;
use crate::cli::stdout::print;
use crate::clock::Clock;
use crate::config::BaseUrl;
use crate::domain::Invalid;
use crate::import::verify::{Comparison, OldDatabase};

pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  No differences except those documented in docs/from-sydent.md
  1  Other differences
  2  The comparison failed or is incomplete";

/// The options of `sydent import verify`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The URL of the Python Sydent itself, not of a reverse proxy, such as
    /// `http://127.0.0.1:8090`.
    #[arg(long, value_name = "URL", value_parser = listener)]
    old: BaseUrl,
    /// The URL of the new server, with an address from its `http.listen`.
    #[arg(long, value_name = "URL", value_parser = listener)]
    new: BaseUrl,
    /// The database of the Python Sydent that was imported; opened read-only.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Compare only the N newest addresses and invite keys, and a random sample of N
    /// others.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// Compare the signed association of every address, with a request for each. Otherwise
    /// that is done for the 1,000 newest addresses of each table and a random sample of 1,000,
    /// and for the others in bulk and by hash only.
    #[arg(long, conflicts_with = "sample")]
    each: bool,
    /// A file with an access token that both servers accept and whose user has accepted
    /// the terms [default: a token from the database].
    #[arg(long, value_name = "FILE")]
    access_token_file: Option<PathBuf>,
}

impl Verify {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        let comparison = actix::System::new()
            .block_on(self.compare())
            .map_err(Failure::with_exit_code_2)?;
        print(&comparison.to_string())?;
        match (comparison.different(), comparison.not_compared.is_empty()) {
            (0, true) => print("No differences except those documented in docs/from-sydent.md.\n"),
            (0, false) => Err(Failure::new("The comparison is incomplete.").with_exit_code_2()),
            (count, _) => Err(Failure::new(format!(
                "Differences not documented in docs/from-sydent.md: {count}."
            ))),
        }
    }

    async fn compare(&self) -> Result<Comparison, Failure> {
        let token = self.access_token()?;
        let mut servers = Servers::new(self.old.clone(), self.new.clone());
        let (key, has_v1) = keys_and_accounts::old_public_key(&mut servers).await?;
        let old = OldDatabase::read(&self.db, &key).map_err(database_failure)?;
        let mut context = VerifyContext {
            servers,
            old,
            key,
            has_v1,
            sample: self.sample,
            each: self.each,
            comparison: Comparison::default(),
            bar: progress_bar(),
            clock: Clock::system(),
        };
        keys_and_accounts::compare_keys(&mut context).await?;
        keys_and_accounts::compare_invite_keys(&mut context).await?;
        let token = keys_and_accounts::compare_terms_and_accounts(&mut context, token).await?;
        lookups::compare(&mut context, token).await?;
        context.bar.finish_and_clear();
        let waited = context.servers.waited.as_millis().div_ceil(1000);
        if waited > 0 {
            context.remark(&format!(
                "The servers limited the rate of requests (429 or 503), which took {waited} s. \
                 Shorter limits.lookup_per_client.every and limits.lookup_per_account.every make \
                 the comparison faster."
            ));
        }
        Ok(context.comparison)
    }

    fn access_token(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let Some(path) = &self.access_token_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("Cannot read {}: {error}.", path.display())))?;
        let text = Zeroizing::new(text);
        Ok(Some(Zeroizing::new(text.trim().to_owned())))
    }
}

fn listener(text: &str) -> Result<BaseUrl, Invalid> {
    let url = BaseUrl::parse(text)?;
    if url.is_https() {
        return Err(Invalid(
            "must start with http://: give the address of the server itself, not of the reverse \
             proxy",
        ));
    }
    Ok(url)
}
