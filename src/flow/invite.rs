//! store-invite: stores an invite and sends its mail.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::FlowError;
use super::charges::{self, Requester};
use super::wait;
use crate::actor::invites::{InviteMail, StoreInvite, StoreOutcome};
use crate::actor::outbox::Subject;
use crate::app::App;
use crate::delivery::invitation::InvitationPayload;
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::Mxid;
use crate::domain::invite::{InviteFields, RoomId, WEB_CLIENT};
use crate::domain::invite_key::InviteKey;
use crate::domain::message::MessageId;
use crate::domain::public_key::PublicKey;
use crate::domain::secret::InviteToken;
use crate::domain::threepid::{Medium, ThreePid};
use crate::random;

/// How long the mail is tried once its sender was told that it is on its way.
const SEND_FOR: Duration = Duration::from_hours(24);

/// Letters and digits of a token. It must be unguessable, and it is the state
/// key of an event in the room (INV-11).
const TOKEN_LENGTH: usize = 64;

/// A store-invite call.
pub struct Invitation {
    /// The invited address.
    pub email: CanonicalEmail,
    /// The room.
    pub room_id: RoomId,
    /// The user who invites.
    pub sender: Mxid,
    /// Whether the sender is the account of the request (v2), and not just a
    /// claim (v1).
    pub verified: bool,
    /// The further fields of the request.
    pub fields: InviteFields,
    /// The brand of the templates.
    pub brand: String,
    /// The address of the client.
    pub client: Option<IpAddr>,
}

// Written by hand: addresses must not be shown.
impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("verified", &self.verified)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// A stored invite, as the room needs it.
#[derive(Debug)]
pub struct StoredInvite {
    /// The token of the invite.
    pub token: InviteToken,
    /// The long-term public key that will sign it.
    pub long_term_key: PublicKey,
    /// The public half of the key made for this invite.
    pub ephemeral_key: PublicKey,
    /// The redacted address that the room may show.
    pub display_name: String,
}

/// Stores an invite, and waits up to `answer_within` for the relay to accept its
/// mail.
///
/// # Errors
/// [`FlowError::ThreepidInUse`] when the address is bound; [`FlowError::Limited`]
/// by a send limit or when too many requests of the client wait; [`FlowError::InviteNotSent`] when the mail was refused for
/// good or every try failed until the wait was over: nothing is stored then
/// (INV-18).
pub async fn store_invite(
    app: Arc<App>,
    invitation: Invitation,
) -> Result<StoredInvite, FlowError> {
    let mail_worker = app
        .mail_worker
        .as_ref()
        .ok_or(FlowError::NoTransport(Medium::Email))?;
    let _waiting = wait::enter(&app, invitation.client)?;
    let display_name = app
        .config
        .invites
        .redaction()
        .display_name(&invitation.email);
    let private_key = fresh_key()?;
    let ephemeral_key = private_key.public();
    let (_, long_term_key) = app
        .public_keys
        .first()
        .ok_or(FlowError::Internal("there is no signing key"))?;
    let id = MessageId::from(random::alphanumeric(32)?);
    let store = operation(&app, invitation, private_key, id.clone())?;
    let token = store.token.clone();
    // Before the message is queued, or its outcome may be missed.
    let reply = app.pending_replies.subscribe(&id);
    let outcome = app.associations.send(store).await;
    if !matches!(outcome, Ok(StoreOutcome::Queued)) {
        app.pending_replies.unsubscribe(&id, reply);
        return Err(match outcome? {
            StoreOutcome::InUse(mxid) => FlowError::ThreepidInUse(mxid),
            StoreOutcome::Limited(refusal) => charges::refused(&app, refusal),
            StoreOutcome::Queued => FlowError::Internal("a queued invite was not waited for"),
        });
    }
    mail_worker.wake();
    let subject = Subject::Invite {
        token: token.clone(),
    };
    wait::for_outcome(&app, &id, subject, reply)
        .await?
        .map_err(FlowError::InviteNotSent)?;
    Ok(StoredInvite {
        token,
        long_term_key: *long_term_key,
        ephemeral_key,
        display_name,
    })
}

fn operation(
    app: &App,
    invitation: Invitation,
    private_key: InviteKey,
    id: MessageId,
) -> Result<StoreInvite, FlowError> {
    let (key_id, _) = app
        .public_keys
        .first()
        .ok_or(FlowError::Internal("there is no signing key"))?;
    let token = InviteToken::parse(&random::alphanumeric(TOKEN_LENGTH)?)
        .map_err(|_impossible| FlowError::Internal("a fresh token is invalid"))?;
    let now = app.clock.now();
    let answer_until = now.after(app.config.delivery.answer_within);
    let requester = Requester {
        client: invitation.client,
        account: invitation.verified.then_some(&invitation.sender),
    };
    Ok(StoreInvite {
        key_id: key_id.clone(),
        ephemeral_key: private_key.public(),
        limits: charges::of_invite(app, requester, &invitation.email),
        room_id: invitation.room_id.clone(),
        sender: invitation.sender.clone(),
        mail: InviteMail {
            id,
            answer_until,
            expires_at: now.after(SEND_FOR),
            affinity_instance: app.instance.clone(),
            payload: payload(app, &invitation, &token, private_key),
        },
        threepid: ThreePid::Email(invitation.email),
        token,
        now: now.as_i64(),
    })
}

fn fresh_key() -> Result<InviteKey, FlowError> {
    let mut seed = Zeroizing::new([0; 32]);
    random::fill(seed.as_mut())?;
    Ok(InviteKey::from_seed(*seed))
}

fn payload(
    app: &App,
    invitation: &Invitation,
    token: &InviteToken,
    private_key: InviteKey,
) -> InvitationPayload {
    // The page gets the token and the key, so an unknown sender must not choose
    // it (INV-24), nor any account a page that is not on the list (INV-05).
    let wanted = invitation
        .fields
        .get(WEB_CLIENT)
        .filter(|_| invitation.verified);
    InvitationPayload {
        address: invitation.email.as_str().to_owned(),
        brand: invitation.brand.clone(),
        token: token.expose().to_owned(),
        private_key,
        room_id: invitation.room_id.as_str().to_owned(),
        sender: invitation.sender.to_string(),
        verified: invitation.verified,
        web_client: app.config.invites.web_client_for(wanted).to_owned(),
        fields: invitation.fields.clone(),
    }
}
