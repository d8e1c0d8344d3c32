//! Creates the mail transport that `[email]` configures.

use std::net::SocketAddr;
use std::time::Duration;

use super::{FileTransport, MailTransport, SendmailTransport, SmtpTransport, TransportError};
use crate::config::{self, Email};
use crate::delivery::breaker::Breakers;
use crate::outgoing::Dns;

/// The time limit for one run of the sendmail command.
const SENDMAIL_TIMEOUT: Duration = Duration::from_secs(50);

impl MailTransport {
    /// Creates the configured transport; `None` if mail is disabled. The host of a relay
    /// is looked up with `dns_servers`, or with those of the system if there are none.
    ///
    /// # Errors
    /// A setting cannot work; the sentence is for the administrator.
    pub fn open(email: &Email, dns_servers: &[SocketAddr]) -> Result<Option<Self>, TransportError> {
        Ok(match &email.transport {
            config::MailTransport::None => None,
            config::MailTransport::Smtp(smtp) => {
                let dns = Dns::open(dns_servers)?;
                Some(Self::Smtp(Box::new(SmtpTransport::new(smtp, dns)?)))
            }
            config::MailTransport::Sendmail(sendmail) => Some(Self::Sendmail(
                SendmailTransport::new(sendmail.command.clone(), SENDMAIL_TIMEOUT),
            )),
            config::MailTransport::File(file) => {
                Some(Self::File(FileTransport::new(file.dir.clone())?))
            }
        })
    }

    /// Leaves an SMTP relay alone while it does not work.
    pub fn set_breakers(&mut self, breakers: Breakers) {
        if let Self::Smtp(smtp) = self {
            smtp.set_breakers(breakers);
        }
    }
}
