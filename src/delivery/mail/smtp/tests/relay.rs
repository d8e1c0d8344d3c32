//! A scripted relay for tests: it implements a minimum of SMTP and records what it
//! receives.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the relay does when it receives a verb.
#[derive(Clone, Copy)]
pub(super) enum Behavior {
    /// Replies with this line (or these lines).
    Reply(&'static str),
    /// Replies with these bytes as they are.
    Bytes(&'static [u8]),
    /// Replies with these bytes and closes the connection.
    Last(&'static [u8]),
    /// Replies with this line after so many milliseconds.
    Late(u64, &'static str),
    /// Never replies.
    Hang,
    /// Closes the connection without a reply.
    Close,
}

impl Behavior {
    /// Waits as scripted. `None` to close the connection without a reply.
    async fn reply(self) -> Option<Vec<u8>> {
        if let Self::Late(after_ms, _) = self {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
        }
        match self {
            Self::Reply(reply) | Self::Late(_, reply) => Some(format!("{reply}\r\n").into_bytes()),
            Self::Bytes(bytes) | Self::Last(bytes) => Some(bytes.to_vec()),
            Self::Hang => std::future::pending().await,
            Self::Close => None,
        }
    }

    fn closes(self) -> bool {
        matches!(self, Self::Last(_))
    }
}

#[derive(Default)]
pub(super) struct Received {
    /// The number of the connection and the line.
    pub lines: Vec<(usize, String)>,
    /// The accepted messages, without dot-stuffing.
    pub messages: Vec<Vec<u8>>,
    pub connections: usize,
    pub open: usize,
    pub most_open: usize,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Received>,
    behaviors: Mutex<HashMap<&'static str, VecDeque<Behavior>>>,
    extensions: Mutex<Vec<&'static str>>,
}

pub(super) struct Relay {
    pub port: u16,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Relay {
    /// A relay without TLS that offers `extensions`.
    pub(super) async fn plain(extensions: &[&'static str]) -> Self {
        Self::start(extensions, None, false).await
    }

    /// A relay with TLS, from the start or after STARTTLS.
    pub(super) async fn encrypted(
        extensions: &[&'static str],
        acceptor: TlsAcceptor,
        from_the_start: bool,
    ) -> Self {
        Self::start(extensions, Some(acceptor), from_the_start).await
    }

    async fn start(
        extensions: &[&'static str],
        acceptor: Option<TlsAcceptor>,
        from_the_start: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        *shared.extensions.lock().unwrap() = extensions.to_vec();
        let state = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let session = session(Arc::clone(&state), tcp, acceptor.clone(), from_the_start);
                tokio::spawn(session);
            }
        });
        Self {
            port,
            shared,
            accepting,
        }
    }

    /// Scripts the next occurrences of a verb; afterwards the relay behaves as
    /// usual. The end of a message is the verb `.`, the connection is `CONNECT`.
    pub(super) fn at(&self, verb: &'static str, behaviors: &[Behavior]) {
        let behaviors = behaviors.iter().copied().collect();
        self.shared
            .behaviors
            .lock()
            .unwrap()
            .insert(verb, behaviors);
    }

    pub(super) fn received<T>(&self, read: impl FnOnce(&Received) -> T) -> T {
        read(&self.shared.received.lock().unwrap())
    }

    /// The verbs of one connection, in order.
    pub(super) fn verbs(&self, connection: usize) -> Vec<String> {
        self.received(|received| {
            received
                .lines
                .iter()
                .filter(|(number, _)| *number == connection)
                .map(|(_, line)| verb_of(line))
                .collect()
        })
    }
}

fn verb_of(line: &str) -> String {
    line.split([' ', ':']).next().unwrap().to_owned()
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn session(
    shared: Arc<Shared>,
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    from_the_start: bool,
) {
    tcp.set_nodelay(true).unwrap();
    let number = {
        let mut received = shared.received.lock().unwrap();
        received.connections += 1;
        received.open += 1;
        received.most_open = received.most_open.max(received.open);
        received.connections
    };
    let mut stream: Box<dyn Stream> = Box::new(tcp);
    if from_the_start && let Some(acceptor) = &acceptor {
        match acceptor.accept(stream).await {
            Ok(tls) => stream = Box::new(tls),
            Err(_handshake_failed) => {
                shared.received.lock().unwrap().open -= 1;
                return;
            }
        }
    }
    // An error means that the client closed the connection, which the test checks.
    let _ = converse(&shared, number, stream, acceptor).await;
    shared.received.lock().unwrap().open -= 1;
}

async fn converse(
    shared: &Shared,
    number: usize,
    stream: Box<dyn Stream>,
    acceptor: Option<TlsAcceptor>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut greeting = Some("CONNECT".to_owned());
    loop {
        let line = if let Some(connect) = greeting.take() {
            connect
        } else {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            let entry = (number, line.clone());
            shared.received.lock().unwrap().lines.push(entry);
            line
        };
        let verb = verb_of(&line);
        let behavior = scripted(shared, &verb);
        let Some(reply) = behavior.reply().await else {
            return Ok(());
        };
        stream.write_all(&reply).await?;
        if behavior.closes() {
            return Ok(());
        }
        match verb.as_str() {
            "STARTTLS" if reply.starts_with(b"2") => {
                let tls = acceptor
                    .as_ref()
                    .unwrap()
                    .accept(stream.into_inner())
                    .await?;
                stream = BufReader::new(Box::new(tls));
            }
            "DATA" if reply.starts_with(b"3") => {
                let message = read_message(&mut stream).await?;
                let behavior = scripted(shared, ".");
                let Some(reply) = behavior.reply().await else {
                    return Ok(());
                };
                if reply.starts_with(b"2") {
                    shared.received.lock().unwrap().messages.push(message);
                }
                stream.write_all(&reply).await?;
                if behavior.closes() {
                    return Ok(());
                }
            }
            "QUIT" => return Ok(()),
            _ => {}
        }
    }
}

fn scripted(shared: &Shared, verb: &str) -> Behavior {
    let mut behaviors = shared.behaviors.lock().unwrap();
    if let Some(behavior) = behaviors.get_mut(verb).and_then(VecDeque::pop_front) {
        return behavior;
    }
    Behavior::Reply(match verb {
        "CONNECT" => "220 relay.example.org ready",
        "EHLO" => {
            let mut reply = "250-relay.example.org\r\n".to_owned();
            for extension in shared.extensions.lock().unwrap().iter() {
                reply.extend(["250-", extension, "\r\n"]);
            }
            reply.push_str("250 HELP");
            // A few leaked bytes for each EHLO do not matter in a test.
            return Behavior::Reply(reply.leak());
        }
        "AUTH" => "235 2.7.0 welcome",
        "STARTTLS" => "220 go ahead",
        "DATA" => "354 go ahead",
        "QUIT" => "221 bye",
        _ => "250 2.0.0 fine",
    })
}

async fn read_message(stream: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
