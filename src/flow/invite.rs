//! store-invite: store an invitation and get its mail on the way.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::validate::{HOME_GRACE_MS, later};
use super::wait;
use crate::actor::invites::{InviteMail, StoreInvite, StoreOutcome};
use crate::actor::outbox::Subject;
use crate::app::App;
use crate::delivery::invitation::InvitationPayload;
use crate::delivery::pending_replies::Outcome;
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::Mxid;
use crate::domain::invite::{InviteFields, RoomId, WEB_CLIENT};
use crate::domain::invite_key::InviteKey;
use crate::domain::rate::{Rate, client_network, counted};
use crate::domain::secret::InviteToken;
use crate::domain::threepid::ThreePid;
use crate::error::Error;
use crate::random;

/// How long the mail is tried after its sender was told that it is on its way.
const TRIED_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// How many letters and digits a token has: it must be unguessable, and is the
/// key of an event in the room (INV-11).
const TOKEN_LENGTH: usize = 64;

/// What a homeserver asks for.
pub struct Invitation {
    /// Who is invited.
    pub email: CanonicalEmail,
    /// Where to.
    pub room_id: RoomId,
    /// By whom.
    pub sender: Mxid,
    /// Whether it is known that the sender asks.
    pub verified: bool,
    /// What else is said.
    pub fields: InviteFields,
    /// Which template set.
    pub brand: String,
    /// The address of whoever asks.
    pub client: Option<IpAddr>,
}

// Written by hand: the client's address is nobody's business.
impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("verified", &self.verified)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// An invite that was stored, as the room needs it.
#[derive(Debug)]
pub struct StoredInvite {
    /// Its token.
    pub token: InviteToken,
    /// The long-term public key that will sign it.
    pub long_term_key: [u8; 32],
    /// The public half of its own key.
    pub ephemeral_key: [u8; 32],
    /// What the room may show of the address.
    pub display_name: String,
}

/// Stores an invite, and waits up to `answer_within` to hear whether the relay
/// took its mail.
///
/// # Errors
/// `M_THREEPID_IN_USE`; `M_EMAIL_SEND_ERROR` when the mail was refused for good,
/// or when every try failed until the wait was over: nothing is stored then
/// (INV-18).
pub async fn store_invite(app: Arc<App>, invitation: Invitation) -> Result<StoredInvite, Error> {
    let Some(mailer) = &app.mailer else {
        return Err(Error::email_send_error(
            "This server has no way to send e-mail",
        ));
    };
    let limits = limits(&app, &invitation);
    let display_name = app
        .config
        .invites
        .redaction()
        .display_name(&invitation.email);
    let (key_id, long_term_key) = app.public_keys.first().ok_or_else(Error::internal)?;
    let private_key = fresh_key()?;
    let ephemeral_key = private_key.public();
    let token = InviteToken::parse(&random::alphanumeric(TOKEN_LENGTH)?)
        .map_err(|_impossible| Error::internal())?;
    let id = random::alphanumeric(32)?;
    let now = app.clock.now();
    let answer_until = later(now, app.config.delivery.answer_within);
    let ask = StoreInvite {
        token: token.clone(),
        key_id: key_id.clone(),
        ephemeral_key,
        limits,
        room_id: invitation.room_id.clone(),
        sender: invitation.sender.clone(),
        mail: InviteMail {
            id: id.clone(),
            answer_until,
            expires_at: now.saturating_add(TRIED_FOR_MS),
            home: app.instance.clone(),
            home_until: answer_until.saturating_add(HOME_GRACE_MS),
            payload: payload(&app, &invitation, &token, private_key),
        },
        threepid: ThreePid::Email(invitation.email),
        now,
    };
    // Before the message is queued, so that no outcome is missed.
    let listener = app.waiting.listen(&id);
    match app.associations.send(ask).await {
        Ok(StoreOutcome::Queued) => {
            mailer.wake();
            let subject = Subject::Invite {
                token: token.clone(),
            };
            told(wait::outcome(&app, id, subject, listener).await?)?;
            Ok(StoredInvite {
                token,
                long_term_key: *long_term_key,
                ephemeral_key,
                display_name,
            })
        }
        other => {
            app.waiting.forget(&id, listener);
            match other? {
                StoreOutcome::InUse(mxid) => Err(Error::threepid_in_use(mxid)),
                StoreOutcome::Limited(wait_ms) => Err(Error::limit_exceeded(wait_ms)),
                StoreOutcome::Queued => Err(Error::internal()),
            }
        }
    }
}

fn fresh_key() -> Result<InviteKey, Error> {
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
    // The page gets the token and the key: nobody unknown chooses it (INV-24).
    let web_client = invitation.fields.get(WEB_CLIENT);
    let web_client = web_client.filter(|_| invitation.verified);
    InvitationPayload {
        address: invitation.email.as_str().to_owned(),
        brand: invitation.brand.clone(),
        token: token.expose().to_owned(),
        private_key,
        room_id: invitation.room_id.as_str().to_owned(),
        sender: invitation.sender.to_string(),
        verified: invitation.verified,
        web_client: web_client
            .unwrap_or(&app.config.invites.web_client)
            .to_owned(),
        fields: invitation.fields.clone(),
    }
}

/// Who is counted for the mail (INV-23): the account, its homeserver, which may
/// have as many accounts as it likes, and the client; where there is no account
/// and the sender is anybody's claim, the client alone (INV-24). And the
/// recipient.
fn limits(app: &App, invitation: &Invitation) -> Vec<(String, Rate)> {
    let limits = &app.config.limits;
    let client = invitation.client.map(client_network);
    let client = client.as_deref();
    let mut all = Vec::new();
    let mut count = |scope: &str, who: Option<&str>, rate: Option<Rate>| {
        if let (Some(who), Some(rate)) = (who, rate) {
            all.push((counted(scope, who), rate));
        }
    };
    if invitation.verified {
        let sender = &invitation.sender;
        count(
            "invite-by",
            Some(sender.as_str()),
            limits.invites_per_sender.rate(),
        );
        count(
            "invite-of",
            Some(sender.server_name()),
            limits.invites_per_homeserver.rate(),
        );
        count(
            "invite-via",
            client,
            limits.invites_per_client_with_account.rate(),
        );
    } else {
        count("invite-from", client, limits.invites_per_client.rate());
    }
    let to = invitation.email.as_str();
    count("invite-to", Some(to), limits.invites_per_address.rate());
    all
}

/// What the homeserver is told of the mail.
fn told(outcome: Outcome) -> Result<(), Error> {
    Err(Error::email_send_error(match outcome {
        Outcome::Delivered => return Ok(()),
        Outcome::GivenUp => "The invitation could not be sent; try again in a few minutes",
        Outcome::Refused => "The mail server does not accept e-mail to this address",
        Outcome::Failed => "The invitation could not be sent",
    }))
}
