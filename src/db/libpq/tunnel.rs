//! A Unix socket of this process, which leads to the server through TLS.

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::network::Network;
use super::{Failure, handshake, startup};
use crate::config::{PostgresHost, PostgresTls};
use crate::random;

/// The suffix of the socket's name, which libpq expects of every Unix socket.
pub(super) const PORT: &str = "5432";

/// How long either side may take for the last bytes.
const LAST_BYTES: Duration = Duration::from_secs(5);

/// A tunnel that waits for one connection of libpq and ends with it.
pub(super) struct Tunnel {
    socket: Socket,
    notes: Arc<Mutex<Notes>>,
}

/// What the one who opened a tunnel cannot learn from libpq.
#[derive(Debug, Default, Clone)]
pub(super) struct Notes {
    /// Why the tunnel has ended, if it was not by one of its sides.
    pub(super) failure: Option<String>,
    /// Whether the server accepts no sessions now, but may do so later.
    pub(super) is_temporary: bool,
}

/// Where libpq connects to.
struct Socket {
    /// What libpq takes for the host.
    host: String,
    /// Keeps the folder of the socket until libpq is connected.
    _folder: SocketFolder,
    /// As long as this exists, the tunnel waits for libpq, so that nobody else can listen
    /// in its place.
    _wanted: oneshot::Sender<()>,
}

/// What a tunnel leads to.
struct Server {
    host: PostgresHost,
    tls: PostgresTls,
    network: Network,
    notes: Arc<Mutex<Notes>>,
}

impl Tunnel {
    /// Connects to the server, and then listens for libpq. The caller may be a task of a
    /// runtime, in which no other one may start or end, so a thread does all of it.
    pub(super) fn open(
        host: &PostgresHost,
        tls: &PostgresTls,
        network: Network,
    ) -> Result<Self, Failure> {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let server = Server {
            host: host.clone(),
            tls: tls.clone(),
            network,
            notes: Arc::clone(&notes),
        };
        let (report, reported) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("postgres-tls".to_owned())
            .spawn(move || server.run(&report))
            .map_err(internal)?;
        let socket = reported
            .recv()
            .unwrap_or_else(|_ended| Err(internal("a thread panicked")))?;
        Ok(Self { socket, notes })
    }

    /// What libpq takes for the host.
    pub(super) fn host(&self) -> &str {
        &self.socket.host
    }

    /// What is known about a connection that failed.
    pub(super) fn notes(&self) -> Notes {
        let notes = self.notes.lock();
        notes.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::Tls(format!("cannot open a tunnel: {error}"))
}

impl Server {
    fn run(&self, report: &mpsc::SyncSender<Result<Socket, Failure>>) {
        let mut builder = Builder::new_current_thread();
        match builder.enable_io().enable_time().build() {
            Ok(runtime) => {
                runtime.block_on(self.serve(report));
                // The question for a name may go on after its time limit.
                runtime.shutdown_background();
            }
            Err(error) => drop(report.send(Err(internal(error)))),
        }
    }

