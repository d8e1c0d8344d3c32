//! Mails and pages with sample values, for previews.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{
    BrandName, ContinuePage, InvitationMail, NextStep, TemplateError, Templates, VerificationMail,
    VerifyResponse,
};
use crate::domain::invite::InviteFields;
use crate::domain::threepid::Medium;

/// The previews that exist, by file name.
pub const PREVIEWS: [&str; 7] = [
    "verification.eml",
    "invitation.eml",
    "invitation-to-a-space.eml",
    "confirmed.html",
    "confirm.html",
    "continue.html",
    "not-confirmed.html",
];

impl Templates {
    /// The names of all brands, sorted.
    pub fn brand_names(&self) -> impl Iterator<Item = BrandName> {
        self.brands.keys().map(|name| BrandName::new(name))
    }

    /// Renders one of [`PREVIEWS`] with the templates of a brand; any other name means the last one.
    ///
    /// # Errors
    ///
    /// The template cannot be rendered with the sample values.
    pub fn preview(&self, brand: &BrandName, file: &str) -> Result<Vec<u8>, TemplateError> {
        let page = |success, message: &str| {
            let values = VerifyResponse {
                message: message.to_owned(),
                success,
                medium: Medium::Email,
            };
            self.verify_response_page(brand, &values)
                .map(String::into_bytes)
        };
        let go_on = |next, message: &str| {
            let values = ContinuePage {
                message: message.to_owned(),
                medium: Medium::Email,
                next,
            };
            self.continue_page(brand, &values).map(String::into_bytes)
        };
        match file {
            "verification.eml" => self.verification_mail(brand, &verification()),
            "invitation.eml" => self.invitation_mail(brand, &invitation("")),
            "invitation-to-a-space.eml" => self.invitation_mail(brand, &invitation("m.space")),
            "confirmed.html" => page(true, "Your address is confirmed. Go back to your app."),
            "confirm.html" => {
                let fields = vec![("token", TOKEN.to_owned())];
                go_on(NextStep::Confirm(fields), "Press the button.")
            }
            "continue.html" => go_on(
                NextStep::Leave {
                    link: "https://app.example.net/#/welcome".to_owned(),
                    host: "app.example.net".to_owned(),
                },
                "Continue only if you know this website.",
            ),
            _ => page(false, "This link has expired. Request a new one."),
        }
    }
}

const FROM: &str = "Example identity server <noreply@example.org>";
const TO: &str = "alice@example.com";
const DATE: &str = "Thu, 01 Jan 1970 00:00:00 +0000";
const MESSAGE_ID: &str = "<preview@id.example.org>";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn verification() -> VerificationMail {
    VerificationMail {
        ipaddress: Some("192.0.2.7".to_owned()),
        link: format!(
            "https://id.example.org/_matrix/identity/v2/validate/email/submitToken\
             ?token={TOKEN}&client_secret=secret&sid=preview"
        ),
        token: TOKEN.to_owned(),
        from: FROM.to_owned(),
        to: TO.to_owned(),
        date: DATE.to_owned(),
        messageid: MESSAGE_ID.to_owned(),
        valid_for: Duration::from_hours(24),
    }
}

fn invitation(room_type: &str) -> InvitationMail {
    let fields = [
        ("sender_display_name", "Bob Müller"),
        ("room_name", "Tea & biscuits"),
        ("room_alias", "#tea:example.org"),
        ("room_avatar_url", "mxc://example.org/tea"),
        ("room_type", room_type),
    ]
    .map(|(name, value)| (name, serde_json::Value::from(value)));
    InvitationMail {
        web_client: "https://app.example.org".to_owned(),
        join_link: format!(
            "https://app.example.org/#/room/%21tea%3Aexample.org?email=alice%40example.com\
             &signurl=https%3A%2F%2Fid.example.org%2F_matrix%2Fidentity%2Fapi%2Fv1%2F\
             sign-ed25519%3Ftoken%3D{TOKEN}%26private_key%3Dsecret&room_name=Tea%20%26%20biscuits"
        ),
        sign_url: format!(
            "https://id.example.org/_matrix/identity/api/v1/sign-ed25519?token={TOKEN}\
             &private_key=secret"
        ),
        token: TOKEN.to_owned(),
        private_key: Zeroizing::new("secret".to_owned()),
        room_id: "!tea:example.org".to_owned(),
        inviter: "@bob:example.org".to_owned(),
        verified: true,
        fields: InviteFields::from_request(fields.iter().map(|(name, value)| (*name, value))),
        from: FROM.to_owned(),
        to: TO.to_owned(),
        date: DATE.to_owned(),
        messageid: MESSAGE_ID.to_owned(),
    }
}
