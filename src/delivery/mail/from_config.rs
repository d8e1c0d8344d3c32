//! Creates the mail transport that `[email]` configures.

use std::time::Duration;

use super::{FileTransport, MailTransport, SendmailTransport, SmtpTransport, TransportError};
use crate::config::{self, Email};

/// The time limit for one run of the sendmail command.
const SENDMAIL_TIMEOUT: Duration = Duration::from_secs(50);

impl MailTransport {
    /// Creates the configured transport; `None` if mail is disabled.
    ///
    /// # Errors
    /// A setting cannot work; the sentence is for the administrator.
    pub fn open(email: &Email) -> Result<Option<Self>, TransportError> {
        Ok(match &email.transport {
            config::MailTransport::None => None,
            config::MailTransport::Smtp(smtp) => {
                Some(Self::Smtp(Box::new(SmtpTransport::new(smtp)?)))
            }
            config::MailTransport::Sendmail(sendmail) => Some(Self::Sendmail(
                SendmailTransport::new(sendmail.command.clone(), SENDMAIL_TIMEOUT),
            )),
            config::MailTransport::File(file) => {
                Some(Self::File(FileTransport::new(file.dir.clone())?))
            }
        })
    }
}
