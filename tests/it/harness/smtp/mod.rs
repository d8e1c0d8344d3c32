//! The SMTP server of the tests. It is as strict as a real relay, stores what it
//! accepts, and fails in the ways that a test asks for.

mod auth;
mod behaviour;
mod command;
mod connection;
mod data;
mod envelope;
mod options;
mod sequence;
mod server;
mod session;

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use sydent::config::{Encryption, Settings, TransportKind};

pub use options::Tls;

use super::{Mail, TestCa, wait_for};
use behaviour::Behaviour;
use options::Options;
use server::{Running, Shared};

/// An SMTP server on loopback. It stops when it goes out of scope.
pub struct SmtpServer {
    pub port: u16,
    pub tls: Tls,
    pub ca: TestCa,
    shared: Arc<Shared>,
    running: Running,
}

impl SmtpServer {
    /// The server that most tests share; it requires STARTTLS.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<SmtpServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Tls::Upgraded, "localhost", &["--require-starttls"]))
    }

    /// A server with a certificate for `name` and these [`Options`].
    pub fn start(tls: Tls, name: &str, arguments: &[&str]) -> Self {
        let ca = TestCa::new();
        let options = Options::parse(tls, arguments);
        let shared = Arc::new(Shared::new(options, ca.server_config(name)));
        let (port, running) = Running::start(Arc::clone(&shared));
        Self {
            port,
            tls,
            ca,
            shared,
            running,
        }
    }

    /// Makes a server send its mail here.
    pub fn configure(&self, settings: &mut Settings) {
        settings.email.transport = TransportKind::Smtp;
        settings.email.from = Some("Identity server <noreply@id.example.test>".to_owned());
        "localhost".clone_into(&mut settings.email.smtp.host);
        settings.email.smtp.port = Some(self.port);
        settings.email.smtp.ca_file = Some(self.ca.file());
        settings.email.smtp.encryption = match self.tls {
            Tls::None => Encryption::None,
            Tls::Upgraded => Encryption::Starttls,
            Tls::Implicit => Encryption::Tls,
        };
    }

    /// Changes how the server treats the following commands. The keys are the
    /// fields of `Behaviour`; an unknown key is an error.
    pub fn behave(&self, behaviour: &Value) {
        self.shared.behave(Behaviour::parse(behaviour));
    }

    /// All mails to an address, the oldest first.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.shared.mails();
        mails.retain(|mail| recipients(mail).any(|recipient| recipient == address));
        mails
    }

    /// The number of messages that were received to their end, whatever the reply.
    pub fn messages(&self) -> usize {
        self.shared.messages()
    }

    /// The recipients of all mails, the oldest first.
    pub fn recipients(&self) -> Vec<String> {
        let mails = self.shared.mails();
        mails
            .iter()
            .flat_map(recipients)
            .map(str::to_owned)
            .collect()
    }

    /// The newest mail to an address, as soon as there is one.
    pub async fn mail_to(&self, address: &str) -> Mail {
        wait_for("a mail", async || self.mails_to(address).pop()).await
    }

    /// Stops the server and closes its connections without a reply. Returns its
    /// port.
    pub fn kill(self) -> u16 {
        self.running.stop();
        self.port
    }
}

fn recipients(mail: &Mail) -> impl Iterator<Item = &str> {
    mail.received["rcpt_tos"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
