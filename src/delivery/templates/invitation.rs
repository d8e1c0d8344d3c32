//! The values of the mail that invites an address to a room.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use minijinja::Value;
use zeroize::Zeroizing;

use super::values::{boundary, clean, link_host};
use crate::domain::invite::InviteFields;
use crate::domain::shown_text::defang;

/// The values of an invitation. Control characters are removed from every value
/// before a template gets it, and names are defanged so that they hold no links.
#[derive(Clone)]
pub struct InvitationMail {
    /// The URL of the web client, without a trailing slash:
    /// `web_client_location`.
    pub web_client: String,
    /// The link that opens the web client with the data for joining:
    /// `join_link`.
    pub join_link: String,
    /// The URL at which a client gets the signature that lets it join:
    /// `sign_url`. Its host is the value `server`.
    pub sign_url: String,
    /// The token of the invite: `token`.
    pub token: String,
    /// The private key of the invite: `ephemeral_private_key`.
    pub private_key: Zeroizing<String>,
    /// The room: `room_id`.
    pub room_id: String,
    /// The Matrix ID of the inviter: `sender`.
    pub inviter: String,
    /// Whether the request was authenticated as the inviter: `verified`.
    pub verified: bool,
    /// Further fields of the request. They never replace a value listed here.
    pub fields: InviteFields,
    /// The sender of the mail: `from`.
    pub from: String,
    /// The recipient's address: `to`.
    pub to: String,
    /// The date in the format of RFC 2822: `date`.
    pub date: String,
    /// The message id with its angle brackets: `messageid`.
    pub messageid: String,
}

/// Shows nothing, since the values include an address and a secret.
impl fmt::Debug for InvitationMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvitationMail").finish_non_exhaustive()
    }
}

impl InvitationMail {
    /// Whether the room is a space.
    pub(super) fn is_space(&self) -> bool {
        self.fields.is_space()
    }

    pub(super) fn context(&self) -> BTreeMap<String, Value> {
        let mut context: BTreeMap<String, Value> = self
            .fields
            .iter()
            .map(|(name, value)| (name.to_owned(), clean(value).into()))
            .collect();
        for name in [
            "room_alias",
            "room_avatar_url",
            "room_type",
            "sender_avatar_url",
            "guest_user_id",
            "guest_access_token",
        ] {
            context.entry(name.to_owned()).or_insert_with(|| "".into());
        }
        context.extend(
            self.computed()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        context
    }

    /// The values that no field of a request can override (INV-20).
    fn computed(&self) -> [(&'static str, Value); 23] {
        let name = |field| self.fields.get(field).map(|name| clean(&defang(name)));
        let bracketed = |name: &str| {
            if name.is_empty() {
                String::new()
            } else {
                format!("({name}) ")
            }
        };
        let inviter = clean(&shown_user(&self.inviter));
        let nameless = if self.verified {
            inviter.clone()
        } else {
            "Somebody".to_owned()
        };
        let display_name = name("sender_display_name").unwrap_or(nameless);
        let room_name = name("room_name").unwrap_or_default();
        // Without a display name the Matrix ID is shown already.
        let verified_sender = if self.verified && display_name != inviter {
            bracketed(&inviter)
        } else {
            String::new()
        };
        [
            ("sender", inviter.into()),
            ("sender_display_name", display_name.into()),
            ("bracketed_verified_sender", verified_sender.into()),
            ("verified", self.verified.into()),
            ("room_id", clean(&self.room_id).into()),
            ("bracketed_room_name", bracketed(&room_name).into()),
            ("room_name", room_name.into()),
            ("is_space", self.is_space().into()),
            ("web_client_location", clean(&self.web_client).into()),
            ("join_link", clean(&self.join_link).into()),
            ("sign_url", clean(&self.sign_url).into()),
            ("server", link_host(&self.sign_url).into()),
            ("token", clean(&self.token).into()),
            ("ephemeral_private_key", clean(&self.private_key).into()),
            ("from", clean(&self.from).into()),
            ("to", clean(&self.to).into()),
            // The names that the request uses.
            ("medium", "email".into()),
            ("address", clean(&self.to).into()),
            ("date", clean(&self.date).into()),
            ("messageid", clean(&self.messageid).into()),
            ("multipart_boundary", boundary(&self.messageid).into()),
            // Replaced once the subject is rendered.
            ("subject", "".into()),
            ("subject_header_value", "".into()),
        ]
    }

    /// Samples to test a template with: every value at its longest, and without
    /// the optional ones.
    pub(super) fn samples() -> [Self; 2] {
        let fields = [
            ("room_name", "A room for samples of names…"),
            ("room_avatar_url", "mxc://example.org/sample"),
            ("room_type", "m.space"),
            ("room_alias", "#sample:example.org"),
            ("sender_display_name", "Somebody's name…"),
            ("sender_avatar_url", "mxc://example.org/sample"),
        ]
        .map(|(name, value)| (name, serde_json::Value::from(value)));
        let sign_url = format!(
            "https://id.example.org/_matrix/identity/api/v1/sign-ed25519?token={}&private_key={}",
            "t".repeat(64),
            "k".repeat(43)
        );
        let full = Self {
            web_client: "https://app.example.org".to_owned(),
            join_link: format!("https://app.example.org/#/room/{}?x=y", "r".repeat(255)),
            sign_url,
            token: "t".repeat(64),
            private_key: Zeroizing::new("k".repeat(43)),
            room_id: format!("!{}", "r".repeat(254)),
            inviter: format!("@{}:example.org", "s".repeat(200)),
            verified: true,
            fields: InviteFields::from_request(fields.iter().map(|(name, value)| (*name, value))),
            from: "Identity <identity@example.org>".to_owned(),
            to: "somebody@example.com".to_owned(),
            date: "Thu, 01 Jan 1970 00:00:00 +0000".to_owned(),
            messageid: "<sample@example.org>".to_owned(),
        };
        [
            full.clone(),
            Self {
                verified: false,
                fields: InviteFields::default(),
                ..full
            },
        ]
    }
}

/// A Matrix ID as the mail shows it. The localpart of a historical one may be prose.
fn shown_user(mxid: &str) -> Cow<'_, str> {
    match mxid.split_once(':') {
        Some((localpart, server)) if localpart.contains(char::is_whitespace) => {
            format!("{}:{server}", defang(localpart)).into()
        }
        _ => mxid.into(),
    }
}
