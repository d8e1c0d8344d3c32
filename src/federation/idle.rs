//! Connections to homeservers that wait for another request: a user who binds several
//! addresses, or the users of one homeserver, cause several calls in a row.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::route::Route;
use crate::outgoing::Reusable;

/// How long a connection waits. Homeservers and the proxies before them wait longer, and
/// what DNS said is not used for much longer than it says.
pub(super) const MAX_IDLE_TIME: Duration = Duration::from_secs(10);

/// How old a connection may become: the homeserver may have moved, or lost its name.
const MAX_AGE: Duration = Duration::from_mins(5);

/// How many connections wait in total, and to one homeserver.
pub(crate) const MAX_IDLE: usize = 32;
const MAX_PER_ROUTE: usize = 8;

/// The connections that wait, the newest last.
pub(super) struct IdleConnections {
    all: RefCell<VecDeque<Idle>>,
    max_time: Duration,
}

struct Idle {
    route: Route,
    since: Instant,
    kept: Kept,
}

/// A connection that can be used again.
pub(super) struct Kept {
    pub connection: Reusable,
    /// What calls on it count for.
    pub address: Option<IpAddr>,
    opened: Instant,
}

impl Kept {
    /// A new connection to an address, if calls are counted for that.
    pub(super) fn new(connection: Reusable, address: Option<IpAddr>) -> Self {
        Self {
            connection,
            address,
            opened: Instant::now(),
        }
    }

    fn is_old(&self) -> bool {
        self.opened.elapsed() >= MAX_AGE
    }
}

impl IdleConnections {
    /// None yet. Each will wait for `max_time` at most.
    pub(super) fn new(max_time: Duration) -> Self {
        Self {
            all: RefCell::default(),
            max_time,
        }
    }

    /// The one to that homeserver that was used last.
    pub(super) fn take(&self, route: &Route) -> Option<Kept> {
        self.close_old();
        loop {
            let mut all = self.all.borrow_mut();
            let found = all.iter().rposition(|idle| idle.route == *route)?;
            let idle = all.remove(found)?;
            if !idle.kept.is_old() && idle.kept.connection.is_idle() {
                return Some(idle.kept);
            }
        }
    }

    /// Keeps a connection.
    pub(super) fn put(&self, route: Route, kept: Kept) {
        self.close_old();
        let mut all = self.all.borrow_mut();
        let of_route = all.iter().filter(|idle| idle.route == route).count();
        if of_route >= MAX_PER_ROUTE || kept.is_old() {
            return;
        }
        if all.len() >= MAX_IDLE {
            all.pop_front();
        }
        all.push_back(Idle {
            route,
            since: Instant::now(),
            kept,
        });
    }

    /// Closes those that have waited long enough.
    pub(super) fn close_old(&self) {
        let mut all = self.all.borrow_mut();
        while all
            .front()
            .is_some_and(|idle| idle.since.elapsed() >= self.max_time)
        {
            all.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::domain::ids::ServerName;
    use crate::federation::route::route;
    use crate::outgoing::Stream;

    fn to(name: &str) -> Route {
        route(&ServerName::parse(name).unwrap()).unwrap()
    }

    /// A connection, and the end of the server.
    async fn connect(listener: &TcpListener) -> (Kept, TcpStream) {
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        let connection = Reusable::new(Stream::plain(near.unwrap()));
        let kept = Kept::new(connection, Some(address.ip()));
        (kept, far.unwrap().0)
    }

    /// NET-16
    #[tokio::test]
    async fn connections_wait_for_their_route_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let idle = IdleConnections::new(MAX_IDLE_TIME);
        let mut servers = Vec::new();
        for name in ["a.example", "b.example"] {
            let (kept, server) = connect(&listener).await;
            idle.put(to(name), kept);
            servers.push(server);
        }
        assert!(idle.take(&to("c.example")).is_none());
        assert!(idle.take(&to("a.example:8448")).is_none());
        assert!(idle.take(&to("a.example")).is_some());
        assert!(idle.take(&to("a.example")).is_none());
        // The server has closed it.
        servers.clear();
        while idle
            .all
            .borrow()
            .front()
            .is_some_and(|it| it.kept.connection.is_idle())
        {
            tokio::task::yield_now().await;
        }
        assert!(idle.take(&to("b.example")).is_none());
    }

    /// NET-16
    #[tokio::test]
    async fn few_connections_wait_and_not_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let idle = IdleConnections::new(MAX_IDLE_TIME);
        let mut servers = Vec::new();
        for number in 0..2 * MAX_IDLE {
            let (kept, server) = connect(&listener).await;
            idle.put(
                to(&format!("{}.example", number / (2 * MAX_PER_ROUTE))),
                kept,
            );
            servers.push(server);
        }
        assert_eq!(idle.all.borrow().len(), MAX_IDLE);
        let of_one = (0..MAX_IDLE)
            .map_while(|_| idle.take(&to("1.example")))
            .count();
        assert_eq!(of_one, MAX_PER_ROUTE);
        let short = IdleConnections::new(Duration::ZERO);
        let (kept, _server) = connect(&listener).await;
        short.put(to("a.example"), kept);
        assert!(short.take(&to("a.example")).is_none());
    }
}
