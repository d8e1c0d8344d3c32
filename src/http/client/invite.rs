//! Invitations of email addresses to rooms.
//!
//! - [`POST /_matrix/identity/v2/store-invite`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2store-invite)
//! - [`POST /_matrix/identity/v2/sign-ed25519`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2sign-ed25519)

use std::collections::BTreeMap;

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{hashed_lookup, lookup};
use crate::actor::lookups::InviteSender;
use crate::app::App;
use crate::domain::base64;
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::Mxid;
use crate::domain::invite::{InviteFields, RoomId, WEB_CLIENT};
use crate::domain::invite_key::InviteKey;
use crate::domain::secret::InviteToken;
use crate::domain::threepid::Medium;
use crate::error::{Error, Kind};
use crate::flow::invite::{self, Invitation, StoredInvite};
use crate::flow::lookup::{claim, pay};
use crate::http::access::Access;
use crate::http::args::{Body, BodyOrQuery};
use crate::http::call::Call;
use crate::http::fields::Request;
use crate::http::resource::Endpoint;
use crate::http::signed::{Signatures, typed};

/// An address to invite to a room. Further fields are available to templates.
#[derive(Deserialize, ToSchema)]
pub struct StoreInviteRequest {
    medium: Medium,
    address: String,
    room_id: RoomId,
    /// The user who invites.
    sender: Mxid,
    room_alias: Option<Lenient>,
    room_avatar_url: Option<Lenient>,
    room_join_rules: Option<Lenient>,
    room_name: Option<Lenient>,
    room_type: Option<Lenient>,
    sender_display_name: Option<Lenient>,
    sender_avatar_url: Option<Lenient>,
    /// Where the web client of the homeserver's users is.
    #[serde(rename = "org.matrix.web_client_location")]
    web_client_location: Option<Lenient>,
    /// Which templates the server uses; an unknown brand is the default one.
    brand: Option<Lenient>,
    #[serde(flatten)]
    further: BTreeMap<String, Lenient>,
}

// Homeservers copy what room events contain (INV-03).
/// A string. A value of another type counts as absent.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String)]
struct Lenient(Value);

impl Request for StoreInviteRequest {
    const HAS_BRAND: bool = true;

    fn invalid(field: &str, reason: &str) -> Error {
        match field {
            "medium" => Error::medium_not_invited(),
            _ => Error::invalid_param(field, reason),
        }
    }
}

impl StoreInviteRequest {
    /// What the homeserver says of the room and the sender, by name.
    fn details(&self) -> impl Iterator<Item = (&str, &Value)> {
        let named = [
            ("room_alias", &self.room_alias),
            ("room_avatar_url", &self.room_avatar_url),
            ("room_join_rules", &self.room_join_rules),
            ("room_name", &self.room_name),
            ("room_type", &self.room_type),
            ("sender_display_name", &self.sender_display_name),
            ("sender_avatar_url", &self.sender_avatar_url),
            (WEB_CLIENT, &self.web_client_location),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some((name, &value.as_ref()?.0)));
        let further = self.further.iter();
        named.chain(further.map(|(name, value)| (name.as_str(), &value.0)))
    }

    /// All text that a person can have written: a token is random, and the address
    /// is the recipient's own.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let details = self.details();
        let texts = details.filter_map(|(name, value)| Some((name, value.as_str()?)));
        texts
            .filter(|(name, _)| *name != "access_token")
            .chain([("room_id", self.room_id.as_str())])
            .chain([("sender", self.sender.as_str())])
    }

    /// Checks the request against the configuration.
    fn into_invitation<A, S>(
        self,
        app: &App,
        call: &Call<A, S, Self>,
    ) -> Result<Invitation, Error> {
        call.caller.may_act_for(&self.sender)?;
        if self.medium != Medium::Email {
            return Err(Error::medium_not_invited());
        }
        let Ok(email) = CanonicalEmail::parse(&self.address) else {
            return Err(Error::invalid_email());
        };
        let fields = InviteFields::from_request(self.details());
        // As written and as shown: the mail leaves out what hides within a word.
        let texts = self.texts().chain(fields.iter());
        let blocklist = app.config.invites.blocklist();
        if blocklist.blocks(&self.room_id, &self.sender, texts) {
            return Err(Error::invite_blocked());
        }
        let brand = self.brand.as_ref().and_then(|brand| brand.0.as_str());
        let brand = call.brand(brand);
        Ok(Invitation {
            email,
            brand: app.templates.brand(brand.as_deref()).to_string(),
            room_id: self.room_id,
            sender: self.sender,
            verified: call.caller.user().is_some(),
            fields,
            client: call.client,
        })
    }
}

