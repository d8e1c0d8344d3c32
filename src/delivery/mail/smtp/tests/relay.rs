//! A relay for tests: it speaks just enough SMTP, answers as it is told, and
//! writes down what it hears.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the relay does when it hears a verb.
#[derive(Clone, Copy)]
pub enum Behavior {
    /// Sends this line (or these lines).
    Say(&'static str),
    /// Never answers.
    Hang,
    /// Closes the connection without a word.
    HangUp,
}

#[derive(Default)]
pub struct Received {
    /// The number of the connection and the line.
    pub lines: Vec<(usize, String)>,
    /// The messages that were taken, without dot-stuffing.
    pub messages: Vec<Vec<u8>>,
    pub connections: usize,
    pub open: usize,
    pub most_open: usize,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Received>,
    acts: Mutex<HashMap<&'static str, VecDeque<Behavior>>>,
    extensions: Mutex<Vec<&'static str>>,
}

pub struct Relay {
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
    /// A relay in plain text that offers `extensions`.
    pub async fn plain(extensions: &[&'static str]) -> Self {
        Self::start(extensions, None, false).await
    }

    /// A relay with a certificate, used at once or after STARTTLS.
    pub async fn encrypted(
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

    /// What to do at the next occurrences of a verb; after them, the usual.
    /// The end of a message is the verb `.`, the connection is `CONNECT`.
    pub fn at(&self, verb: &'static str, acts: &[Behavior]) {
        let acts = acts.iter().copied().collect();
        self.shared.acts.lock().unwrap().insert(verb, acts);
    }

    pub fn heard<T>(&self, look: impl FnOnce(&Received) -> T) -> T {
        look(&self.shared.heard.lock().unwrap())
    }

    /// The verbs of one connection, in order.
    pub fn verbs(&self, connection: usize) -> Vec<String> {
        self.heard(|heard| {
            let of_it = heard
                .lines
                .iter()
                .filter(|(number, _)| *number == connection);
            of_it.map(|(_, line)| verb_of(line)).collect()
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
        let mut heard = shared.heard.lock().unwrap();
        heard.connections += 1;
        heard.open += 1;
        heard.most_open = heard.most_open.max(heard.open);
        heard.connections
    };
    let mut stream: Box<dyn Stream> = Box::new(tcp);
    if from_the_start && let Some(acceptor) = &acceptor {
        match acceptor.accept(stream).await {
            Ok(tls) => stream = Box::new(tls),
            Err(_refused) => {
                shared.heard.lock().unwrap().open -= 1;
                return;
            }
        }
    }
    // An error is the client's hanging up: the test asserts what it saw.
    let _ = converse(&shared, number, stream, acceptor).await;
    shared.heard.lock().unwrap().open -= 1;
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
            let noted = (number, line.clone());
            shared.heard.lock().unwrap().lines.push(noted);
            line
        };
        let verb = verb_of(&line);
        let reply = match act(shared, &verb) {
            Behavior::Say(reply) => reply.to_owned(),
            Behavior::Hang => std::future::pending().await,
            Behavior::HangUp => return Ok(()),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        match verb.as_str() {
            "STARTTLS" if reply.starts_with('2') => {
                let tls = acceptor
                    .as_ref()
                    .unwrap()
                    .accept(stream.into_inner())
                    .await?;
                stream = BufReader::new(Box::new(tls));
            }
            "DATA" if reply.starts_with('3') => {
                let message = read_message(&mut stream).await?;
                let reply = match act(shared, ".") {
                    Behavior::Say(reply) => reply,
                    Behavior::Hang => std::future::pending().await,
                    Behavior::HangUp => return Ok(()),
                };
                if reply.starts_with('2') {
                    shared.heard.lock().unwrap().messages.push(message);
                }
                stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            }
            "QUIT" => return Ok(()),
            _ => {}
        }
    }
}

fn act(shared: &Shared, verb: &str) -> Behavior {
    let mut acts = shared.acts.lock().unwrap();
    if let Some(act) = acts.get_mut(verb).and_then(VecDeque::pop_front) {
        return act;
    }
    Behavior::Say(match verb {
        "CONNECT" => "220 relay.example.org ready",
        "EHLO" => {
            let mut reply = "250-relay.example.org\r\n".to_owned();
            for extension in shared.extensions.lock().unwrap().iter() {
                reply.extend(["250-", extension, "\r\n"]);
            }
            reply.push_str("250 HELP");
            // A few bytes for each hello of a test are not missed.
            return Behavior::Say(reply.leak());
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
