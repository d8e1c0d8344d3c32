//! One connection: which command is allowed when, and what it does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tokio::net::TcpStream;

use super::auth::Login;
use super::command::{self, Command, Path};
use super::connection::Connection;
use super::data::{self, MAX_SIZE};
use super::envelope::Envelope;
use super::options::Tls;
use super::server::Shared;
use crate::harness::Mail;

pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    connection: Connection,
    peer: SocketAddr,
    /// The number of the connection, from 1.
    number: usize,
    pub(super) encrypted: bool,
    pub(super) hello: Option<Hello>,
    pub(super) user: Option<String>,
    pub(super) envelope: Option<Envelope>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hello {
    Helo,
    Ehlo,
}

/// What follows a command.
enum Next {
    Reply(String),
    /// The last reply of the connection.
    Close(String),
    HangUp,
    StartTls,
}

fn reply(reply: &str) -> Next {
    let is_last = reply.starts_with("421");
    (if is_last { Next::Close } else { Next::Reply })(reply.to_owned())
}

/// Serves a connection until one of both sides closes it.
pub async fn run(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    number: usize,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    let encrypted = shared.options.tls == Tls::Implicit;
    if encrypted {
        connection = connection.encrypt(&shared.acceptor).await?;
    }
    connection.reply("220 localhost ESMTP").await?;
    let mut session = Session {
        shared,
        connection,
        peer,
        number,
        encrypted,
        hello: None,
        user: None,
        envelope: None,
    };
    while let Some(line) = session.connection.line().await? {
        match session.execute(&line).await? {
            Next::Reply(reply) => session.connection.reply(&reply).await?,
            Next::Close(reply) => {
                session.connection.reply(&reply).await?;
                return session.connection.close().await;
            }
            Next::HangUp => return Ok(()),
            Next::StartTls => session = session.start_tls().await?,
        }
    }
    Ok(())
}

impl Session {
    async fn execute(&mut self, line: &[u8]) -> io::Result<Next> {
        let command = match command::parse(line) {
            Ok(command) => command,
            Err(refusal) => return Ok(reply(refusal)),
        };
        let waits = matches!(
            command,
            Command::Ehlo | Command::Data | Command::StartTls | Command::Auth(..)
        );
        if waits && self.connection.has_more() {
            let refusal = "554 5.5.0 improper pipelining";
            return Ok(Next::Close(refusal.to_owned()));
        }
        if let Some(refusal) = self.refusal(&command) {
            return Ok(reply(refusal));
        }
        Ok(match command {
            Command::Helo => self.hello(Hello::Helo),
            Command::Ehlo => self.hello(Hello::Ehlo),
            Command::Mail(path) => self.mail(path),
            Command::Rcpt(path) => self.rcpt(path),
            Command::Data => return self.data().await,
            Command::Rset => {
                self.envelope = None;
                reply("250 2.0.0 reset")
            }
            Command::Noop => reply("250 2.0.0 nothing done"),
            Command::Quit => Next::Close("221 2.0.0 closing".to_owned()),
            Command::StartTls => Next::StartTls,
            Command::Auth(mechanism, initial) => return self.auth(&mechanism, initial).await,
            Command::Help => reply("214 2.0.0 RFC 5321"),
            Command::Vrfy => reply("252 2.5.2 cannot verify the address"),
        })
    }

    fn hello(&mut self, hello: Hello) -> Next {
        self.hello = Some(hello);
        self.envelope = None;
        if hello == Hello::Helo {
            return reply("250 localhost");
        }
        let size = format!("SIZE {MAX_SIZE}");
        let mut lines = vec!["localhost", "PIPELINING", &size, "8BITMIME", "SMTPUTF8"];
        lines.push("ENHANCEDSTATUSCODES");
        if self.shared.options.tls == Tls::Upgraded && !self.encrypted {
            lines.push("STARTTLS");
        }
        if self.offers_auth() {
            lines.push("AUTH PLAIN LOGIN");
        }
        Next::Reply(format!("250-{}\r\n250 HELP", lines.join("\r\n250-")))
    }

    fn mail(&mut self, path: Path) -> Next {
        if !path.parameters.is_empty() && self.hello != Some(Hello::Ehlo) {
            return reply("555 5.5.4 no parameters after HELO");
        }
        match Envelope::new(path) {
            Ok(envelope) => {
                self.envelope = Some(envelope);
                reply("250 2.1.0 sender accepted")
            }
            Err(refusal) => reply(refusal),
        }
    }

    fn rcpt(&mut self, path: Path) -> Next {
        let envelope = self.envelope.as_mut().expect("after MAIL");
        let address = match envelope.recipient(path) {
            Ok(address) => address,
            Err(refusal) => return reply(refusal),
        };
        if let Some(refusal) = self.shared.behaviour().rcpt {
            return reply(&refusal);
        }
        envelope.to.push(address);
        reply("250 2.1.5 recipient accepted")
    }

    async fn data(&mut self) -> io::Result<Next> {
        if self.shared.behaviour().drop {
            return Ok(Next::HangUp);
        }
        let envelope = self.envelope.take().expect("after RCPT");
        self.connection.reply("354 send the message").await?;
        let Some(message) = data::read(&mut self.connection).await? else {
            return Ok(Next::HangUp);
        };
        self.shared.note_message();
        if let Some(fault) = message.fault(&envelope, &self.shared.options) {
            return Ok(reply(fault));
        }
        let behaviour = self.shared.behaviour();
        if !self.connection.wait(behaviour.delay()).await {
            return Ok(Next::HangUp);
        }
        if let Some(refusal) = behaviour.data {
            return Ok(reply(&refusal));
        }
        self.shared.store(Mail {
            received: json!({
                "peer": self.peer,
                "mail_from": envelope.from,
                "rcpt_tos": envelope.to,
                "tls": self.encrypted,
                "auth_user": self.user,
                "connection": self.number,
                "longest_line": message.longest_line,
                "bare_lf": message.has_bare_lf,
            }),
            raw: message.bytes,
        });
        if behaviour.lose {
            return Ok(Next::HangUp);
        }
        Ok(reply("250 2.0.0 message accepted"))
    }

    async fn auth(&mut self, mechanism: &str, initial: Option<String>) -> io::Result<Next> {
        let shared = Arc::clone(&self.shared);
        let account = shared.options.account.as_ref().expect("AUTH is offered");
        let login = account.log_in(&mut self.connection, mechanism, initial);
        Ok(match login.await? {
            Login::Done => {
                self.user = Some(account.user.clone());
                reply("235 2.7.0 authenticated")
            }
            Login::Refused(refusal) => reply(refusal),
            Login::Aborted => Next::HangUp,
        })
    }

    /// Forgets everything that the client said before (RFC 3207 section 4.2).
    async fn start_tls(mut self) -> io::Result<Self> {
        self.connection.reply("220 2.0.0 ready").await?;
        Ok(Self {
            connection: self.connection.encrypt(&self.shared.acceptor).await?,
            encrypted: true,
            hello: None,
            user: None,
            envelope: None,
            ..self
        })
    }
}
