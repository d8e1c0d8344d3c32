//! All limits that this instance counts in memory.

use std::sync::Arc;

use super::Limiter;
use super::binds::BindLimits;
use super::calls::CallLimits;
use super::ledger::Ledger;
use super::sms_budget::SmsBudget;
use crate::config::LimitSettings;
use crate::domain::counter::CounterSecret;
use crate::permits::Shares;

/// Of all requests that may wait for a message, those of one client may be this part.
const WAITS_PART: u32 = 16;

/// In a small server, so many of one client may wait at least.
const MIN_WAITS: u32 = 8;

/// The limits in memory, and what the keys of those in the database are hashed with.
/// `None` is a limit that is switched off.
pub struct Limiters {
    /// Addresses, new ones or not, that a client may look up.
    pub client_lookups: Option<Limiter>,
    /// The same for an account.
    pub account_lookups: Option<Limiter>,
    /// The new addresses that are looked up, by payer.
    pub ledger: Arc<Ledger>,
    /// Registrations by client and by homeserver.
    pub registrations: CallLimits,
    /// Signed requests to unbind, by client and by homeserver.
    pub unbinds: CallLimits,
    /// Binds by session, account and client.
    pub binds: BindLimits,
    /// Invites that a client may have signed.
    pub signatures: Option<Limiter>,
    /// Codes that a client may submit.
    pub submissions: Option<Limiter>,
    /// Requests that wait for a message.
    pub(crate) waits: Shares,
    /// The daily budget of SMS, as this instance has reported it.
    pub(crate) sms_budget: SmsBudget,
    /// What the keys of counters in the database are hashed with.
    pub counter_secret: CounterSecret,
}

impl Limiters {
    /// The limits of a configuration. At most `places` requests wait for messages.
    #[must_use]
    pub fn new(limits: &LimitSettings, places: u32, counter_secret: CounterSecret) -> Self {
        Self {
            client_lookups: Limiter::new("limits.lookup_per_client", &limits.lookup_per_client),
            account_lookups: Limiter::new("limits.lookup_per_account", &limits.lookup_per_account),
            ledger: Arc::default(),
            registrations: CallLimits::for_register(limits),
            unbinds: CallLimits::for_unbind(limits),
            binds: BindLimits::new(limits),
            signatures: Limiter::new(
                "limits.signatures_per_client",
                &limits.signatures_per_client,
            ),
            submissions: Limiter::new("limits.submit_per_client", &limits.submit_per_client),
            waits: Shares::new(u64::MAX, u64::from((places / WAITS_PART).max(MIN_WAITS))),
            sms_budget: SmsBudget::default(),
            counter_secret,
        }
    }
}
