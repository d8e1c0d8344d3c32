//! Rate limits of requests to bind at this instance, before anything is asked of the
//! database. Those of all instances together are charged with the bind
//! (`flow::charges::of_bind`). Each bind makes this server call the homeserver of the user,
//! whose name a client without an account can choose (ONB-01).

use std::net::IpAddr;

use ipnet::IpNet;

use super::Limiter;
use crate::config::LimitSettings;
use crate::domain::counter::Refusal;
use crate::domain::ids::Mxid;
use crate::domain::rate::is_within;
use crate::domain::secret::Sid;

/// The limits of binds: per session, per account and per client.
pub struct BindLimits {
    sessions: Option<Limiter>,
    accounts: Option<Limiter>,
    clients: Option<Limiter>,
    clients_with_account: Option<Limiter>,
    delegating: Vec<IpNet>,
}

impl BindLimits {
    /// The limits of a configuration.
    #[must_use]
    pub fn new(limits: &LimitSettings) -> Self {
        Self {
            sessions: Limiter::new("limits.bind_per_session", &limits.bind_per_session),
            accounts: Limiter::new("limits.bind_per_account", &limits.bind_per_account),
            clients: Limiter::new("limits.bind_per_client", &limits.bind_per_client),
            clients_with_account: Limiter::new(
                "limits.bind_per_client_with_account",
                &limits.bind_per_client_with_account,
            ),
            delegating: limits.delegating_homeservers.clone(),
        }
    }

    /// Counts a request to bind, before anything is known of its session.
    ///
    /// # Errors
    /// A limit is exceeded.
    pub fn take(&self, account: Option<&Mxid>, client: Option<IpAddr>) -> Result<(), Refusal> {
        let clients = if let Some(account) = account {
            take(self.accounts.as_ref(), account.as_str())?;
            self.clients_with_account.as_ref()
        } else if is_within(client, &self.delegating) {
            self.clients_with_account.as_ref()
        } else {
            self.clients.as_ref()
        };
        clients.map_or(Ok(()), |limiter| limiter.take_for_client(client, 1))
    }

    /// Counts a bind of a session that exists and is validated: nobody can invent one, so
    /// that there are no more counters than sessions.
    ///
    /// # Errors
    /// The limit is exceeded.
    pub fn take_session(&self, sid: &Sid) -> Result<(), Refusal> {
        take(self.sessions.as_ref(), sid.expose())
    }
}

fn take(limiter: Option<&Limiter>, key: &str) -> Result<(), Refusal> {
    limiter.map_or(Ok(()), |limiter| limiter.take(key, 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::RateSettings;

    /// BND-01
    #[test]
    fn binds_count_for_account_client_and_session() {
        let rate = |burst| RateSettings {
            burst,
            every: Duration::from_hours(1),
        };
        let limits = BindLimits::new(&LimitSettings {
            bind_per_session: rate(2),
            bind_per_account: rate(3),
            bind_per_client: rate(3),
            bind_per_client_with_account: rate(4),
            ..LimitSettings::default()
        });
        let take = |account: Option<&str>| {
            let account = account.map(|account| Mxid::parse(account).unwrap());
            limits.take(account.as_ref(), "192.0.2.1".parse().ok())
        };
        for _ in 0..3 {
            assert_eq!(take(None), Ok(()));
        }
        assert!(take(None).is_err());
        let (alice, bob) = (Some("@alice:example.org"), Some("@bob:example.org"));
        for _ in 0..3 {
            assert_eq!(take(alice), Ok(()));
        }
        assert!(take(alice).is_err());
        assert_eq!(take(bob), Ok(()));
        assert!(take(bob).is_err());
        let session = |sid: &str| limits.take_session(&Sid::parse(sid).unwrap());
        assert_eq!([session("a"), session("a"), session("b")], [Ok(()); 3]);
        assert!(session("a").is_err());
    }
}
