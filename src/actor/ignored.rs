//! What the associations actor does when an administrator removes the binding of a
//! peer. A command runs these operations beside servers.

use super::associations::Associations;
use super::pool::{Fault, Operation};
use crate::db::{LockKey, ignored_statements, journal, statements};
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::threepid::ThreePid;

/// Removes the binding of a 3PID that a peer has made, and ignores what it says about
/// the 3PID from now on (INT-08).
#[derive(Debug)]
pub struct IgnorePeer {
    /// The 3PID.
    pub threepid: ThreePid,
    /// The user that the peer has bound it to.
    pub mxid: Mxid,
    /// The peer.
    pub peer: ServerName,
    /// Now, ms.
    pub now: i64,
}

impl Operation for IgnorePeer {
    type State = Associations;
    /// Whether there was such a binding; otherwise nothing was changed.
    type Output = bool;

    fn run(self, state: &mut Associations) -> Result<bool, Fault> {
        let (threepid, peer) = (&self.threepid, &self.peer);
        state
            .store
            .write(LockKey::ThreePid(threepid), |connection| {
                let said = statements::find(connection, threepid)?;
                let bound = said.by(peer.as_str()).and_then(|it| it.binding.as_ref());
                if bound.is_none_or(|bound| bound.mxid != self.mxid.as_str()) {
                    return Ok(false);
                }
                ignored_statements::add(connection, threepid, peer, self.now)?;
                // A Python Sydent may have learned the binding from this server.
                journal::repeat(connection, &[statements::key(threepid)])?;
                Ok(true)
            })
    }
}

/// Lets what a peer says about a 3PID count again, from its next change on. Returns
/// whether it did not.
#[derive(Debug)]
pub struct AcceptPeer {
    /// The 3PID.
    pub threepid: ThreePid,
    /// The peer.
    pub peer: ServerName,
}

impl Operation for AcceptPeer {
    type State = Associations;
    type Output = bool;

    fn run(self, state: &mut Associations) -> Result<bool, Fault> {
        let (threepid, peer) = (&self.threepid, &self.peer);
        state
            .store
            .write(LockKey::ThreePid(threepid), |connection| {
                Ok(ignored_statements::remove(connection, threepid, peer)?)
            })
    }
}
