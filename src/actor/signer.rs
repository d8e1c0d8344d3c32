//! The owner of the private keys.

use std::fmt;

use serde_json::{Map, Value};

use super::pool::{Ask, Fault, State};
use crate::domain::ids::{KeyId, ServerName};
use crate::domain::signing::KeyRing;

/// What the owner's thread holds.
pub struct Signer {
    /// The keys.
    pub keys: std::sync::Arc<KeyRing>,
    /// The name under which this server signs.
    pub name: ServerName,
}

impl State for Signer {
    const NAME: &'static str = "signer";
}

/// Signs an object with the active key; answers the object with the signature
/// in it.
pub struct Sign {
    /// What to sign.
    pub object: Map<String, Value>,
}

// Written by hand: the object may hold an address.
impl fmt::Debug for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sign").finish_non_exhaustive()
    }
}

/// Signs an object with the key of that id; answers the object with the
/// signature in it, or `None` if there is no such key (any more).
pub struct SignAs {
    /// Which key; `None` is no key.
    pub key_id: Option<KeyId>,
    /// What to sign.
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

/// Signs objects with the active key; answers them with the signature in them,
/// in the same order.
pub struct SignAll {
    /// What to sign.
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

impl Ask for SignAll {
    type Of = Signer;
    type Reply = Vec<Map<String, Value>>;

    fn run(mut self, of: &mut Signer) -> Result<Self::Reply, Fault> {
        for object in &mut self.objects {
            of.keys
                .active()
                .sign(&of.name, object)
                .map_err(|_unsignable| Fault::Broken("an object has no canonical form"))?;
        }
        Ok(self.objects)
    }
}

impl Ask for SignAs {
    type Of = Signer;
    type Reply = Option<Map<String, Value>>;

    fn run(mut self, of: &mut Signer) -> Result<Self::Reply, Fault> {
        let Some(key) = self.key_id.and_then(|id| of.keys.by_id(&id)) else {
            return Ok(None);
        };
        key.sign(&of.name, &mut self.object)
            .map_err(|_unsignable| Fault::Broken("an object has no canonical form"))?;
        Ok(Some(self.object))
    }
}

impl Ask for Sign {
    type Of = Signer;
    type Reply = Map<String, Value>;

    fn run(mut self, of: &mut Signer) -> Result<Self::Reply, Fault> {
        of.keys
            .active()
            .sign(&of.name, &mut self.object)
            .map_err(|_unsignable| Fault::Broken("an object has no canonical form"))?;
        Ok(self.object)
    }
}
