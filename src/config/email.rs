//! `[email]`: who mails are from, and how they leave.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::smtp::{Smtp, SmtpSettings};
use crate::domain::ids::ServerName;

/// `[email]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmailSettings {
    /// The sender, `Name <a@b>`. Required unless the transport is none.
    pub from: Option<String>,
    /// How mail leaves.
    pub transport: TransportKind,
    /// Mails in delivery at once.
    pub concurrency: usize,
    /// `[email.smtp]`.
    pub smtp: SmtpSettings,
    /// `[email.sendmail]`.
    pub sendmail: SendmailSettings,
    /// `[email.file]`.
    pub file: MailFolderSettings,
}

impl Default for EmailSettings {
    fn default() -> Self {
        Self {
            from: None,
            transport: TransportKind::None,
            concurrency: 10,
            smtp: SmtpSettings::default(),
            sendmail: SendmailSettings::default(),
            file: MailFolderSettings::default(),
        }
    }
}

/// How mail leaves, as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// Not at all.
    #[default]
    None,
    /// To a relay.
    Smtp,
    /// Through a program on this machine.
    Sendmail,
    /// Into a folder.
    File,
}

/// `[email.sendmail]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SendmailSettings {
    /// The program that takes a message on its standard input.
    pub command: PathBuf,
}

impl Default for SendmailSettings {
    fn default() -> Self {
        let command = PathBuf::from("/usr/sbin/sendmail");
        Self { command }
    }
}

/// `[email.file]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailFolderSettings {
    /// The folder that receives a file for each message.
    pub dir: PathBuf,
}

impl Default for MailFolderSettings {
    fn default() -> Self {
        let dir = PathBuf::from("captured-mail");
        Self { dir }
    }
}

/// `[email]` as checked.
#[derive(Debug, Clone)]
pub struct Email {
    /// The sender; present unless the transport is none.
    pub from: Option<Mailbox>,
    /// How mail leaves.
    pub transport: MailTransport,
    /// Mails in delivery at once, and so the most connections, 1 to 1000.
    pub concurrency: usize,
}

/// How mail leaves, as checked.
#[derive(Debug, Clone)]
pub enum MailTransport {
    /// Not at all: every mail is refused with `M_EMAIL_SEND_ERROR`.
    None,
    /// To a relay.
    Smtp(Box<Smtp>),
    /// Through a program on this machine.
    Sendmail(SendmailSettings),
    /// Into a folder, which need not exist yet.
    File(MailFolderSettings),
}

impl MailTransport {
    /// How long one delivery may take as a whole; whoever delivers gives up
    /// then. A lease on a message is longer than this.
    #[must_use]
    pub fn attempt_limit(&self) -> Duration {
        match self {
            Self::Smtp(smtp) => smtp.attempt_limit(),
            Self::None | Self::Sendmail(_) | Self::File(_) => Duration::from_mins(1),
        }
    }
}

const FROM_MISSING: &str = "is missing; give the sender of mails, such as \
    \"Identity server <noreply@example.org>\"";
const FROM_WRONG: &str = "must be a mail address such as \"noreply@example.org\" or \
    \"Identity server <noreply@example.org>\"";

impl EmailSettings {
    pub(super) fn check(
        self,
        name: Option<&ServerName>,
        checker: &mut Checker<'_>,
    ) -> Option<Email> {
        checker.range("email.concurrency", self.concurrency, 1..=1000);
        let from = match &self.from {
            None if self.transport == TransportKind::None => None,
            None => {
                checker.refuse("email.from", FROM_MISSING);
                None
            }
            Some(text) => {
                let from = mailbox(text);
                if from.is_none() {
                    checker.refuse("email.from", FROM_WRONG);
                }
                from
            }
        };
        let transport = match self.transport {
            TransportKind::None => {
                checker.warn("email.transport", NO_MAIL);
                MailTransport::None
            }
            TransportKind::Smtp => MailTransport::Smtp(Box::new(self.smtp.check(name, checker)?)),
            TransportKind::Sendmail => MailTransport::Sendmail(self.sendmail.check(checker)),
            TransportKind::File => MailTransport::File(self.file.check(checker)),
        };
        Some(Email {
            from,
            transport,
            concurrency: self.concurrency,
        })
    }
}

const NO_MAIL: &str = "is \"none\": no mail can be sent, so nobody can validate a mail address";

/// Reads a sender. Line breaks, which would add header lines, are refused.
pub(crate) fn mailbox(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) {
        return None;
    }
    text.parse().ok()
}

impl SendmailSettings {
    fn check(mut self, checker: &mut Checker<'_>) -> Self {
        const KEY: &str = "email.sendmail.command";
        self.command = checker.resolve(KEY, &self.command);
        if !self.command.is_file() {
            checker.refuse(KEY, "must be the path of a program; there is no such file");
        }
        self
    }
}

impl MailFolderSettings {
    fn check(mut self, checker: &mut Checker<'_>) -> Self {
        const KEY: &str = "email.file.dir";
        self.dir = checker.resolve(KEY, &self.dir);
        if self.dir.exists() && !self.dir.is_dir() {
            checker.refuse(KEY, "must be a folder; there is a file of this name");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders() {
        for good in [
            "noreply@example.org",
            "Identity server <noreply@example.org>",
            "\"A, B\" <a@b.example>",
            "Bücher <a@example.org>",
        ] {
            assert!(mailbox(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "noreply",
            "Name <>",
            "a@b\r\nBcc: c@d",
            "Name\n <a@b.example>",
            "a@b, c@d",
            "<a@b",
        ] {
            assert!(mailbox(bad).is_none(), "{bad}");
        }
    }
}
