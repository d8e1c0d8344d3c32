//! A port at which nobody answers, until somebody shall.

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that refuses connections. The system gives it to nobody
/// else meanwhile, but a server that is told its number can listen on it.
pub struct ClosedPort {
    pub number: u16,
    // Bound and not listening: that is what keeps the number.
    _socket: TcpSocket,
}

impl ClosedPort {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self {
            number: socket.local_addr().unwrap().port(),
            _socket: socket,
        }
    }
}
