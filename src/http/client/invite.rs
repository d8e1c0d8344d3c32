//! `…/store-invite` and `…/sign-ed25519` (section 15 of the conformance list).

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::{hashed_lookup, lookup};
use crate::actor::lookups::InviteSender;
use crate::app::App;
use crate::domain::base64;
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::Mxid;
use crate::domain::invite::{InviteFields, RoomId};
use crate::domain::invite_key::InviteKey;
use crate::domain::secret::InviteToken;
use crate::error::Error;
use crate::flow::invite::{self, Invitation, StoredInvite};
use crate::http::call::{Anywhere, Body, Call, Version};

/// `POST store-invite`: invites an address that is bound to nobody to a room.
///
/// # Errors
/// See INV-06 … INV-09, INV-18, INV-22, INV-23.
pub async fn store<V: Version>(
    app: web::Data<App>,
    args: Call<V, Body>,
) -> Result<HttpResponse, Error> {
    let invitation = invitation(&app, &args)?;
    // The answer tells whether the address is bound, and to whom (SEC-22).
    match args.caller.user() {
        Some(user) => hashed_lookup::count(&app, Some(user), 1)?,
        None => lookup::count(&app, args.client, 1)?,
    }
    let stored = invite::store_invite(app.clone().into_inner(), invitation);
    let invited = app.detached_waits.run(stored).await??;
    let base_url = app.config.server.public_base_url.as_str();
    Ok(HttpResponse::Ok().json(answer(&invited, base_url)))
}

fn invitation<V: Version>(app: &App, args: &Call<V, Body>) -> Result<Invitation, Error> {
    args.require(&["medium", "address", "room_id", "sender"])?;
    let sender = args.parse("sender", Mxid::parse)?;
    args.caller.may_act_for(&sender)?;
    let room_id = args.parse("room_id", RoomId::parse)?;
    if args.text("medium")? != "email" {
        return Err(Error::medium_not_invited());
    }
    let email =
        CanonicalEmail::parse(args.text("address")?).map_err(|_invalid| Error::invalid_email())?;
    let fields = InviteFields::of(args.iter());
    let asked = args
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_str()?)));
    let asked = asked.filter(|(name, _)| is_said(name));
    // As written and as shown: what hides in a word is taken out of the mail.
    let blocklist = app.config.invites.blocklist();
    if blocklist.refuses(&room_id, &sender, asked.chain(fields.iter())) {
        return Err(Error::invite_blocked());
    }
    let brand = args.value("brand").and_then(Value::as_str);
    Ok(Invitation {
        email,
        room_id,
        sender,
        verified: args.caller.user().is_some(),
        fields,
        brand: app.templates.brand(brand).to_string(),
        client: args.client,
    })
}

/// Whether a field may hold somebody's words: a random token or the recipient's
/// own address does not.
fn is_said(name: &str) -> bool {
    !matches!(name, "access_token" | "address" | "medium" | "brand")
}

/// INV-10 … INV-13. Homeservers ask for the addresses as they stand here, years
/// later, so they are v2 addresses (GEN-32).
fn answer(invited: &StoredInvite, base_url: &str) -> Value {
    let long_term = base64::encode(&invited.long_term_key);
    let routes = format!("{base_url}/_matrix/identity/v2/pubkey");
    json!({
        "token": invited.token.expose(),
        "public_key": long_term,
        "public_keys": [
            {"public_key": long_term, "key_validity_url": format!("{routes}/isvalid")},
            {
                "public_key": base64::encode_url_safe(&invited.ephemeral_key),
                "key_validity_url": format!("{routes}/ephemeral/isvalid"),
            },
        ],
        "display_name": invited.display_name,
    })
}

/// `POST sign-ed25519`: signs, with the key from the mail, that a user was
/// invited. It looks at nothing but the token (SGN-09), and binds nothing.
///
/// # Errors
/// See SGN-04, SGN-08, SGN-10.
pub async fn sign<V: Version>(
    app: web::Data<App>,
    args: Call<V, Anywhere>,
) -> Result<HttpResponse, Error> {
    if let Some(limiter) = &app.signature_limiter {
        let counted = limiter.take_for_client(args.client, 1);
        counted.map_err(Error::limit_exceeded)?;
    }
    args.require(&["mxid", "token", "private_key"])?;
    // Some append the user id to the mailed link without encoding its `+`.
    let mxid = args.parse("mxid", |mxid| Mxid::parse(&mxid.replace(' ', "+")))?;
    let token = args.text("token")?;
    let token = InviteToken::parse(token).map_err(|_unknown| Error::invite_not_found());
    let key = args.parse("private_key", InviteKey::parse)?;
    let token = token?;
    let find = InviteSender {
        token: token.clone(),
    };
    let sender = app.lookups.send(find).await?;
    let sender = sender.ok_or_else(Error::invite_not_found)?;
    let signed = key.sign(&app.config.server.name, &mxid, &sender, token.expose());
    let signed = signed.map_err(|_impossible| Error::internal())?;
    Ok(HttpResponse::Ok().json(signed))
}
