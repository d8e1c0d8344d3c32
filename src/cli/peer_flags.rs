//! `sydent unbind --peer`: removes the binding of a peer on this server.

use clap::Args;

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::stdout::print;
use crate::clock::Clock;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::threepid::ThreePid;
use crate::server::peers;

#[derive(Debug, Args)]
pub(super) struct PeerFlags {
    /// Remove the binding that this peer has made, and ignore what it says about the
    /// address from now on. Changes the database of the configuration; lookups on
    /// other servers still find the binding.
    #[arg(long, value_name = "NAME", conflicts_with = "internal")]
    peer: Option<ServerName>,
    /// Let what the peer says about the address count again, from its next change on.
    #[arg(long, requires = "peer")]
    accept_again: bool,
}

impl PeerFlags {
    pub(super) fn name(&self) -> Option<&ServerName> {
        self.peer.as_ref()
    }

    pub(super) fn unbind(
        &self,
        peer: &ServerName,
        threepid: ThreePid,
        mxid: &Mxid,
        file: &ConfigFile,
    ) -> Result<(), Failure> {
        let settings = file.settings().map_err(Failure::with_exit_code_2)?;
        let config = settings
            .into_config()
            .map_err(|problems| Failure::from(problems).with_exit_code_2())?;
        let failed = |error| Failure::from(error).with_exit_code_2();
        if self.accept_again {
            return if peers::accept(&config, peer.clone(), threepid).map_err(failed)? {
                print("The next change of the peer counts again.\n")
            } else {
                Err(Failure::new(format!(
                    "What {peer} says about the address is not ignored; nothing was changed."
                )))
            };
        }
        let clock = Clock::system();
        if peers::ignore(&config, &clock, peer.clone(), threepid, mxid.clone()).map_err(failed)? {
            print(&format!(
                "The binding was removed. What {peer} says about the address is ignored from now \
                 on.\n"
            ))
        } else {
            Err(Failure::new(format!(
                "Nothing was removed: {peer} has not bound the address to {mxid}."
            )))
        }
    }
}
