//! `sydent import verify`: the same questions to the old server and to the new
//! one.

mod addresses;
mod facts;
mod servers;

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use zeroize::Zeroizing;

use self::servers::{Servers, V1, V2};
use super::import::bar;
use super::{Failure, print};
use crate::clock::Clock;
use crate::config::BaseUrl;
use crate::domain::Invalid;
use crate::import::verify::{Comparison, OldDatabase};

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Where the Python Sydent answers, without the reverse proxy, such as
    /// `http://127.0.0.1:8090`.
    #[arg(long, value_name = "URL", value_parser = listener)]
    old: BaseUrl,
    /// Where the new server answers, as its `http.listen`.
    #[arg(long, value_name = "URL", value_parser = listener)]
    new: BaseUrl,
    /// The database that was taken over. It is read and not changed.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Of all addresses, and of all keys of invites, ask for the N newest and N
    /// others taken by chance.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// A file with an access token that both servers know and whose user has
    /// accepted the terms. When left out, one is taken from the database.
    #[arg(long, value_name = "FILE")]
    access_token_file: Option<PathBuf>,
}

/// What is asked, of whom, and what came of it so far.
struct VerifyContext<'a> {
    flags: &'a Verify,
    servers: Servers,
    old: OldDatabase,
    /// The old server's public key.
    key: [u8; 32],
    /// Whether it has v1.
    has_v1: bool,
    comparison: Comparison,
    bar: ProgressBar,
    clock: Clock,
}

impl VerifyContext<'_> {
    /// The version that the old server has for sure.
    fn api(&self) -> &'static str {
        if self.has_v1 { V1 } else { V2 }
    }
}

impl Verify {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let compared = actix::System::new().block_on(self.compare());
        let comparison = compared.map_err(Failure::into_trouble)?;
        print(&comparison.to_string())?;
        match (comparison.different(), comparison.not_compared.is_empty()) {
            (0, true) => print("Nothing differs but what docs/from-sydent.md says.\n"),
            (0, false) => Err(Failure::new("Not everything could be compared.").into_trouble()),
            (count, _) => Err(Failure::new(format!(
                "Answers that differ for no reason that docs/from-sydent.md gives: {count}."
            ))),
        }
    }

    async fn compare(&self) -> Result<Comparison, Failure> {
        let given = self.given_token()?;
        let mut servers = Servers::new(self.old.clone(), self.new.clone());
        let (key, has_v1) = facts::key_of_old(&mut servers).await?;
        let old = OldDatabase::read(&self.db, &key).map_err(unreadable)?;
        let mut work = VerifyContext {
            flags: self,
            servers,
            old,
            key,
            has_v1,
            comparison: Comparison::default(),
            bar: bar(),
            clock: Clock::system(),
        };
        facts::keys(&mut work).await?;
        facts::invite_keys(&mut work).await?;
        let token = facts::of_v2(&mut work, given).await?;
        addresses::compare(&mut work, token).await?;
        work.bar.finish_and_clear();
        let waited = work.servers.waited.as_millis().div_ceil(1000);
        if waited > 0 {
            work.comparison.remarks.push(format!(
                "The servers asked for pauses (429 or 503), {waited} s in all. It goes faster with \
                 shorter limits.lookup_per_client.every and limits.lookup_per_account.every."
            ));
        }
        Ok(work.comparison)
    }

    fn given_token(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let Some(path) = &self.access_token_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(format!("{} cannot be read: {error}.", path.display()))
        })?;
        let text = Zeroizing::new(text);
        Ok(Some(Zeroizing::new(text.trim().to_owned())))
    }
}

fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("The old database cannot be read: {error}."))
}

fn listener(text: &str) -> Result<BaseUrl, Invalid> {
    let url = BaseUrl::parse(text)?;
    if url.is_https() {
        return Err(Invalid(
            "must begin with http://: the servers are asked themselves, without the reverse proxy",
        ));
    }
    Ok(url)
}
