//! From the settings of `[email]` to a way out.

use std::time::Duration;

use super::{
    Credentials, Encryption, FileTransport, MailTransport, SendmailTransport, SmtpOptions,
    SmtpTransport, TransportError,
};
use crate::config::{self, Email, Smtp};

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
            config::MailTransport::Smtp(smtp) => Some(Self::Smtp(Box::new(SmtpTransport::new(
                &options(smtp, email.concurrency),
            )?))),
            config::MailTransport::Sendmail(sendmail) => Some(Self::Sendmail(
                SendmailTransport::new(sendmail.command.clone(), SENDMAIL_PATIENCE),
            )),
            config::MailTransport::File(file) => {
                Some(Self::File(FileTransport::new(file.dir.clone())?))
            }
        })
    }
}

fn options(smtp: &Smtp, max_connections: usize) -> SmtpOptions {
    SmtpOptions {
        host: smtp.host.clone(),
        port: smtp.port,
        encryption: match smtp.encryption {
            config::Encryption::None => Encryption::None,
            config::Encryption::Starttls => Encryption::StartTls,
            config::Encryption::Tls => Encryption::Tls,
        },
        credentials: smtp.credentials.as_ref().map(|login| {
            Credentials::new(login.username.clone(), login.password.expose().to_owned())
        }),
        extra_authorities: smtp.extra_authorities.clone(),
        hello_name: smtp.hello_name.clone(),
        timeout: smtp.timeout,
        message_timeout: smtp.message_limit(),
        idle_timeout: smtp.idle_timeout,
        max_connections,
    }
}
