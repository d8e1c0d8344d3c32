//! `[email]`: the sender of emails and the transport.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::display_name;
use super::files;
use super::sender::with_ascii_address;
use super::smtp::{Smtp, SmtpSettings};
use crate::domain::ids::ServerName;

/// `[email]` as set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmailSettings {
    /// The sender, `Name <a@b>`. Required unless the transport is none.
    pub from: Option<String>,
    /// How emails are sent.
    pub transport: TransportKind,
    /// The maximum number of emails in delivery at the same time.
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

/// How emails are sent, as set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// Not at all.
    #[default]
    None,
    /// To an SMTP relay.
    Smtp,
    /// By a program on this machine.
    Sendmail,
    /// As files in a folder.
    File,
}

/// `[email.sendmail]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SendmailSettings {
    /// The program that reads a message from its standard input.
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
    /// The folder for the files, one per message.
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
    /// How emails are sent.
    pub transport: MailTransport,
    /// The maximum number of emails in delivery at the same time, 1 to 1000.
    pub concurrency: usize,
}

/// How emails are sent, as checked.
#[derive(Debug, Clone)]
pub enum MailTransport {
    /// Not at all: requests are rejected with `M_EMAIL_SEND_ERROR`.
    None,
    /// To an SMTP relay.
    Smtp(Box<Smtp>),
    /// By a program on this machine.
    Sendmail(SendmailSettings),
    /// As files in a folder, which need not exist yet.
    File(MailFolderSettings),
}

impl MailTransport {
    /// How long one delivery may take in total before the worker gives it up.
    #[must_use]
    pub fn attempt_limit(&self) -> Duration {
        match self {
            Self::Smtp(smtp) => smtp.attempt_limit(),
            Self::None | Self::Sendmail(_) | Self::File(_) => Duration::from_mins(1),
        }
    }
}

const FROM_MISSING: &str = "is missing: set the sender of emails, such as \
    \"Identity server <noreply@example.org>\"";
const FROM_INVALID: &str = "must be an email address such as \"noreply@example.org\" or \
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
                checker.error("email.from", FROM_MISSING);
                None
            }
            Some(text) => {
                let from = mailbox(text).ok_or(FROM_INVALID);
                from.and_then(with_ascii_address)
                    .map_err(|problem| checker.error("email.from", problem))
                    .ok()
            }
        };
        let transport = match self.transport {
            TransportKind::None => {
                checker.warn("email.transport", NO_MAIL);
                MailTransport::None
            }
            TransportKind::Smtp => {
                let smtp = self.smtp.check(name, self.concurrency, checker)?;
                MailTransport::Smtp(Box::new(smtp))
            }
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

const NO_MAIL: &str = "is \"none\": the server sends no email, so nobody can validate an email \
    address";

/// Parses a sender. Rejects line breaks, which would add header fields.
pub(crate) fn mailbox(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let strict = text.parse().ok();
    strict
        .or_else(|| display_name::parse_lenient(text))
        .map(display_name::decode_words)
}

impl SendmailSettings {
    fn check(mut self, checker: &mut Checker<'_>) -> Self {
        const KEY: &str = "email.sendmail.command";
        self.command = checker.resolve(KEY, &self.command);
        if !self.command.is_file() {
            checker.error(
                KEY,
                format!(
                    "must be the path of a program; {} does not exist",
                    self.command.display()
                ),
            );
        }
        self
    }
}

impl MailFolderSettings {
    fn check(mut self, checker: &mut Checker<'_>) -> Self {
        const KEY: &str = "email.file.dir";
        self.dir = checker.resolve(KEY, &self.dir);
        if let Err(refusal) = files::check_folder(&self.dir) {
            checker.error(KEY, refusal);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_sender_mailboxes() {
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
            "A <a@b.example>, B <c@d.example>",
            "a@b.example (A) c@d.example",
        ] {
            assert!(mailbox(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn any_display_name_is_taken_and_quoted() {
        for (text, name) in [
            ("Example, Inc. <a@b.example>", "Example, Inc."),
            ("ACME: Identity <a@b.example>", "ACME: Identity"),
            ("ACME (Identity) <a@b.example>", "ACME (Identity)"),
            ("id@b.example <a@b.example>", "id@b.example"),
            (
                "J.R. \"Bob\" Dobbs; x <a@b.example>",
                "J.R. \"Bob\" Dobbs; x",
            ),
            ("Bücher, Köln [1] <a@b.example>", "Bücher, Köln [1]"),
            ("\"A \\\"B\\\", C\" <a@b.example>", "A \"B\", C"),
            ("a@b.example (Example, Inc.)", "Example, Inc."),
            ("=?utf-8?q?B=C3=BCcher=2C_9?= <a@b.example>", "Bücher, 9"),
        ] {
            let parsed = mailbox(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(parsed.name.as_deref(), Some(name), "{text}");
            assert_eq!(parsed.email.to_string(), "a@b.example");
            assert_eq!(mailbox(&parsed.to_string()), Some(parsed), "{text}");
        }
    }
}
