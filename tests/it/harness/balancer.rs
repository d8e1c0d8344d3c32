//! A load balancer, which gives each request to the next server of its list. It
//! keeps no client at one server.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::forward::forward;

/// How often it asks, and how long it waits after an error.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A load balancer. It stops when it goes out of scope.
pub struct Balancer {
    pub address: SocketAddr,
    servers: Arc<Servers>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// One of its servers.
#[derive(Clone, Copy)]
pub struct Backend {
    /// Where its requests go to.
    pub address: SocketAddr,
    /// Where it answers `/ready`; without that, it is always ready.
    pub operations: Option<SocketAddr>,
}

/// The servers.
#[derive(Default)]
struct Servers {
    /// Whether each was ready when it was asked last.
    all: Mutex<Vec<(Backend, bool)>>,
    /// How many requests were given to a server.
    given: AtomicUsize,
}

impl Balancer {
    /// Listens on a free port in front of these servers.
    pub fn start(backends: impl IntoIterator<Item = Backend>) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), backends)
    }

    /// Listens there.
    pub fn start_at(address: SocketAddr, backends: impl IntoIterator<Item = Backend>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let servers = Arc::new(Servers::default());
        for backend in backends {
            servers.add(backend);
        }
        let shared = Arc::clone(&servers);
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = balance(listener, &shared) => {}
                    () = check(&shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            servers,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Another server, which gets requests once it is ready.
    pub fn add(&self, backend: Backend) {
        self.servers.add(backend);
    }

    /// Takes out a server that has ended: another process may get its port.
    pub fn remove(&self, address: SocketAddr) {
        let mut servers = self.servers.all.lock().unwrap();
        servers.retain(|(backend, _)| backend.address != address);
    }

    /// Whether a server was ready when it was asked last.
    pub fn uses(&self, address: SocketAddr) -> bool {
        let servers = self.servers.all.lock().unwrap();
        let mut servers = servers.iter();
        servers.any(|(backend, is_ready)| backend.address == address && *is_ready)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the balancer panicked"
            );
        }
    }
}

impl Servers {
    fn add(&self, backend: Backend) {
        let is_ready = backend.operations.is_none();
        self.all.lock().unwrap().push((backend, is_ready));
    }

    /// The server that gets the next request.
    fn next(&self) -> Option<SocketAddr> {
        let servers = self.all.lock().unwrap();
        let ready: Vec<_> = servers.iter().filter(|(_, is_ready)| *is_ready).collect();
        let turn = self.given.fetch_add(1, Ordering::SeqCst);
        let (backend, _) = ready.get(turn.checked_rem(ready.len())?)?;
        Some(backend.address)
    }
}

/// Asks all servers again and again.
async fn check(servers: &Servers) {
    loop {
        let asked = servers.all.lock().unwrap().clone();
        for (asked, _) in asked {
            let Some(operations) = asked.operations else {
                continue;
            };
            let answer = timeout(ANSWER_WITHIN, is_ready(operations)).await;
            let mut servers = servers.all.lock().unwrap();
            let mut servers = servers.iter_mut();
            // It may have been taken out meanwhile.
            if let Some(server) = servers.find(|(it, _)| it.address == asked.address) {
                server.1 = matches!(answer, Ok(Ok(true)));
            }
        }
        sleep(PAUSE).await;
    }
}

async fn is_ready(operations: SocketAddr) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(operations).await?;
    let request = "GET /ready HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

async fn balance(listener: tokio::net::TcpListener, servers: &Arc<Servers>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let servers = Arc::clone(servers);
        connections.spawn(async move {
            // An error, or no server that is ready: the client sees its connection closed.
            let _ = forward(client, || servers.next()).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
