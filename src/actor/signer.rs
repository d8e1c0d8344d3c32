//! The signer: it owns the private keys.

use std::fmt;

use serde_json::{Map, Value};

use super::pool::{Fault, Operation, State};
use crate::domain::ids::{KeyId, ServerName};
use crate::domain::signing::KeyRing;

/// The state of its thread.
pub struct Signer {
    /// The keys.
    pub keys: std::sync::Arc<KeyRing>,
    /// The name under which this server signs.
    pub name: ServerName,
}

impl State for Signer {
    const NAME: &'static str = "signer";
}

/// Signs an object with the active key. Returns the object with its signature.
pub struct Sign {
    /// The object.
    pub object: Map<String, Value>,
}

// Written by hand: the object may hold an address.
impl fmt::Debug for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sign").finish_non_exhaustive()
    }
}

/// Signs an object with the key of that id. Returns the object with its
/// signature, or `None` if there is no such key.
pub struct SignAs {
    /// The id of the key; `None` matches no key.
    pub key_id: Option<KeyId>,
    /// The object.
    pub object: Map<String, Value>,
}

// Written by hand: the object may hold a token.
impl fmt::Debug for SignAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignAs")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Signs objects with the active key. Returns them with their signatures, in the
/// same order.
pub struct SignAll {
    /// The objects.
    pub objects: Vec<Map<String, Value>>,
}

// Written by hand: the objects hold addresses.
impl fmt::Debug for SignAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignAll")
            .field("objects", &self.objects.len())
            .finish()
    }
}

impl Operation for SignAll {
    type State = Signer;
    type Output = Vec<Map<String, Value>>;

    fn run(mut self, state: &mut Signer) -> Result<Self::Output, Fault> {
        for object in &mut self.objects {
            state
                .keys
                .active()
                .sign(&state.name, object)
                .map_err(|_unsignable| Fault::Internal("an object has no canonical form"))?;
        }
        Ok(self.objects)
    }
}

impl Operation for SignAs {
    type State = Signer;
    type Output = Option<Map<String, Value>>;

    fn run(mut self, state: &mut Signer) -> Result<Self::Output, Fault> {
        let Some(key) = self.key_id.and_then(|id| state.keys.by_id(&id)) else {
            return Ok(None);
        };
        key.sign(&state.name, &mut self.object)
            .map_err(|_unsignable| Fault::Internal("an object has no canonical form"))?;
        Ok(Some(self.object))
    }
}

impl Operation for Sign {
    type State = Signer;
    type Output = Map<String, Value>;

    fn run(mut self, state: &mut Signer) -> Result<Self::Output, Fault> {
        state
            .keys
            .active()
            .sign(&state.name, &mut self.object)
            .map_err(|_unsignable| Fault::Internal("an object has no canonical form"))?;
        Ok(self.object)
    }
}
