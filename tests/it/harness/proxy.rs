//! A TCP proxy that can be cut, and that can fall silent.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A line to a server. It ends with the test process.
pub struct Proxy {
    pub address: SocketAddr,
    line: Arc<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes pass.
    Whole,
    /// Connections are closed, new ones too.
    Cut,
    /// Connections are taken and stay open, and no byte passes.
    Silent,
}

struct Line {
    target: String,
    state: Mutex<State>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A whole line to `target`, `HOST:PORT`.
    pub fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line {
            target,
            state: Mutex::new(State::Whole),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let line = Arc::clone(&accepting);
                thread::spawn(move || line.serve(&client));
            }
        });
        Self { address, line }
    }

    pub fn cut(&self) {
        self.line.turn(State::Cut);
        for stream in self.line.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn silence(&self) {
        self.line.turn(State::Silent);
    }

    /// What was held back by silence passes now.
    pub fn restore(&self) {
        self.line.turn(State::Whole);
    }
}

impl Line {
    fn turn(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Whether bytes pass, once it is not silent.
    fn passes(&self) -> bool {
        let state = self.state.lock().unwrap();
        let silent = |state: &mut State| *state == State::Silent;
        *self.changed.wait_while(state, silent).unwrap() == State::Whole
    }

    fn serve(&self, client: &TcpStream) {
        if !self.passes() {
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
            if !self.passes() || to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
