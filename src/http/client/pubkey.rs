//! Public keys, the same on v1 and v2 (PUB-11).
//!
//! - [`GET /_matrix/identity/v2/pubkey/{keyId}`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2pubkeykeyid)
//! - [`GET /_matrix/identity/v2/pubkey/isvalid`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2pubkeyisvalid)
//! - [`GET /_matrix/identity/v2/pubkey/ephemeral/isvalid`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2pubkeyephemeralisvalid)

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};

use crate::actor::lookups::FindEphemeralKey;
use crate::app::App;
use crate::domain::ids::KeyId;
use crate::domain::public_key::PublicKey;
use crate::error::{Error, Kind};
use crate::http::access::Anyone;
use crate::http::args::Query;
use crate::http::call::Call;
use crate::http::describe::{DescribeRequest, Description};
use crate::http::fields::Request;
use crate::http::resource::Endpoint;

/// The key ID in the path.
#[derive(Debug)]
pub struct KeyPath(KeyId);

impl FromRequest for KeyPath {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let text = request.match_info().get("keyId").unwrap_or_default();
        // No key has an ID of another format (PUB-02).
        ready(KeyId::parse(text).map_or_else(|_| Err(Error::key_not_found()), |id| Ok(Self(id))))
    }
}

impl DescribeRequest for KeyPath {
    fn describe(operation: &mut Description) {
        let schema = operation.reference::<KeyId>();
        let parameter = ParameterBuilder::new()
            .name("keyId")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(schema));
        operation.parameters.push(parameter.build());
    }
}

/// A public key.
#[derive(Serialize, ToSchema)]
pub struct PublicKeyResponse {
    /// The key in unpadded base64.
    public_key: String,
}

pub(in crate::http) const BY_ID: Endpoint = Endpoint {
    summary: "Get a public key of this server by its ID",
    errors: &[Kind::KEY_NOT_FOUND],
};

/// Returns the public key with an ID, active or retired.
pub async fn by_id(
    app: web::Data<App>,
    path: KeyPath,
) -> Result<web::Json<PublicKeyResponse>, Error> {
    let found = app.public_keys.iter().find(|(id, _)| *id == path.0);
    let (_, key) = found.ok_or_else(Error::key_not_found)?;
    let public_key = key.to_base64();
    Ok(web::Json(PublicKeyResponse { public_key }))
}

/// A public key to check.
#[derive(Deserialize, ToSchema)]
pub struct IsValidRequest {
    /// The key in base64 of either alphabet, padded or not. What is not a key is
    /// not valid.
    public_key: String,
}

impl Request for IsValidRequest {}

/// Whether a key is valid.
#[derive(Serialize, ToSchema)]
pub struct IsValidResponse {
    valid: bool,
}

pub(in crate::http) const IS_VALID: Endpoint = Endpoint {
    summary: "Check whether a public key is a long-term key of this server",
    errors: &[],
};

/// Checks whether a key is a long-term key of this server, active or retired
/// (PUB-03, PUB-05).
pub async fn is_valid(
    app: web::Data<App>,
    mut call: Call<Anyone, Query, IsValidRequest>,
) -> Result<web::Json<IsValidResponse>, Error> {
    let given = PublicKey::from_base64(&call.request()?.public_key);
    let valid = given.is_some_and(|given| app.public_keys.iter().any(|(_, key)| *key == given));
    Ok(web::Json(IsValidResponse { valid }))
}

pub(in crate::http) const IS_EPHEMERAL_VALID: Endpoint = Endpoint {
    summary: "Check whether a public key is the key of an invitation",
    errors: &[],
};

/// Checks whether a key was made for an invitation (PUB-04, PUB-05).
pub async fn is_ephemeral_valid(
    app: web::Data<App>,
    mut call: Call<Anyone, Query, IsValidRequest>,
) -> Result<web::Json<IsValidResponse>, Error> {
    let valid = match PublicKey::from_base64(&call.request()?.public_key) {
        Some(public_key) => {
            let find = FindEphemeralKey { public_key };
            // The standby may not know a new invitation yet.
            app.lookup_reads.send(find, |is_known| *is_known).await?
        }
        None => false,
    };
    Ok(web::Json(IsValidResponse { valid }))
}