/// A stored invitation, for the room.
#[derive(Serialize, ToSchema)]
pub struct StoreInviteResponse {
    token: InviteToken,
    /// The first of `public_keys`, which older homeservers read.
    public_key: String,
    /// The long-term key of this server, and the key of the invitation.
    public_keys: [InvitePublicKey; 2],
    /// The address, redacted.
    display_name: String,
}

/// A key that can sign the acceptance of an invitation.
#[derive(Serialize, ToSchema)]
struct InvitePublicKey {
    /// The key in unpadded base64.
    public_key: String,
    /// Where a homeserver checks whether it is valid.
    key_validity_url: String,
}

impl StoreInviteResponse {
    // Homeservers call the URLs years later, so they are v2 (GEN-32).
    fn new(invite: StoredInvite, base_url: &str) -> Self {
        let long_term = invite.long_term_key.to_base64();
        let pubkey = format!("{base_url}/_matrix/identity/v2/pubkey");
        Self {
            token: invite.token,
            public_key: long_term.clone(),
            public_keys: [
                InvitePublicKey {
                    public_key: long_term,
                    key_validity_url: format!("{pubkey}/isvalid"),
                },
                InvitePublicKey {
                    public_key: base64::encode_url_safe(invite.ephemeral_key.as_bytes()),
                    key_validity_url: format!("{pubkey}/ephemeral/isvalid"),
                },
            ],
            display_name: invite.display_name,
        }
    }
}

pub(in crate::http) const STORE: Endpoint = Endpoint {
    summary: "Invite an email address that is not bound to a room",
    // INV-06, INV-07, INV-08, INV-09, INV-18, INV-22, INV-23
    errors: &[
        Kind::MEDIUM_NOT_INVITED,
        Kind::INVALID_EMAIL,
        Kind::THREEPID_IN_USE,
        Kind::EMAIL_SEND_ERROR,
        Kind::WRONG_USER,
        Kind::INVITE_BLOCKED,
        Kind::LIMIT_EXCEEDED,
    ],
};

/// Stores an invitation and sends its mail.
pub async fn store<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, Body, StoreInviteRequest>,
) -> Result<web::Json<StoreInviteResponse>, Error> {
    let invitation = call.request()?.into_invitation(&app, &call)?;
    // The response shows whether the address is bound, and to which user (SEC-22).
    let user = call.caller.user();
    match user {
        Some(user) => hashed_lookup::charge(&app, Some(user), 1)?,
        None => lookup::charge(&app, call.client, 1)?,
    }
    let address = ("email", invitation.email.as_str());
    pay(&app, claim(&app, call.client, user, [address])).await?;
    let inner = app.clone().into_inner();
    let invite = app
        .detached_waits
        .run(invite::store_invite(inner, invitation))
        .await??;
    let base_url = app.config.server.public_base_url.as_str();
    Ok(web::Json(StoreInviteResponse::new(invite, base_url)))
}

/// An invitation to sign.
#[derive(Deserialize, ToSchema)]
pub struct SignRequest {
    mxid: Mxid,
    private_key: InviteKey,
    token: InviteToken,
}

impl Request for SignRequest {
    fn invalid(field: &str, reason: &str) -> Error {
        match field {
            // No invitation has such a token.
            "token" => Error::invite_not_found(),
            _ => Error::invalid_param(field, reason),
        }
    }
}

/// A signed statement that a user was invited.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SignResponse {
    mxid: Mxid,
    /// The user who invited.
    sender: String,
    token: InviteToken,
    /// By the private key of the request, in the name of this server.
    signatures: Signatures,
}

pub(in crate::http) const SIGN: Endpoint = Endpoint {
    summary: "Sign the acceptance of an invitation with the key from its mail",
    // SGN-04, SGN-10
    errors: &[Kind::INVITE_NOT_FOUND, Kind::LIMIT_EXCEEDED],
};

/// Signs that a user was invited. Checks nothing but the token (SGN-09), and binds
/// nothing.
pub async fn sign<A: Access>(
    app: web::Data<App>,
    mut call: Call<A, BodyOrQuery, SignRequest>,
) -> Result<web::Json<SignResponse>, Error> {
    if let Some(limiter) = &app.limiters.signatures {
        limiter
            .take_for_client(call.client, 1)
            .map_err(Error::limit_exceeded)?;
    }
    let request = call.request()?;
    let (mxid, token) = (request.mxid, request.token);
    let find = InviteSender {
        token: token.clone(),
    };
    let sender = app.lookups.send(find).await?;
    let sender = sender.ok_or_else(Error::invite_not_found)?;
    let name = &app.config.server.name;
    let signed = request
        .private_key
        .sign(name, &mxid, &sender, token.expose())
        .map_err(|_not_canonical| Error::internal())?;
    Ok(web::Json(typed(signed)?))
}
