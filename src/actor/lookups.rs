//! The lookups actor: it answers lookups on read-only connections.

use std::collections::HashMap;
use std::sync::Arc;

use super::pool::{Fault, Kind, Operation, State};
use crate::db::peppers::AnsweredPeppers;
use crate::db::{Conn, DbError, Store, associations, ephemeral_keys, invites, peppers};
use crate::domain::lookup::{Entries, Pepper};
use crate::domain::public_key::PublicKey;
use crate::domain::secret::InviteToken;
use crate::domain::threepid::{Medium, ThreePid};
use crate::limiter::ledger::{Claim, Shortage};

/// The state of one thread.
pub struct Lookups {
    /// Its connection.
    pub store: Store,
}

impl State for Lookups {
    const NAME: &'static str = "lookups";
}

/// The signed association of a 3PID, as JSON, and the server that signed it.
#[derive(Debug, Clone)]
pub struct SignedAssociation {
    /// The 3PID.
    pub threepid: ThreePid,
    /// Now, ms.
    pub now: i64,
}

impl Operation for SignedAssociation {
    type State = Lookups;
    type Output = Option<(String, String)>;
    const KIND: Kind = Kind::ShortRead;

    fn run(self, state: &mut Lookups) -> Result<Self::Output, Fault> {
        Ok(associations::find_signed(
            &mut state.store.read(),
            &self.threepid,
            self.now,
        )?)
    }
}

/// So many addresses are soon looked up.
pub const FEW_ADDRESSES: usize = associations::FEW_KEYS;

/// A lookup of more addresses is made in parts, so that others have their turn between
/// them. Each part is one operation.
pub const ADDRESSES_PER_PART: usize = 1000;

/// A lookup of few addresses never waits for one of many.
fn kind_of(addresses: usize) -> Kind {
    if addresses <= FEW_ADDRESSES {
        Kind::ShortRead
    } else {
        Kind::Read
    }
}

/// Finds the users of 3PIDs, at most [`ADDRESSES_PER_PART`].
#[derive(Debug, Clone)]
pub struct LookupThreepids {
    /// The 3PIDs.
    pub threepids: Vec<ThreePid>,
    /// Now, ms.
    pub now: i64,
}

impl Operation for LookupThreepids {
    type State = Lookups;
    /// The user of each 3PID that is bound.
    type Output = HashMap<ThreePid, String>;
    const KIND: Kind = Kind::Read;

    fn kind(&self) -> Kind {
        kind_of(self.threepids.len())
    }

    fn run(self, state: &mut Lookups) -> Result<Self::Output, Fault> {
        let asked: Vec<&ThreePid> = self.threepids.iter().collect();
        Ok(users_of(&mut state.store.read(), &asked, self.now)?)
    }
}

fn users_of(
    connection: &mut Conn,
    threepids: &[&ThreePid],
    now: i64,
) -> Result<HashMap<ThreePid, String>, DbError> {
    let mut found = HashMap::new();
    for medium in [Medium::Email, Medium::Msisdn] {
        let of_medium: HashMap<&str, &ThreePid> = threepids
            .iter()
            .filter(|threepid| threepid.medium() == medium)
            .map(|threepid| (threepid.address(), *threepid))
            .collect();
        let addresses: Vec<&str> = of_medium.keys().copied().collect();
        for (address, mxid) in associations::find_mxids(connection, medium, &addresses, now)? {
            if let Some(threepid) = of_medium.get(address.as_str()) {
                found.insert((*threepid).clone(), mxid);
            }
        }
    }
    Ok(found)
}

/// The peppers that lookups may use.
#[derive(Debug, Clone)]
pub struct CurrentPeppers {
    /// Now, ms.
    pub now: i64,
}

impl Operation for CurrentPeppers {
    type State = Lookups;
    type Output = AnsweredPeppers;
    const KIND: Kind = Kind::ShortRead;