    async fn serve(&self, report: &mpsc::SyncSender<Result<Socket, Failure>>) {
        let opened = match self.connect().await {
            Ok(stream) => listen().map(|bound| (stream, bound)).map_err(internal),
            Err(failure) => Err(failure),
        };
        match opened {
            Ok((stream, (listener, host, folder))) => {
                let (wanted, unwanted) = oneshot::channel();
                let socket = Socket {
                    host,
                    _folder: folder,
                    _wanted: wanted,
                };
                let _ = report.send(Ok(socket));
                match accept(listener, unwanted).await {
                    Ok(Some(client)) => self.carry(client, stream).await,
                    // libpq has reported why.
                    Ok(None) => {}
                    Err(error) => self.fail(&error),
                }
            }
            Err(failure) => drop(report.send(Err(failure))),
        }
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Failure> {
        let stream = self.network.connect(&self.host).await?;
        let starting = async { Ok(handshake::start(stream, &self.host, &self.tls).await) };
        let started = self.network.within_limit(starting).await;
        started.map_err(|error| Failure::Tls(format!("the TLS handshake {error}")))?
    }

    fn fail(&self, error: &io::Error) {
        let reason = handshake::reason(error, &self.host);
        self.note(|notes| notes.failure = Some(reason));
    }

    fn note(&self, note: impl FnOnce(&mut Notes)) {
        let notes = self.notes.lock();
        note(&mut notes.unwrap_or_else(PoisonError::into_inner));
    }

    /// Carries all bytes until one of the sides ends, and then ends the other one.
    async fn carry(&self, client: UnixStream, stream: TlsStream<TcpStream>) {
        let (mut from_client, mut to_client) = split(client);
        let (mut from_server, mut to_server) = split(stream);
        let outcome = {
            let mut requests = std::pin::pin!(carry_one_way(&mut from_client, &mut to_server));
            let mut responses = std::pin::pin!(async {
                let on_temporary = || self.note(|notes| notes.is_temporary = true);
                startup::carry(&mut from_server, &mut to_client, on_temporary).await?;
                copy(&mut from_server, &mut to_client).await
            });
            match select(&mut requests, &mut responses).await {
                Either::Left((Ok(()), _)) => Ok(()),
                // The server may have said why it does not take more.
                Either::Left((Err(error), responses)) => {
                    match timeout(LAST_BYTES, responses).await {
                        Ok(Err(reason)) => Err(reason),
                        Ok(Ok(_)) => Ok(()),
                        Err(_elapsed) => Err(error),
                    }
                }
                Either::Right((outcome, _)) => outcome.map(drop),
            }
        };
        // Before libpq notices the end, and asks for the reason.
        if let Err(error) = outcome {
            self.fail(&error);
        }
        let _ = to_client.shutdown().await;
        // Ends TLS properly, so that the server logs no error; nobody waits for it.
        let _ = timeout(LAST_BYTES, to_server.shutdown()).await;
    }
}

#[cfg(target_os = "linux")]
type SocketFolder = ();
#[cfg(not(target_os = "linux"))]
type SocketFolder = tempfile::TempDir;

/// A socket in the abstract namespace, which needs no writable folder and vanishes with
/// the process. Any user can connect to it, so `accept` looks who did.
#[cfg(target_os = "linux")]
fn listen() -> io::Result<(UnixListener, String, SocketFolder)> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    // The number of the process is not unique on this machine: there may be containers.
    let name = random::alphanumeric(20).map_err(io::Error::other)?;
    let folder = format!("sydent-{name}");
    let name = SocketAddr::from_abstract_name(format!("{folder}/.s.PGSQL.{PORT}"))?;
    Ok((UnixListener::bind_addr(&name)?, format!("@{folder}"), ()))
}

/// A socket in a folder of this user.
#[cfg(not(target_os = "linux"))]
fn listen() -> io::Result<(UnixListener, String, SocketFolder)> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new()
        .prefix("sydent-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()?;
    let listener = UnixListener::bind(folder.path().join(format!(".s.PGSQL.{PORT}")))?;
    let host = folder.path().to_string_lossy().into_owned();
    Ok((listener, host, folder))
}

/// libpq ends its side only when it closes the connection.
async fn carry_one_way(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    copy(from, to).await.map(drop)
}

/// The connection of this process; others are closed. `None` if it is no longer wanted.
async fn accept(
    listener: UnixListener,
    unwanted: oneshot::Receiver<()>,
) -> io::Result<Option<UnixStream>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let own = std::pin::pin!(accept_own(&listener));
    match select(own, unwanted).await {
        Either::Left((client, _)) => client.map(Some),
        Either::Right(_) => Ok(None),
    }
}

async fn accept_own(listener: &tokio::net::UnixListener) -> io::Result<UnixStream> {
    loop {
        let (client, _) = listener.accept().await?;
        let peer = client.peer_cred()?;
        let is_own = peer.uid() == rustix::process::geteuid().as_raw();
        let own_process = i32::try_from(std::process::id()).ok();
        if is_own && peer.pid().is_none_or(|pid| Some(pid) == own_process) {
            return Ok(client);
        }
    }
}
