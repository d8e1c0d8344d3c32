//! A load balancer for TCP connections, which asks its servers whether they are ready.
//! It keeps no client at one server: each connection goes to the next one.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How often it asks, and how long it waits after an error.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A load balancer. It stops when it goes out of scope.
pub struct Balancer {
    pub address: SocketAddr,
    servers: Servers,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// One of its servers.
#[derive(Clone, Copy)]
pub struct Backend {
    /// Where its connections go to.
    pub address: SocketAddr,
    /// Where it answers `/ready`.
    pub operations: SocketAddr,
}

/// The servers, and whether they were ready when they were asked last.
type Servers = Arc<Mutex<Vec<(Backend, bool)>>>;

impl Balancer {
    /// Listens on a free port in front of these servers.
    pub fn start(backends: impl IntoIterator<Item = Backend>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let servers = backends.into_iter().map(|backend| (backend, false));
        let servers: Servers = Arc::new(Mutex::new(servers.collect()));
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

    /// Another server, which gets connections once it is ready.
    pub fn add(&self, backend: Backend) {
        self.servers.lock().unwrap().push((backend, false));
    }

    /// Takes out a server that has ended: another process may get its port.
    pub fn remove(&self, address: SocketAddr) {
        let mut servers = self.servers.lock().unwrap();
        servers.retain(|(backend, _)| backend.address != address);
    }

    /// Whether a server was ready when it was asked last.
    pub fn uses(&self, address: SocketAddr) -> bool {
        let servers = self.servers.lock().unwrap();
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

/// Asks all servers again and again.
async fn check(servers: &Servers) {
    loop {
        let asked = servers.lock().unwrap().clone();
        for (asked, _) in asked {
            let answer = timeout(ANSWER_WITHIN, is_ready(asked.operations)).await;
            let mut servers = servers.lock().unwrap();
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

async fn balance(listener: tokio::net::TcpListener, servers: &Servers) {
    let mut connections = JoinSet::new();
    let mut next = 0;
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let servers = servers.lock().unwrap().clone();
        let ready: Vec<_> = servers.iter().filter(|(_, is_ready)| *is_ready).collect();
        next += 1;
        // Without a server, the client sees its connection closed.
        if let Some((backend, _)) = ready.get(next % ready.len().max(1)) {
            let address = backend.address;
            connections.spawn(async move { forward(client, address).await });
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(mut client: TcpStream, address: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(address).await {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
