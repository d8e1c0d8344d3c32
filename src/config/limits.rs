//! `[limits]`: rate limits of messages and requests.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::budget::{BURST_TOO_SMALL, BudgetSettings};
use super::checker::Checker;
use super::lookup::LookupSettings;
use super::{duration, network};
use crate::domain::homeservers::HomeserverPattern;
use crate::domain::rate::Rate;

/// `[limits]`. Unless noted otherwise, the database counts, so that a limit survives a
/// restart and holds across instances. A client is an IPv4 address or an IPv6 /64 network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitSettings {
    /// Networks of homeservers that pass on the requests of their users without an account
    /// (MSI-17). They have limits of their own.
    #[serde(with = "network")]
    pub delegating_homeservers: Vec<IpNet>,
    /// Emails that one client requests without an account (EML-25).
    pub email_per_client: RateSettings,
    /// Emails that one client requests with accounts (EML-25): a household or company.
    pub email_per_client_with_account: RateSettings,
    /// Emails that all accounts of the homeservers of one owner request (EML-25).
    pub email_per_homeserver: RateSettings,
    /// Emails that a homeserver of `delegating_homeservers` requests.
    pub email_per_delegating_homeserver: RateSettings,
    /// Emails to one mailbox, for those with an account and for all others each.
    pub email_per_address: RateSettings,
    /// Emails with codes and invitations in all, for all clients.
    pub email_total: RateSettings,
    /// Messages of one kind that one client without an account, or one account, requests
    /// to one address or number (EML-28).
    pub message_per_client_and_address: RateSettings,
    /// Invitations by one account (INV-23).
    pub invites_per_sender: RateSettings,
    /// Invitations by one client without an account (INV-24).
    pub invites_per_client: RateSettings,
    /// Invitations by all accounts of one homeserver (INV-23), which can create any
    /// number of accounts.
    pub invites_per_homeserver: RateSettings,
    /// Invitations by one client with accounts (INV-23); the client is often a
    /// homeserver that acts for all its users.
    pub invites_per_client_with_account: RateSettings,
    /// Invitations to one address.
    pub invites_per_address: RateSettings,
    /// Signatures of invitations for one client (SGN-10); counted in memory, per
    /// instance.
    pub signatures_per_client: RateSettings,
    /// Codes that one client submits by `POST`, for all media (OPS-03); counted in
    /// memory, per instance.
    pub submit_per_client: RateSettings,
    /// Emails that one account requests (EML-25).
    pub email_per_account: RateSettings,
    /// SMS that one client requests without an account (MSI-15).
    pub sms_per_client: RateSettings,
    /// SMS that one client requests with accounts (MSI-15): a household or company.
    pub sms_per_client_with_account: RateSettings,
    /// SMS that all accounts of the homeservers of one owner request (MSI-15).
    pub sms_per_homeserver: RateSettings,
    /// SMS that a homeserver of `delegating_homeservers` requests.
    pub sms_per_delegating_homeserver: RateSettings,
    /// SMS to one number.
    pub sms_per_number: RateSettings,
    /// SMS to all numbers of one calling code.
    pub sms_per_calling_code: RateSettings,
    /// SMS that one account requests.
    pub sms_per_account: RateSettings,
    /// SMS in a day (UTC) in all; 0 means no limit (MSI-18).
    pub sms_per_day: u32,
    /// Addresses, new ones or not, that one client looks up without an account (V1L-06);
    /// counted in memory, per instance.
    pub lookup_per_client: RateSettings,
    /// Addresses, new ones or not, that one account looks up (LKP-18); counted in memory,
    /// per instance.
    pub lookup_per_account: RateSettings,
    /// New addresses that one client looks up (LKP-18, V1L-06).
    pub new_addresses_per_client: BudgetSettings,
    /// New addresses that the accounts of one owner of homeservers look up (LKP-18).
    pub new_addresses_per_homeserver: BudgetSettings,
    /// New addresses that one account looks up (LKP-18).
    pub new_addresses_per_account: BudgetSettings,
    /// Homeservers whose accounts look up new addresses without a limit (LKP-18).
    pub trusted_homeservers: Vec<HomeserverPattern>,
    /// Binds with one validation session.
    pub bind_per_session: RateSettings,
    /// Binds by one account.
    pub bind_per_account: RateSettings,
    /// Binds by one client without an account.
    pub bind_per_client: RateSettings,
    /// Binds by one client with accounts, often a homeserver that acts for all its users.
    pub bind_per_client_with_account: RateSettings,
    /// Onbind notifications to the homeservers of one owner; counted in memory, per
    /// instance.
    pub onbind_per_homeserver: RateSettings,
    /// Accounts that one client registers (ACC-14).
    pub register_per_client: RateSettings,
    /// Registrations by one client that send a request to one homeserver.
    pub register_per_client_and_homeserver: RateSettings,
    /// Registrations that send a request to one homeserver.
    pub register_per_homeserver: RateSettings,
    /// Unbind requests from one client that are signed by a homeserver.
    pub unbind_per_client: RateSettings,
    /// Unbind requests that are signed by one homeserver and require its keys.
    pub unbind_per_homeserver: RateSettings,
}

