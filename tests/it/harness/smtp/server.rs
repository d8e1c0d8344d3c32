//! The thread of an SMTP server, and what its connections share.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::behaviour::Behaviour;
use super::options::Options;
use super::session;
use crate::harness::Mail;

/// What all connections of a server share.
pub struct Shared {
    pub options: Options,
    pub acceptor: TlsAcceptor,
    behaviour: Mutex<Behaviour>,
    mails: Mutex<Vec<Mail>>,
    connections: AtomicUsize,
    /// Messages that were received to their end, whatever the reply.
    messages: AtomicUsize,
}

impl Shared {
    pub fn new(options: Options, tls: Arc<ServerConfig>) -> Self {
        Self {
            options,
            acceptor: TlsAcceptor::from(tls),
            behaviour: Mutex::default(),
            mails: Mutex::default(),
            connections: AtomicUsize::new(0),
            messages: AtomicUsize::new(0),
        }
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().unwrap().clone()
    }

    pub fn store(&self, mail: Mail) {
        self.mails.lock().unwrap().push(mail);
    }

    pub fn note_message(&self) {
        self.messages.fetch_add(1, Ordering::SeqCst);
    }

    pub fn messages(&self) -> usize {
        self.messages.load(Ordering::SeqCst)
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

/// A server's thread. Dropping it stops the server.
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a server and returns its port. It accepts connections from now on.
    pub fn start(shared: Arc<Shared>) -> (u16, Self) {
        let (send_port, port) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = listen(shared.options.port);
                let port = listener.local_addr().unwrap().port();
                send_port.send(port).unwrap();
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
            // The end of the runtime closes all connections.
        });
        let running = Self {
            stop: Some(stop),
            thread: Some(thread),
        };
        (port.recv().expect("the SMTP server starts"), running)
    }

    /// Stops the server and waits until its port is closed.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// `SO_REUSEADDR` lets a server take the port that a `ClosedPort` reserves.
fn listen(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let session = session::run(Arc::clone(&shared), stream, peer, number);
        tokio::spawn(async move {
            // An error means that the client hung up; tests see that elsewhere.
            let _ = session.await;
        });
    }
}
