//! Signed objects in responses.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::ids::Mxid;
use crate::domain::threepid::Medium;
use crate::error::Error;

/// Signatures in unpadded base64, by server name and key ID.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Signatures(BTreeMap<String, BTreeMap<String, String>>);

/// A signed statement that an address belongs to a user. Times are milliseconds
/// since the epoch.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SignedAssociation {
    /// The kind of the address.
    pub medium: Medium,
    /// The canonical address.
    pub address: String,
    /// The user.
    pub mxid: Mxid,
    /// When the association was made.
    pub ts: i64,
    /// From when it holds.
    pub not_before: i64,
    /// Until when it holds.
    pub not_after: i64,
    /// By this server.
    pub signatures: Signatures,
}

/// The typed form of an object that this server has signed.
///
/// # Errors
/// `500 M_UNKNOWN` when the object has other fields.
pub(super) fn typed<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, Error> {
    serde_json::from_value(Value::Object(object)).map_err(|_unexpected| {
        // Without the error, which quotes the object.
        log::error!("request failed: a signed object has unexpected fields");
        Error::internal()
    })
}
