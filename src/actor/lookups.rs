//! Readers that answer look-ups, from connections that cannot change anything.

use std::collections::HashMap;
use std::fmt;

use super::pool::{Ask, Fault, State};
use crate::db::{Store, associations, ephemeral_keys, invites};
use crate::domain::base64;
use crate::domain::threepid::{Medium, ThreePid};

/// What a reader's thread holds.
pub struct Lookups {
    /// Its connection.
    pub store: Store,
}

impl State for Lookups {
    const NAME: &'static str = "lookups";

    fn is_alive(&mut self) -> bool {
        self.store.is_alive()
    }
}

/// The signed association of a 3PID, as JSON.
#[derive(Debug)]
pub struct SignedAssociation {
    /// Which 3PID.
    pub threepid: ThreePid,
    /// Now, ms.
    pub now: i64,
}

impl Ask for SignedAssociation {
    type Of = Lookups;
    type Reply = Option<String>;

    fn run(self, of: &mut Lookups) -> Result<Option<String>, Fault> {
        Ok(associations::signed(
            of.store.read(),
            &self.threepid,
            self.now,
        )?)
    }
}

/// SQLite allows 32,766 variables in a query, PostgreSQL 65,535.
const ADDRESSES_PER_QUERY: usize = 30_000;

/// To whom each of the 3PIDs is bound.
#[derive(Debug)]
pub struct LookupThreepids {
    /// Which 3PIDs.
    pub threepids: Vec<ThreePid>,
    /// Now, ms.
    pub now: i64,
}

impl Ask for LookupThreepids {
    type Of = Lookups;
    /// The mxid of each 3PID that is bound.
    type Reply = HashMap<ThreePid, String>;

    fn run(self, of: &mut Lookups) -> Result<Self::Reply, Fault> {
        let mut found = HashMap::new();
        for medium in [Medium::Email, Medium::Msisdn] {
            let of_medium: HashMap<&str, &ThreePid> = self
                .threepids
                .iter()
                .filter(|threepid| threepid.medium() == medium)
                .map(|threepid| (threepid.address(), threepid))
                .collect();
            let addresses: Vec<&str> = of_medium.keys().copied().collect();
            for addresses in addresses.chunks(ADDRESSES_PER_QUERY) {
                // The newest comes last and stays.
                for (address, mxid) in
                    associations::mxids(of.store.read(), medium, addresses, self.now)?
                {
                    if let Some(threepid) = of_medium.get(address.as_str()) {
                        found.insert((*threepid).clone(), mxid);
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Whether that ephemeral public key was handed out with an invite.
#[derive(Debug)]
pub struct FindEphemeralKey {
    /// The key.
    pub public_key: [u8; 32],
}

impl Ask for FindEphemeralKey {
    type Of = Lookups;
    type Reply = bool;

    fn run(self, of: &mut Lookups) -> Result<bool, Fault> {
        Ok(ephemeral_keys::exists(
            of.store.read(),
            &base64::encode(&self.public_key),
        )?)
    }
}

/// Who sent the invite with that token.
pub struct InviteSender {
    /// The token.
    pub token: String,
}

// Written by hand: who has the token can have it signed.
impl fmt::Debug for InviteSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteSender").finish_non_exhaustive()
    }
}

impl Ask for InviteSender {
    type Of = Lookups;
    type Reply = Option<String>;

    fn run(self, of: &mut Lookups) -> Result<Option<String>, Fault> {
        Ok(invites::sender(of.store.read(), &self.token)?)
    }
}

/// Whether the database answers at all.
#[derive(Debug)]
pub struct Ping;

impl Ask for Ping {
    type Of = Lookups;
    type Reply = bool;

    fn run(self, of: &mut Lookups) -> Result<bool, Fault> {
        Ok(of.store.is_alive())
    }
}
