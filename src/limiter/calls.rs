//! Limits of requests for which this server calls a homeserver that a stranger
//! names (NET-20).

use std::net::IpAddr;

use super::Limiter;
use crate::config::LimitSettings;
use crate::domain::ids::ServerName;
use crate::domain::rate::client_network;

/// How often clients may ask for one kind of such calls, and how often about one
/// homeserver.
pub struct CallLimits {
    clients: Option<Limiter>,
    shares: Option<Limiter>,
    homeservers: Option<Limiter>,
}

impl CallLimits {
    /// For registrations (ACC-14).
    #[must_use]
    pub fn for_register(limits: &LimitSettings) -> Self {
        let shared = &limits.register_per_client_and_homeserver;
        Self {
            clients: Limiter::new(&limits.register_per_client),
            shares: Limiter::new(shared),
            homeservers: Limiter::new(&limits.register_per_homeserver),
        }
    }

    /// For requests to unbind that a homeserver is said to have signed. It is the
    /// client itself, so that it has no share of its own.
    #[must_use]
    pub fn for_unbind(limits: &LimitSettings) -> Self {
        Self {
            clients: Limiter::new(&limits.unbind_per_client),
            shares: None,
            homeservers: Limiter::new(&limits.unbind_per_homeserver),
        }
    }

    /// Counts a request of a client, known by its IP address.
    ///
    /// # Errors
    /// When that is too much: how long to wait, ms, at least 1.
    pub fn take_for_client(&self, client: Option<IpAddr>) -> Result<(), i64> {
        let limiter = self.clients.as_ref();
        limiter.map_or(Ok(()), |limiter| limiter.take_for_client(client, 1))
    }

    /// Counts a call of that homeserver for a client. All ports of a host count
    /// together, since whoever has it can choose among them. What is too much for
    /// the client does not count against the homeserver, or a few clients would
    /// keep all others of its users away.
    ///
    /// # Errors
    /// When that is too much: how long to wait, ms, at least 1.
    pub fn take_for_homeserver(
        &self,
        client: Option<IpAddr>,
        server: &ServerName,
    ) -> Result<(), i64> {
        let host = server.host().to_ascii_lowercase();
        if let (Some(limiter), Some(client)) = (&self.shares, client) {
            limiter.take(&format!("{} {host}", client_network(client)), 1)?;
        }
        let limiter = self.homeservers.as_ref();
        limiter.map_or(Ok(()), |limiter| limiter.take(&host, 1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::RateSettings;

    #[test]
    fn acc_14_what_is_too_much_for_a_client_does_not_count_against_the_homeserver() {
        let rate = |burst| RateSettings {
            burst,
            every: Duration::from_hours(1),
        };
        let limits = CallLimits::for_register(&LimitSettings {
            register_per_client_and_homeserver: rate(2),
            register_per_homeserver: rate(3),
            ..LimitSettings::default()
        });
        let take = |client: &str, server: &str| {
            let server = ServerName::parse(server).unwrap();
            limits.take_for_homeserver(client.parse().ok(), &server)
        };
        for _ in 0..2 {
            assert_eq!(take("192.0.2.1", "a.example"), Ok(()));
        }
        for server in ["a.example", "A.example:8449"] {
            assert!(take("192.0.2.1", server).is_err());
        }
        assert_eq!(take("192.0.2.1", "b.example"), Ok(()));
        assert_eq!(take("192.0.2.2", "a.example:1"), Ok(()));
        assert!(take("192.0.2.3", "a.example").is_err());
    }
}
