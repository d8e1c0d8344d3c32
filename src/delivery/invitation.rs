//! The mail that invites an address to a room.

use serde::{Deserialize, Serialize};

use super::percent::encode;
use crate::domain::invite::InviteFields;
use crate::domain::invite_key::InviteKey;

/// The stored form of an invitation until its mail is sent. The private key is
/// deleted from the database with it.
#[derive(Serialize, Deserialize)]
pub struct InvitationPayload {
    /// The invited address in canonical form.
    pub address: String,
    /// The brand of the mail.
    pub brand: String,
    /// The token of the invite.
    pub token: String,
    /// The private key of the invite.
    pub private_key: InviteKey,
    /// The room.
    pub room_id: String,
    /// The Matrix ID of the inviter.
    pub sender: String,
    /// Whether the request was authenticated as the inviter.
    pub verified: bool,
    /// The URL of the web client, without a trailing slash.
    pub web_client: String,
    /// Further fields of the request.
    pub fields: InviteFields,
}

impl InvitationPayload {
    /// The URL at which the invited client gets the signature for joining. It
    /// contains a `?`, because clients append `&mxid=…` (INV-19). It is a v1 URL,
    /// because clients call it without an account; the route exists even if v1 is
    /// disabled (GEN-32).
    #[must_use]
    pub fn sign_url(&self, public_base_url: &str) -> String {
        format!(
            "{public_base_url}/_matrix/identity/api/v1/sign-ed25519?token={}&private_key={}",
            encode(&self.token),
            encode(&self.private_key.encoded()),
        )
    }

    /// The link that opens the web client with the data for joining.
    #[must_use]
    pub fn join_link(&self, public_base_url: &str) -> String {
        let field = |name| self.fields.get(name).unwrap_or_default();
        let inviter = self.fields.get("sender_display_name");
        let parameters = [
            ("email", self.address.as_str()),
            ("signurl", &self.sign_url(public_base_url)),
            ("room_name", field("room_name")),
            ("room_avatar_url", field("room_avatar_url")),
            ("inviter_name", inviter.unwrap_or(&self.sender)),
            ("guest_access_token", field("guest_access_token")),
            ("guest_user_id", field("guest_user_id")),
            ("room_type", field("room_type")),
        ]
        .map(|(name, value)| format!("{name}={}", encode(value)));
        format!(
            "{}/#/room/{}?{}",
            self.web_client,
            encode(&self.room_id),
            parameters.join("&")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// INV-19, MSG-02
    #[test]
    fn join_link_has_the_format_of_element() {
        let given = json!({"room_name": "A & \"B\" <c>", "room_type": "m.space"});
        let given = given.as_object().unwrap().iter();
        let payload = InvitationPayload {
            address: "a+b@example.com".to_owned(),
            brand: String::new(),
            token: "t".to_owned(),
            private_key: InviteKey::from_seed([255; 32]),
            room_id: "!r#x?:example.org".to_owned(),
            sender: "@bob:example.org".to_owned(),
            verified: true,
            web_client: "https://app.example/riot".to_owned(),
            fields: InviteFields::from_request(given.map(|(name, value)| (name.as_str(), value))),
        };
        assert_eq!(
            payload.join_link("https://id.example.org"),
            "https://app.example/riot/#/room/%21r%23x%3F%3Aexample.org?email=a%2Bb%40example.com\
             &signurl=https%3A%2F%2Fid.example.org%2F_matrix%2Fidentity%2Fapi%2Fv1%2Fsign-ed25519\
             %3Ftoken%3Dt%26private_key%3D__________________________________________8&room_name=A%20%26%20%22B%22%20%3Cc%3E\
             &room_avatar_url=&inviter_name=%40bob%3Aexample.org&guest_access_token=\
             &guest_user_id=&room_type=m.space"
        );
    }
}
