//! Turns what the queue holds into a mail.

use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::invitation::InvitationPayload;
use super::mail::{Envelope, address_for_wire};
use super::templates::{InvitationMail, TemplateError, Templates, VerificationMail};
use super::verification::VerificationPayload;

/// Writes mails.
pub struct MailWriter {
    /// The templates.
    pub templates: Arc<Templates>,
    /// The sender.
    pub from: Mailbox,
    /// Where links lead, without a slash at the end.
    pub public_base_url: String,
    /// The right-hand side of message ids.
    pub message_id_host: String,
}

/// A mail, ready to be handed over.
pub struct WrittenMail {
    /// From and to.
    pub envelope: Envelope,
    /// The whole message with CRLF line ends.
    pub bytes: Vec<u8>,
}

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// What the queue holds does not read as a mail.
    #[error("its stored form does not read as one")]
    Payload,
    /// No mail can be sent to such an address.
    #[error("its address cannot stand in an envelope")]
    Address,
    /// The template failed.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl MailWriter {
    /// Writes the mail of a queued payload. `id` names the message and is
    /// random; `queued_at` is the date of the mail and `expires_at` when its
    /// token ends, ms. A mail that is tried
    /// again is the same mail.
    ///
    /// # Errors
    /// When the payload, its address or the template are at fault; trying
    /// again does not help.
    pub fn write(
        &self,
        id: &str,
        payload: &str,
        queued_at: i64,
        expires_at: i64,
    ) -> Result<WrittenMail, WriteError> {
        let payload: VerificationPayload =
            serde_json::from_str(payload).map_err(|_unreadable| WriteError::Payload)?;
        let to: Address =
            address_for_wire(&payload.address).map_err(|_unfit| WriteError::Address)?;
        let brand = self.templates.brand(Some(&payload.brand));
        let named = (brand != self.templates.brand(None)).then_some(brand.as_str());
        let values = VerificationMail {
            ipaddress: (!payload.ip.is_empty()).then(|| payload.ip.clone()),
            link: payload.link(&self.public_base_url, named),
            token: payload.token.clone(),
            from: self.from.to_string(),
            to: to.to_string(),
            date: rfc_2822(queued_at),
            messageid: format!("<{id}@{}>", self.message_id_host),
            valid_for: Duration::from_millis(
                u64::try_from(expires_at.saturating_sub(queued_at)).unwrap_or_default(),
            ),
        };
        let bytes = self.templates.verification_mail(&brand, &values)?;
        Ok(self.written(to, bytes))
    }

    /// Writes the mail of a queued invitation; see [`Self::write`].
    ///
    /// # Errors
    /// When the payload, its address or the template are at fault; trying
    /// again does not help.
    pub fn write_invitation(
        &self,
        id: &str,
        payload: &str,
        queued_at: i64,
    ) -> Result<WrittenMail, WriteError> {
        let payload: InvitationPayload =
            serde_json::from_str(payload).map_err(|_unreadable| WriteError::Payload)?;
        let to: Address =
            address_for_wire(&payload.address).map_err(|_unfit| WriteError::Address)?;
        let brand = self.templates.brand(Some(&payload.brand));
        let values = InvitationMail {
            join_link: payload.join_link(&self.public_base_url),
            sign_url: payload.sign_url(&self.public_base_url),
            web_client: payload.web_client,
            token: payload.token,
            private_key: payload.private_key.encoded(),
            room_id: payload.room_id,
            inviter: payload.sender,
            verified: payload.verified,
            fields: payload.fields,
            from: self.from.to_string(),
            to: to.to_string(),
            date: rfc_2822(queued_at),
            messageid: format!("<{id}@{}>", self.message_id_host),
        };
        let bytes = self.templates.invitation_mail(&brand, &values)?;
        Ok(self.written(to, bytes))
    }

    fn written(&self, to: Address, bytes: Vec<u8>) -> WrittenMail {
        WrittenMail {
            envelope: Envelope {
                from: self.from.email.clone(),
                to,
            },
            bytes,
        }
    }
}

pub(super) fn rfc_2822(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
        .ok()
        .and_then(|date| date.format(&Rfc2822).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_mail_writes_them() {
        assert_eq!(rfc_2822(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(
            rfc_2822(1_790_000_000_999),
            "Mon, 21 Sep 2026 14:13:20 +0000"
        );
    }
}
