//! A port at which nobody answers, until somebody shall.

use std::net::TcpListener;

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

/// A listener at every address of this machine, in both families where it has
/// both: some containers have no IPv6.
pub fn listen_everywhere() -> TcpListener {
    TcpListener::bind("[::]:0")
        .or_else(|_no_ipv6| TcpListener::bind("0.0.0.0:0"))
        .unwrap()
}

/// Whether this machine has an IPv6 loopback address.
pub fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}