    fn run(self, state: &mut Lookups) -> Result<AnsweredPeppers, Fault> {
        answered_peppers(&mut state.store.read(), self.now)
    }
}

fn answered_peppers(connection: &mut Conn, now: i64) -> Result<AnsweredPeppers, Fault> {
    let answered = peppers::answered(connection, now)?;
    answered.ok_or(Fault::Internal("the database has no pepper"))
}

/// Finds the users of some entries of a v2 lookup.
#[derive(Debug, Clone)]
pub struct LookupHashes {
    /// The entries, at most [`ADDRESSES_PER_PART`].
    pub entries: Arc<Entries>,
    /// The pepper that the client used.
    pub pepper: String,
    /// The payment for the whole lookup, if it is not paid yet. A lookup with a wrong
    /// pepper costs nothing.
    pub claim: Option<Claim>,
    /// Now, ms.
    pub now: i64,
}

/// The result of a v2 lookup. It has no `Debug`: entries may be addresses.
pub enum LookupOutcome {
    /// The user of each entry that is bound, by the entry as it was sent.
    Found(HashMap<String, String>),
    /// The client used another pepper than this, the current one.
    WrongPepper(Pepper),
    /// These payers need a lease.
    Unpaid(Vec<Shortage>),
}

impl Operation for LookupHashes {
    type State = Lookups;
    type Output = LookupOutcome;
    const KIND: Kind = Kind::Read;

    fn kind(&self) -> Kind {
        kind_of(self.entries.len())
    }

    fn run(self, state: &mut Lookups) -> Result<LookupOutcome, Fault> {
        // In one snapshot, so that the hashes are those of this pepper.
        state.store.snapshot(|connection| {
            let peppers = answered_peppers(connection, self.now)?;
            let Some(slot) = peppers.slot(&self.pepper) else {
                return Ok(LookupOutcome::WrongPepper(peppers.current.pepper));
            };
            if let Some(Err(shortages)) = self.claim.map(|claim| claim.pay()) {
                return Ok(LookupOutcome::Unpaid(shortages));
            }
            Ok(LookupOutcome::Found(match &*self.entries {
                Entries::Hashed(hashes) => {
                    let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
                    associations::find_by_hashes(connection, slot, &hashes, self.now)?
                }
                Entries::Plain(entries) => {
                    let threepids: Vec<_> = entries.iter().map(|(_, threepid)| threepid).collect();
                    let users = users_of(connection, &threepids, self.now)?;
                    let found = |(entry, threepid): &(String, ThreePid)| {
                        Some((entry.clone(), users.get(threepid)?.clone()))
                    };
                    entries.iter().filter_map(found).collect()
                }
            }))
        })
    }
}

/// Whether an ephemeral public key belongs to an invite.
#[derive(Debug, Clone)]
pub struct FindEphemeralKey {
    /// The key.
    pub public_key: PublicKey,
}

impl Operation for FindEphemeralKey {
    type State = Lookups;
    type Output = bool;
    const KIND: Kind = Kind::ShortRead;

    fn run(self, state: &mut Lookups) -> Result<bool, Fault> {
        Ok(ephemeral_keys::exists(
            &mut state.store.read(),
            &self.public_key.to_base64(),
        )?)
    }
}

/// Finds the sender of an invite.
#[derive(Debug)]
pub struct InviteSender {
    /// The token.
    pub token: InviteToken,
}

impl Operation for InviteSender {
    type State = Lookups;
    type Output = Option<String>;
    const KIND: Kind = Kind::ShortRead;

    fn run(self, state: &mut Lookups) -> Result<Option<String>, Fault> {
        Ok(invites::sender(&mut state.store.read(), &self.token)?)
    }
}

/// Whether the database answers.
#[derive(Debug)]
pub struct Ping;

impl Operation for Ping {
    type State = Lookups;
    type Output = bool;
    const KIND: Kind = Kind::Read;

    fn run(self, state: &mut Lookups) -> Result<bool, Fault> {
        Ok(state.store.is_alive())
    }
}
