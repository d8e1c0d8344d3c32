//! Which command is allowed when (RFC 5321 section 4.1.4, RFC 3207, RFC 4954).

use super::command::Command;
use super::options::Tls;
use super::session::{Hello, Session};

const BAD_SEQUENCE: &str = "503 5.5.1 bad sequence of commands";

impl Session {
    /// The reply to a command that is not allowed now.
    pub(super) fn refusal(&self, command: &Command) -> Option<&'static str> {
        let options = &self.shared.options;
        let is_mail = matches!(command, Command::Mail(_) | Command::Rcpt(_) | Command::Data);
        let is_auth = matches!(command, Command::Auth(..));
        let is_extended = self.hello == Some(Hello::Ehlo);
        if (is_mail || is_auth) && options.require_starttls && !self.encrypted {
            return Some("530 5.7.0 STARTTLS is required");
        }
        match command {
            Command::StartTls if options.tls != Tls::Upgraded => Some("502 5.5.1 not offered"),
            Command::StartTls if !is_extended || self.encrypted => Some(BAD_SEQUENCE),
            Command::Auth(..) if options.account.is_none() => Some("502 5.5.1 not offered"),
            Command::Auth(..) if !self.offers_auth() => Some("538 5.7.11 encryption is required"),
            Command::Auth(..) if !is_extended || self.user.is_some() => Some(BAD_SEQUENCE),
            Command::Auth(..) if self.envelope.is_some() => Some(BAD_SEQUENCE),
            _ if is_mail && self.hello.is_none() => Some(BAD_SEQUENCE),
            _ if is_mail && options.account.is_some() && self.user.is_none() => {
                Some("530 5.7.0 authentication is required")
            }
            Command::Mail(_) if self.envelope.is_some() => Some(BAD_SEQUENCE),
            Command::Rcpt(_) if self.envelope.is_none() => Some(BAD_SEQUENCE),
            Command::Data if self.envelope.as_ref().is_none_or(|e| e.to.is_empty()) => {
                Some(BAD_SEQUENCE)
            }
            _ => None,
        }
    }

    pub(super) fn offers_auth(&self) -> bool {
        let options = &self.shared.options;
        options.account.is_some() && (self.encrypted || options.tls == Tls::None)
    }
}
