//! Rate limits of requests that make this server call a homeserver of the client's
//! choice (NET-20), at this instance. Those of all instances together are charged as well,
//! before the call (`flow::charges::charge`); these cost no transaction.

use std::net::IpAddr;

use super::Limiter;
use crate::config::LimitSettings;
use crate::domain::counter::Refusal;
use crate::domain::ids::ServerName;

/// The limits of one kind of call: per client, per client and homeserver, and per
/// homeserver.
pub struct CallLimits {
    clients: Option<Limiter>,
    clients_and_homeservers: Option<Limiter>,
    homeservers: Option<Limiter>,
}

impl CallLimits {
    /// The limits of registrations (ACC-14).
    #[must_use]
    pub fn for_register(limits: &LimitSettings) -> Self {
        let both = &limits.register_per_client_and_homeserver;
        Self {
            clients: Limiter::new("limits.register_per_client", &limits.register_per_client),
            clients_and_homeservers: Limiter::new(
                "limits.register_per_client_and_homeserver",
                both,
            ),
            homeservers: Limiter::new(
                "limits.register_per_homeserver",
                &limits.register_per_homeserver,
            ),
        }
    }

    /// The limits of unbind requests with an `X-Matrix` header. The client is the
    /// homeserver itself, so there is no limit for the two together.
    #[must_use]
    pub fn for_unbind(limits: &LimitSettings) -> Self {
        Self {
            clients: Limiter::new("limits.unbind_per_client", &limits.unbind_per_client),
            clients_and_homeservers: None,
            homeservers: Limiter::new(
                "limits.unbind_per_homeserver",
                &limits.unbind_per_homeserver,
            ),
        }
    }

    /// Counts a request of a client, identified by its IP address.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub fn take_for_client(&self, client: Option<IpAddr>) -> Result<(), Refusal> {
        let limiter = self.clients.as_ref();
        limiter.map_or(Ok(()), |limiter| limiter.take_for_client(client, 1))
    }

    /// Counts a call to a homeserver on behalf of a client. All ports of a host
    /// count together, because its owner can use any of them. A request beyond the
    /// client's limit does not count for the homeserver: otherwise a few clients
    /// could lock out all other users of it.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub fn take_for_homeserver(
        &self,
        client: Option<IpAddr>,
        server: &ServerName,
    ) -> Result<(), Refusal> {
        let host = server.host().to_ascii_lowercase();
        if let Some(limiter) = &self.clients_and_homeservers {
            limiter.take_for_client_and(client, &host, 1)?;
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

    /// ACC-14
    #[test]
    fn refused_calls_do_not_charge_the_homeserver() {
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
