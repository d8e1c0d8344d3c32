//! The sockets of a listener.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};

use log::warn;
use socket2::{Domain, Protocol, Socket, Type};

use super::ServerError;
use crate::config::ipv4_instead;

/// What the system keeps of each connection that was not read or written yet, in bytes.
/// By default it grows to several MiB, which a client that reads nothing could fill for
/// each of its connections.
const BUFFER: usize = 64 * 1024;

/// The length of the queue of connections that the server has not accepted yet.
const BACKLOG: i32 = 2048;

/// Opens a socket for each address.
///
/// # Errors
/// An address that cannot be listened on.
pub(super) fn open(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ServerError> {
    open_with(addresses, bind)
}

fn open_with<S>(
    addresses: &[SocketAddr],
    bind: impl Fn(SocketAddr, bool) -> io::Result<S>,
) -> Result<Vec<S>, ServerError> {
    let mut sockets = Vec::with_capacity(addresses.len());
    for address in addresses {
        let only_v6 = has_socket_for_v4(addresses, *address);
        match bind(*address, only_v6) {
            Ok(socket) => sockets.push(socket),
            Err(error) => match ipv4_instead(*address).filter(|_| is_without_v6(&error)) {
                Some(v4) if addresses.contains(&v4) => {
                    warn!("not listening on {address}, since this host has no IPv6: {error}");
                }
                Some(v4) => {
                    warn!(
                        "listening on {v4} instead of {address}, since this host has no IPv6: {error}"
                    );
                    sockets.push(bind(v4, false).map_err(|error| ServerError::Listen(v4, error))?);
                }
                None => return Err(ServerError::Listen(*address, error)),
            },
        }
    }
    Ok(sockets)
}

/// Whether another socket takes connections over IPv4 to the same port, which a socket
/// for all addresses of IPv6 would otherwise take as well.
fn has_socket_for_v4(addresses: &[SocketAddr], address: SocketAddr) -> bool {
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && addresses
            .iter()
            .any(|other| other.port() == address.port() && other.ip().to_canonical().is_ipv4())
}

/// Whether a host answers so that has IPv6 switched off: in the kernel, or for its
/// interfaces.
fn is_without_v6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || (cfg!(target_os = "linux") && error.raw_os_error() == Some(EAFNOSUPPORT))
}

fn bind(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // Otherwise a restarted server could not listen while old connections linger.
    socket.set_reuse_address(true)?;
    if domain == Domain::IPV6 {
        // Not left to the system's default, which may be either.
        socket.set_only_v6(only_v6)?;
    }
    // Accepted sockets inherit both.
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn host_without_ipv6_listens_on_ipv4() {
        for number in [97, 99] {
            let bind = |address: SocketAddr, _| match address {
                SocketAddr::V4(_) => Ok(address.to_string()),
                SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(number)),
            };
            for (given, opened) in [
                (&["[::]:8090"][..], Some(&["0.0.0.0:8090"][..])),
                (&["[::1]:8091"], Some(&["127.0.0.1:8091"])),
                (&["[::]:1", "0.0.0.0:1"], Some(&["0.0.0.0:1"])),
                (&["127.0.0.1:1", "[::1]:1"], Some(&["127.0.0.1:1"])),
                (&["[2001:db8::1]:1"], None),
            ] {
                let sockets = open_with(&addresses(given), bind).ok();
                let opened = opened.map(|all| all.iter().map(ToString::to_string).collect());
                assert_eq!(sockets, opened, "{given:?}");
            }
        }
        let in_use = |_, _| Err::<(), _>(io::ErrorKind::AddrInUse.into());
        assert!(open_with(&addresses(&["[::]:8090"]), in_use).is_err());
    }

    #[test]
    fn both_wildcards_can_share_a_port() {
        let probe = bind("[::]:0".parse().unwrap(), false);
        let Ok(probe) = probe else { return };
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        let given = [format!("[::]:{port}"), format!("0.0.0.0:{port}")];
        let given = addresses(&given.each_ref().map(String::as_str));
        let sockets = open(&given).unwrap();
        assert_eq!(sockets.len(), 2);
        for (target, socket) in ["[::1]", "127.0.0.1"].iter().zip(&sockets) {
            let client = std::net::TcpStream::connect(format!("{target}:{port}")).unwrap();
            let (_, peer) = socket.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    }
}
