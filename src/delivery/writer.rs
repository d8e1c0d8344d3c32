//! Builds mails from their stored form in the queue.

use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::invitation::InvitationPayload;
use super::mail::{Envelope, smtp_address};
use super::templates::{InvitationMail, TemplateError, Templates, VerificationMail};
use super::verification::VerificationPayload;

/// Builds mails.
pub struct MailWriter {
    /// The templates.
    pub templates: Arc<Templates>,
    /// The sender of all mails.
    pub from: Mailbox,
    /// The base of links, without a trailing slash.
    pub public_base_url: String,
    /// The host in message ids.
    pub message_id_host: String,
}

/// A mail, ready to be sent.
pub struct WrittenMail {
    /// Sender and recipient.
    pub envelope: Envelope,
    /// The whole message with CRLF line ends.
    pub bytes: Vec<u8>,
}

/// Why a mail cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The stored form in the queue is malformed.
    #[error("cannot decode the stored message")]
    Payload,
    /// The recipient is not valid in SMTP.
    #[error("its address is not valid in an SMTP envelope")]
    Address,
    /// The template cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl MailWriter {
    /// Builds the mail of a queued payload. `id` is the random id of the message.
    /// `queued_at` is the date of the mail and `expires_at` the end of its token,
    /// both in milliseconds since the epoch. The result is the same for every
    /// attempt.
    ///
    /// # Errors
    /// The payload, its address or the template are invalid. A retry does not
    /// help.
    pub fn write(
        &self,
        id: &str,
        payload: &str,
        queued_at: i64,
        expires_at: i64,
    ) -> Result<WrittenMail, WriteError> {
        let payload: VerificationPayload = decode(payload)?;
        let to = smtp_address(&payload.address).map_err(|_not_sendable| WriteError::Address)?;
        let brand = self.templates.brand(Some(&payload.brand));
        let link_brand = (brand != self.templates.brand(None)).then_some(brand.as_str());
        let values = VerificationMail {
            ipaddress: (!payload.ip.is_empty()).then(|| payload.ip.clone()),
            link: payload.link(&self.public_base_url, link_brand),
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
        Ok(self.with_envelope(to, bytes))
    }

    /// Builds the mail of a queued invitation; see [`Self::write`].
    ///
    /// # Errors
    /// The payload, its address or the template are invalid. A retry does not
    /// help.
    pub fn write_invitation(
        &self,
        id: &str,
        payload: &str,
        queued_at: i64,
    ) -> Result<WrittenMail, WriteError> {
        let payload: InvitationPayload = decode(payload)?;
        let to = smtp_address(&payload.address).map_err(|_not_sendable| WriteError::Address)?;
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
        Ok(self.with_envelope(to, bytes))
    }

    fn with_envelope(&self, to: Address, bytes: Vec<u8>) -> WrittenMail {
        WrittenMail {
            envelope: Envelope {
                from: self.from.email.clone(),
                to,
            },
            bytes,
        }
    }
}

fn decode<T: DeserializeOwned>(payload: &str) -> Result<T, WriteError> {
    serde_json::from_str(payload).map_err(|_malformed| WriteError::Payload)
}

/// Formats a time, in milliseconds since the epoch, as the date of a mail.
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
    fn dates_follow_rfc_2822() {
        assert_eq!(rfc_2822(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(
            rfc_2822(1_790_000_000_999),
            "Mon, 21 Sep 2026 14:13:20 +0000"
        );
    }
}
