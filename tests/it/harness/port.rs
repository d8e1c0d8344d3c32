//! Ports of this machine.

use std::net::TcpListener;

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that refuses connections. The system assigns it to no
/// other program, but a server that is configured to can listen on it.
pub struct ClosedPort {
    pub number: u16,
    // Bound, but not listening: that reserves the number.
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

/// A listener on all addresses of this machine, IPv6 included if there is IPv6:
/// some containers have none.
pub fn listen_everywhere() -> TcpListener {
    TcpListener::bind("[::]:0")
        .or_else(|_no_ipv6| TcpListener::bind("0.0.0.0:0"))
        .unwrap()
}

/// Whether this machine has an IPv6 loopback address.
pub fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}
