//! The mail that invites an address to a room.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::domain::invite::InviteFields;
use crate::domain::invite_key::InviteKey;

/// What is stored of an invitation until its mail is written. The private key
/// leaves the database with the mail.
#[derive(Serialize, Deserialize)]
pub struct InvitationPayload {
    /// Who is invited, in canonical form.
    pub address: String,
    /// Which template set.
    pub brand: String,
    /// The token of the invite.
    pub token: String,
    /// The private half of the key that was made for it.
    pub private_key: InviteKey,
    /// Where to.
    pub room_id: String,
    /// By whom.
    pub sender: String,
    /// Whether this server knows that it is the sender who asked.
    pub verified: bool,
    /// Where the web client is, without a slash at the end.
    pub web_client: String,
    /// What else the request said.
    pub fields: InviteFields,
}

const IN_A_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_A_QUERY).to_string()
}

impl InvitationPayload {
    /// Where the client of whoever was invited gets the signature that lets it
    /// join. It has a `?`, since clients append `&mxid=…` (INV-19). It is a v1
    /// link, because clients call it without an account; the route behind it
    /// does not depend on v1 (GEN-32).
    #[must_use]
    pub fn sign_url(&self, public_base_url: &str) -> String {
        format!(
            "{public_base_url}/_matrix/identity/api/v1/sign-ed25519?token={}&private_key={}",
            encoded(&self.token),
            encoded(&self.private_key.encoded()),
        )
    }

    /// The link that opens the web client with all that it needs to join.
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
        .map(|(name, value)| format!("{name}={}", encoded(value)));
        format!(
            "{}/#/room/{}?{}",
            self.web_client,
            encoded(&self.room_id),
            parameters.join("&")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inv_19_msg_02_the_link_is_what_element_understands() {
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
            fields: InviteFields::of(given.map(|(name, value)| (name.as_str(), value))),
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
