//! Rate limits of binds. Each makes this server call the homeserver of the user, whose
//! name a client without an account can choose (ONB-01).

use std::net::IpAddr;

use ipnet::IpNet;

use super::Limiter;
use crate::config::LimitSettings;
use crate::domain::counter::Refusal;
use crate::domain::ids::Mxid;
use crate::domain::rate::is_within;
use crate::domain::secret::{ClientSecret, Sid};

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

    /// Counts a bind. The narrowest limit comes first: a client that repeats a request
    /// does not use up what others in its network need. The session counts together with
    /// its secret, so that others cannot use up its limit.
    ///
    /// # Errors
    /// A limit is exceeded.
    pub fn take(
        &self,
        sid: &Sid,
        client_secret: &ClientSecret,
        account: Option<&Mxid>,
        client: Option<IpAddr>,
    ) -> Result<(), Refusal> {
        let session = format!("{} {}", sid.expose(), client_secret.expose());
        take(self.sessions.as_ref(), &session)?;
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
    fn repeated_bind_does_not_charge_the_client() {
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
        let take = |sid: &str, secret: &str, account: Option<&str>| {
            let account = account.map(|account| Mxid::parse(account).unwrap());
            limits.take(
                &Sid::parse(sid).unwrap(),
                &ClientSecret::parse(secret).unwrap(),
                account.as_ref(),
                "192.0.2.1".parse().ok(),
            )
        };
        assert_eq!([take("a", "a", None), take("a", "a", None)], [Ok(()); 2]);
        for _ in 0..5 {
            assert!(take("a", "a", None).is_err());
        }
        assert_eq!(take("a", "b", None), Ok(()));
        assert!(take("b", "b", None).is_err());
        let (alice, bob) = (Some("@alice:example.org"), Some("@bob:example.org"));
        for sid in ["c", "d", "e"] {
            assert_eq!(take(sid, "c", alice), Ok(()));
        }
        assert!(take("f", "c", alice).is_err());
        assert_eq!(take("f", "c", bob), Ok(()));
        assert!(take("g", "c", bob).is_err());
    }
}
