//! Signing all associations of the server again, after it was renamed or when its old
//! key must not be used any more.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::associations::Associations;
use super::pool::{Fault, Kind, Operation};
use crate::db::{Conn, LockKey, own_associations, peers, server_identity, statements};
use crate::domain::ids::ServerName;
use crate::domain::signing::{KeyRing, verify};

/// Signs every association of the server with its name and its active key, and makes
/// the database its own.
#[derive(Debug)]
pub struct SignAgain {
    /// The name that the database was used with; `None` if that has not changed.
    pub former_name: Option<ServerName>,
    /// The keys of the server.
    pub keys: Arc<KeyRing>,
}

/// What was signed.
#[derive(Debug, PartialEq, Eq)]
pub enum SignAgainOutcome {
    /// So many associations were signed; the others were up to date.
    Signed(usize),
    /// The name is the same, and everything is signed with the active key already.
    UpToDate,
    /// The database belongs to the server of this other name. Nothing was changed.
    OtherName(String),
}

/// Associations that are in memory at a time.
const CHUNK: i64 = 1000;

impl Operation for SignAgain {
    type State = Associations;
    type Output = SignAgainOutcome;
    const KIND: Kind = Kind::LongWrite;

    fn run(self, state: &mut Associations) -> Result<SignAgainOutcome, Fault> {
        let name = state.origin.clone();
        state.store.write(LockKey::Job("sign"), |connection| {
            let stored = server_identity::name(connection)?;
            let expected = self.former_name.as_ref().unwrap_or(&name).to_string();
            let is_own_already = match &stored {
                Some(stored) => stored == name.as_str(),
                None => own_associations::has_made_some(connection, name.as_str())?,
            };
            let known_as = match &stored {
                Some(stored) => Some(stored.clone()),
                // Earlier versions did not store it: the associations tell.
                None => own_associations::other_origin(connection, &expected)?,
            };
            if let Some(other) = known_as.filter(|other| *other != expected && !is_own_already) {
                return Ok(SignAgainOutcome::OtherName(other));
            }
            // Under any other name, the associations are those of peers.
            let expected = if is_own_already {
                name.to_string()
            } else {
                expected
            };
            let is_renamed = expected != name.as_str();
            if is_renamed {
                own_associations::remove_older(connection, &expected, name.as_str())?;
                statements::rename_removals(connection, &expected, &name)?;
                // They know the server by its new name, and get everything under it.
                peers::start_over(connection)?;
            }
            let signed = self.sign_all(connection, &name, &expected)?;
            server_identity::set_name(connection, &name)?;
            if signed == 0 && stored.as_deref() == Some(name.as_str()) {
                return Ok(SignAgainOutcome::UpToDate);
            }
            Ok(SignAgainOutcome::Signed(signed))
        })
    }
}

impl SignAgain {
    fn sign_all(
        &self,
        connection: &mut Conn,
        name: &ServerName,
        former: &str,
    ) -> Result<usize, Fault> {
        let (mut last, mut count) = (i64::MIN, 0);
        loop {
            let chunk = own_associations::after(connection, [former, name.as_str()], last, CHUNK)?;
            let Some(end) = chunk.last() else {
                return Ok(count);
            };
            last = end.id;
            for own in &chunk {
                let mut object: Map<String, Value> = serde_json::from_str(&own.signed)
                    .map_err(|_error| Fault::Internal("cannot decode a stored association"))?;
                if own.origin == name.as_str() && self.is_signed(&object, name) {
                    continue;
                }
                object.remove("signatures");
                self.keys
                    .active()
                    .sign(name, &mut object)
                    .map_err(|_invalid| Fault::Internal("cannot sign a stored association"))?;
                let signed = Value::Object(object).to_string();
                own_associations::replace_signed(connection, own.id, name, &signed)?;
                count += 1;
            }
        }
    }

    fn is_signed(&self, object: &Map<String, Value>, name: &ServerName) -> bool {
        let key = self.keys.active();
        verify(object, name.as_str(), key.id(), &key.public())
    }
}
