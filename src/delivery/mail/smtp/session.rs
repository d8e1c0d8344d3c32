//! An SMTP session over lettre, with the replies as the relay sent them.

use std::error::Error as _;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::Quit;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{self as lettre_smtp};

use super::reply::{Reply, ReplyReader};
use super::step::{NoReply, within};
use super::stream::{Replies, ReplyStream, Stream};

/// How long to wait for the reply to QUIT.
const QUIT_LIMIT: Duration = Duration::from_secs(2);

/// A session after EHLO or HELO.
pub(super) struct Session {
    smtp: AsyncSmtpConnection,
    replies: Replies,
}

impl Session {
    /// Hands a connection over to lettre.
    pub(super) async fn new(
        stream: Box<dyn Stream>,
        peer: SocketAddr,
        reader: ReplyReader,
    ) -> Result<Self, NoReply> {
        let replies = Replies::default();
        let stream = Box::new(ReplyStream::new(stream, peer, reader, replies.clone()));
        // Not sent.
        let name = ClientId::Domain("localhost".to_owned());
        match AsyncSmtpConnection::connect_with_transport(stream, &name).await {
            Ok(smtp) => Ok(Self { smtp, replies }),
            Err(error) => Err(no_reply(&error)),
        }
    }

    /// Sends a command and reads the reply.
    pub(super) async fn command(
        &mut self,
        limit: Duration,
        command: impl Display,
    ) -> Result<Reply, NoReply> {
        drop(self.replies.take());
        let exchange = self.smtp.command(command);
        within(limit, answered(&self.replies, exchange)).await
    }

    /// Sends a message after DATA and reads the reply.
    pub(super) async fn message(
        &mut self,
        limit: Duration,
        message: &[u8],
    ) -> Result<Reply, NoReply> {
        drop(self.replies.take());
        // lettre appends a line end to the message.
        let message = message.strip_suffix(b"\r\n").unwrap_or(message);
        let exchange = self.smtp.message(message);
        within(limit, answered(&self.replies, exchange)).await
    }

    /// Sends QUIT and closes the connection, whatever the reply.
    pub(super) async fn quit(mut self) {
        let _ = self.command(QUIT_LIMIT, Quit).await;
    }
}

/// The reply that lettre got in its simple form.
async fn answered<T>(
    replies: &Replies,
    exchange: impl Future<Output = Result<T, lettre_smtp::Error>>,
) -> Result<Reply, NoReply> {
    let outcome = exchange.await;
    match (replies.take(), outcome) {
        (Some(Ok(reply)), _) => Ok(reply),
        (Some(Err(malformed)), _) => Err(NoReply::Malformed(malformed)),
        (None, Err(error)) => Err(no_reply(&error)),
        (None, Ok(_)) => Err(NoReply::Closed),
    }
}

fn no_reply(error: &lettre_smtp::Error) -> NoReply {
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        Some(io) => NoReply::Io(io.kind().into()),
        None => NoReply::Closed,
    }
}