/// For clients and homeservers that act for many users.
const MANY_MESSAGES: RateSettings = RateSettings::new(200, Duration::from_secs(5));

/// The same for SMS, which cost money.
const MANY_SMS: RateSettings = RateSettings::new(50, Duration::from_secs(30));

/// Higher than what one client may send there, so that strangers do not keep the owner
/// from validating the address, and so slow that nobody is flooded.
const PER_ADDRESS: RateSettings = RateSettings::new(20, Duration::from_mins(30));

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            delegating_homeservers: Vec::new(),
            email_per_client: RateSettings::default(),
            email_per_client_with_account: RateSettings::new(100, Duration::from_secs(20)),
            email_per_homeserver: MANY_MESSAGES,
            email_per_delegating_homeserver: MANY_MESSAGES,
            email_per_address: PER_ADDRESS,
            email_total: RateSettings::new(1000, Duration::from_secs(1)),
            message_per_client_and_address: RateSettings::new(5, Duration::from_hours(2)),
            invites_per_sender: RateSettings::default(),
            invites_per_client: RateSettings::default(),
            invites_per_homeserver: MANY_MESSAGES,
            invites_per_client_with_account: MANY_MESSAGES,
            invites_per_address: PER_ADDRESS,
            signatures_per_client: RateSettings::new(50, Duration::from_secs(10)),
            submit_per_client: RateSettings::new(200, Duration::from_secs(1)),
            email_per_account: RateSettings::default(),
            sms_per_client: RateSettings::default(),
            sms_per_client_with_account: MANY_SMS,
            sms_per_homeserver: MANY_SMS,
            sms_per_delegating_homeserver: MANY_SMS,
            sms_per_number: RateSettings::new(15, Duration::from_hours(1)),
            sms_per_calling_code: RateSettings::new(50, Duration::from_mins(1)),
            sms_per_account: RateSettings::default(),
            sms_per_day: 1000,
            lookup_per_client: RateSettings::new(20_000, Duration::from_millis(1)),
            lookup_per_account: RateSettings::new(50_000, Duration::from_millis(1)),
            new_addresses_per_client: BudgetSettings::default(),
            new_addresses_per_homeserver: BudgetSettings::default(),
            new_addresses_per_account: BudgetSettings {
                burst: 20_000,
                per_day: 10_000,
            },
            trusted_homeservers: Vec::new(),
            bind_per_session: RateSettings::new(50, Duration::from_mins(1)),
            bind_per_account: RateSettings::new(20, Duration::from_mins(1)),
            bind_per_client: RateSettings::new(60, Duration::from_secs(5)),
            bind_per_client_with_account: RateSettings::new(200, Duration::from_secs(1)),
            onbind_per_homeserver: RateSettings::new(200, Duration::from_millis(200)),
            register_per_client: RateSettings::new(30, Duration::from_secs(10)),
            register_per_client_and_homeserver: RateSettings::new(20, Duration::from_secs(30)),
            register_per_homeserver: RateSettings::new(1000, Duration::from_millis(50)),
            unbind_per_client: RateSettings::new(60, Duration::from_secs(5)),
            unbind_per_homeserver: RateSettings::new(300, Duration::from_millis(100)),
        }
    }
}

/// A token bucket: a burst, then one per interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateSettings {
    /// The size of the burst; 0 switches the limit off.
    pub burst: u32,
    /// The interval after which one more is allowed.
    #[serde(with = "duration")]
    pub every: Duration,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            burst: 5,
            every: Duration::from_mins(5),
        }
    }
}

