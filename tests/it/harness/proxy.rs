//! A TCP proxy that can be interrupted.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A proxy in front of a server. It runs until the tests end.
pub struct Proxy {
    pub address: SocketAddr,
    link: Arc<Link>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Forwards bytes.
    Open,
    /// Closes all connections, new ones too.
    Cut,
    /// Accepts connections and keeps them open, but forwards nothing.
    Silent,
}

struct Link {
    target: String,
    state: Mutex<State>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy to `target`, `HOST:PORT`.
    pub fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let link = Arc::new(Link {
            target,
            state: Mutex::new(State::Open),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&link);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let link = Arc::clone(&accepting);
                thread::spawn(move || link.serve(&client));
            }
        });
        Self { address, link }
    }

    pub fn cut(&self) {
        self.link.set(State::Cut);
        for stream in self.link.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn silence(&self) {
        self.link.set(State::Silent);
    }

    /// Forwards again, also what was held back.
    pub fn restore(&self) {
        self.link.set(State::Open);
    }
}

impl Link {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Waits while it is silent; returns whether it forwards.
    fn forwards(&self) -> bool {
        let state = self.state.lock().unwrap();
        let silent = |state: &mut State| *state == State::Silent;
        *self.changed.wait_while(state, silent).unwrap() == State::Open
    }

    fn serve(&self, client: &TcpStream) {
        if !self.forwards() {
            return;
        }
        let Ok(server) = TcpStream::connect(&self.target) else {
            return;
        };
        let both = [client, &server].map(|stream| stream.try_clone().unwrap());
        self.open.lock().unwrap().extend(both);
        thread::scope(|scope| {
            scope.spawn(|| self.copy(client, &server));
            self.copy(&server, client);
        });
    }

    fn copy(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if !self.forwards() || to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
