//! What an event is counted under, and who pays for it.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::rate::Rate;
use super::{Invalid, base64};

/// The secret of a database that the keys of its counters are hashed with. Without it,
/// a key reveals neither an address nor an IP address: there are so few phone numbers
/// and IPv4 addresses that a hash without a secret could be reversed by trial.
#[derive(Clone)]
pub struct CounterSecret(Hmac<Sha256>);

impl fmt::Debug for CounterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CounterSecret(…)")
    }
}

impl CounterSecret {
    /// Reads a secret.
    ///
    /// # Errors
    /// It has fewer than 32 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const TOO_SHORT: Invalid = Invalid("must have at least 32 characters");
        if text.len() < 32 {
            return Err(TOO_SHORT);
        }
        let hmac = Hmac::new_from_slice(text.as_bytes()).map_err(|_impossible| TOO_SHORT)?;
        Ok(Self(hmac))
    }

    /// The key of the counter of `who` in `scope`: the scope and a keyed hash (HMAC,
    /// RFC 2104).
    #[must_use]
    pub fn key(&self, scope: &str, who: &str) -> String {
        let mut hmac = self.0.clone();
        hmac.update(scope.as_bytes());
        hmac.update(b" ");
        hmac.update(who.as_bytes());
        let hash = hmac.finalize().into_bytes();
        format!("{scope}:{}", base64::encode_url_safe(hash.as_slice()))
    }
}

/// A limit that a message is charged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The setting that it comes from.
    pub name: &'static str,
    /// What it is counted under.
    pub counted: String,
    /// The limit.
    pub rate: Rate,
    /// Who pays.
    pub payer: Payer,
    /// The end of the period that is counted, in milliseconds since the epoch, for a
    /// limit of `burst` messages in a period. Such a counter starts at the end of its
    /// period, and moves ahead by a millisecond with each message.
    pub period_end: Option<i64>,
}

impl Limit {
    /// What counts as the present for this counter.
    #[must_use]
    pub fn start(&self, now: i64) -> i64 {
        self.period_end.unwrap_or(now)
    }

    /// The refusal of a message, which is possible in so many milliseconds.
    #[must_use]
    pub fn refusal(&self, wait_ms: i64, now: i64) -> Refusal {
        let wait_ms = self.period_end.map_or(wait_ms, |end| (end - now).max(1));
        Refusal::new(self.name, wait_ms)
    }
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The setting of the limit, for the log.
    pub limit: &'static str,
    /// In how many milliseconds a retry can succeed.
    pub wait_ms: i64,
}

impl Refusal {
    /// A refusal by the limit of this setting.
    #[must_use]
    pub fn new(limit: &'static str, wait_ms: i64) -> Self {
        Self { limit, wait_ms }
    }
}

/// Who pays for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// Who asked for it. Pays also for a message that is not sent: otherwise asking for
    /// messages that are refused would be free.
    Sender,
    /// Who gets it. Pays only for what was sent.
    Recipient,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_depends_on_secret_scope_and_name() {
        let secret = |letter: &str| CounterSecret::parse(&letter.repeat(32)).unwrap();
        let key = secret("a").key("email-to", "alice@example.com");
        assert!(key.starts_with("email-to:") && !key.contains("alice"));
        assert_eq!(secret("a").key("email-to", "alice@example.com"), key);
        for other in [
            secret("b").key("email-to", "alice@example.com"),
            secret("a").key("email-by", "alice@example.com"),
            secret("a").key("email-to", "bob@example.com"),
        ] {
            assert_ne!(other, key);
        }
        assert!(CounterSecret::parse(&"a".repeat(31)).is_err());
        assert_eq!(format!("{:?}", secret("a")), "CounterSecret(…)");
    }
}
