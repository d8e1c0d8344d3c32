//! From the settings of `[email]` to a way out.

use std::time::Duration;

use super::{FileTransport, MailTransport, SendmailTransport, SmtpTransport, TransportError};
use crate::config::{self, Email};

/// One message through a local program takes no longer.
const SENDMAIL_PATIENCE: Duration = Duration::from_secs(50);

impl MailTransport {
    /// Opens the transport that the settings chose; `None` where they say that
    /// no mail is sent.
    ///
    /// # Errors
    /// A sentence for the administrator.
    pub fn open(email: &Email) -> Result<Option<Self>, TransportError> {
        Ok(match &email.transport {
            config::MailTransport::None => None,
            config::MailTransport::Smtp(smtp) => {
                Some(Self::Smtp(Box::new(SmtpTransport::new(smtp)?)))
            }
            config::MailTransport::Sendmail(sendmail) => Some(Self::Sendmail(
                SendmailTransport::new(sendmail.command.clone(), SENDMAIL_PATIENCE),
            )),
            config::MailTransport::File(file) => {
                Some(Self::File(FileTransport::new(file.dir.clone())?))
            }
        })
    }
}