impl RateSettings {
    const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every }
    }

    /// The rate; `None` when the limit is switched off.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        let every_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        (self.burst > 0).then_some(Rate {
            burst: self.burst,
            every_ms,
        })
    }

    fn check(&self, key: &str, checker: &mut Checker<'_>) {
        checker.range(&format!("{key}.burst"), self.burst, 0..=1_000_000);
        let (millisecond, year) = (Duration::from_millis(1), Duration::from_hours(24 * 366));
        checker.duration(&format!("{key}.every"), self.every, millisecond, year);
    }
}

const TOO_MANY_HOMESERVERS: &str = "contains every network: all clients have the limits of a \
    homeserver";

impl LimitSettings {
    /// Whether the accounts of a homeserver look up addresses without a limit.
    #[must_use]
    pub fn is_trusted(&self, homeserver: &str) -> bool {
        let mut trusted = self.trusted_homeservers.iter();
        trusted.any(|pattern| pattern.matches(homeserver))
    }

    pub(super) fn check(&self, lookup: &LookupSettings, checker: &mut Checker<'_>) {
        for (key, rate) in [
            ("limits.lookup_per_client", &self.lookup_per_client),
            ("limits.lookup_per_account", &self.lookup_per_account),
        ] {
            let burst = usize::try_from(rate.burst).unwrap_or(usize::MAX);
            if (1..lookup.max_addresses).contains(&burst) {
                checker.error(&format!("{key}.burst"), BURST_TOO_SMALL);
            }
            rate.check(key, checker);
        }
        for (name, budget) in [
            ("client", &self.new_addresses_per_client),
            ("homeserver", &self.new_addresses_per_homeserver),
            ("account", &self.new_addresses_per_account),
        ] {
            budget.check(&format!("limits.new_addresses_per_{name}"), lookup, checker);
        }
        for (name, rate) in [
            ("bind_per_session", &self.bind_per_session),
            ("bind_per_account", &self.bind_per_account),
            ("bind_per_client", &self.bind_per_client),
            (
                "bind_per_client_with_account",
                &self.bind_per_client_with_account,
            ),
            ("onbind_per_homeserver", &self.onbind_per_homeserver),
            ("register_per_client", &self.register_per_client),
            (
                "register_per_client_and_homeserver",
                &self.register_per_client_and_homeserver,
            ),
            ("register_per_homeserver", &self.register_per_homeserver),
            ("unbind_per_client", &self.unbind_per_client),
            ("unbind_per_homeserver", &self.unbind_per_homeserver),
            ("email_per_client", &self.email_per_client),
            (
                "email_per_client_with_account",
                &self.email_per_client_with_account,
            ),
            ("email_per_homeserver", &self.email_per_homeserver),
            (
                "email_per_delegating_homeserver",
                &self.email_per_delegating_homeserver,
            ),
            ("email_per_address", &self.email_per_address),
            ("email_total", &self.email_total),
            (
                "message_per_client_and_address",
                &self.message_per_client_and_address,
            ),
            ("email_per_account", &self.email_per_account),
            ("invites_per_sender", &self.invites_per_sender),
            ("invites_per_client", &self.invites_per_client),
            ("invites_per_homeserver", &self.invites_per_homeserver),
            (
                "invites_per_client_with_account",
                &self.invites_per_client_with_account,
            ),
            ("invites_per_address", &self.invites_per_address),
            ("signatures_per_client", &self.signatures_per_client),
            ("submit_per_client", &self.submit_per_client),
            ("sms_per_client", &self.sms_per_client),
            (
                "sms_per_client_with_account",
                &self.sms_per_client_with_account,
            ),
            ("sms_per_homeserver", &self.sms_per_homeserver),
            (
                "sms_per_delegating_homeserver",
                &self.sms_per_delegating_homeserver,
            ),
            ("sms_per_number", &self.sms_per_number),
            ("sms_per_calling_code", &self.sms_per_calling_code),
            ("sms_per_account", &self.sms_per_account),
        ] {
            rate.check(&format!("limits.{name}"), checker);
        }
        checker.range("limits.sms_per_day", self.sms_per_day, 0..=100_000_000);
        if self
            .delegating_homeservers
            .iter()
            .any(|network| network.prefix_len() == 0)
        {
            checker.warn("limits.delegating_homeservers", TOO_MANY_HOMESERVERS);
        }
    }
}
