//! `[limits]`: how often messages are sent on behalf of somebody or to
//! somebody, and how much may be asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::lookup::LookupSettings;
use super::period;
use crate::domain::rate::Rate;

/// `[limits]`. Messages are counted in the database: that survives a restart and
/// holds across instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitSettings {
    /// Mails that one client, known by its IP address, may have sent (EML-25).
    pub email_per_client: RateSettings,
    /// Mails that may be sent to one address, whoever asks.
    pub email_per_address: RateSettings,
    /// Invitations that one account may have sent (INV-23).
    pub invites_per_sender: RateSettings,
    /// Invitations that one client may have sent without an account (INV-24).
    pub invites_per_client: RateSettings,
    /// Invitations that all accounts of one homeserver together may have sent
    /// (INV-23): a homeserver makes accounts as it likes.
    pub invites_per_homeserver: RateSettings,
    /// Invitations that one client may have sent on behalf of accounts (INV-23);
    /// often it is a homeserver that asks for all of its users.
    pub invites_per_client_with_account: RateSettings,
    /// Invitations that may be sent to one address, whoever asks.
    pub invites_per_address: RateSettings,
    /// Invitations that one client may sign (SGN-10); counted in memory, by each
    /// instance.
    pub signatures_per_client: RateSettings,
    /// Codes that one client may submit by `POST` for its sessions of all media
    /// (OPS-03); counted in memory, by each instance.
    pub submit_per_client: RateSettings,
    /// Mails that one account may have sent (EML-25).
    pub email_per_account: RateSettings,
    /// Texts that one client, known by its IP address, may have sent (MSI-15).
    pub sms_per_client: RateSettings,
    /// Texts that may be sent to one number, whoever asks.
    pub sms_per_number: RateSettings,
    /// Texts that may be sent to all numbers of one calling code together.
    pub sms_per_calling_code: RateSettings,
    /// Texts that one account may have sent.
    pub sms_per_account: RateSettings,
    /// Addresses that one client may look up without an account (V1L-06);
    /// counted in memory, by each instance.
    pub lookup_per_client: RateSettings,
    /// Addresses that one account may look up (LKP-18); counted in memory, by
    /// each instance.
    pub lookup_per_account: RateSettings,
    /// Accounts that one client may register (ACC-14); counted in memory, by each
    /// instance.
    pub register_per_client: RateSettings,
    /// Registrations of one client for which one homeserver is asked who its user
    /// is; counted in memory, by each instance.
    pub register_per_client_and_homeserver: RateSettings,
    /// Registrations for which one homeserver is asked who its user is; counted in
    /// memory, by each instance.
    pub register_per_homeserver: RateSettings,
    /// Requests to unbind, signed by a homeserver, from one client; counted in
    /// memory, by each instance.
    pub unbind_per_client: RateSettings,
    /// The same in the name of one homeserver, whose keys are asked for.
    pub unbind_per_homeserver: RateSettings,
}

/// For those who ask on behalf of many people.
const MANY_INVITES: RateSettings = RateSettings {
    burst: 200,
    every: Duration::from_secs(5),
};

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            email_per_client: RateSettings::default(),
            email_per_address: RateSettings::default(),
            invites_per_sender: RateSettings::default(),
            invites_per_client: RateSettings::default(),
            invites_per_homeserver: MANY_INVITES,
            invites_per_client_with_account: MANY_INVITES,
            invites_per_address: RateSettings::default(),
            signatures_per_client: RateSettings {
                burst: 50,
                every: Duration::from_secs(10),
            },
            submit_per_client: RateSettings {
                burst: 200,
                every: Duration::from_secs(1),
            },
            email_per_account: RateSettings::default(),
            sms_per_client: RateSettings::default(),
            sms_per_number: RateSettings {
                burst: 5,
                every: Duration::from_hours(1),
            },
            sms_per_calling_code: RateSettings {
                burst: 50,
                every: Duration::from_mins(1),
            },
            sms_per_account: RateSettings::default(),
            lookup_per_client: RateSettings {
                burst: 20_000,
                every: Duration::from_millis(1),
            },
            lookup_per_account: RateSettings {
                burst: 20_000,
                every: Duration::from_millis(10),
            },
            register_per_client: RateSettings {
                burst: 30,
                every: Duration::from_secs(10),
            },
            register_per_client_and_homeserver: RateSettings {
                burst: 20,
                every: Duration::from_secs(30),
            },
            register_per_homeserver: RateSettings {
                burst: 1000,
                every: Duration::from_millis(50),
            },
            unbind_per_client: RateSettings {
                burst: 60,
                every: Duration::from_secs(5),
            },
            unbind_per_homeserver: RateSettings {
                burst: 300,
                every: Duration::from_millis(100),
            },
        }
    }
}

/// A burst, then one per interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateSettings {
    /// How many at once; 0 switches the limit off.
    pub burst: u32,
    /// After how long one more is free.
    #[serde(with = "period")]
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
    /// The rule; `None` when it is switched off.
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
        let (least, most) = (Duration::from_millis(1), Duration::from_hours(24 * 366));
        checker.period(&format!("{key}.every"), self.every, least, most);
    }
}

impl LimitSettings {
    pub(super) fn check(&self, lookup: &LookupSettings, checker: &mut Checker<'_>) {
        for (key, rate) in [
            ("limits.lookup_per_client", &self.lookup_per_client),
            ("limits.lookup_per_account", &self.lookup_per_account),
        ] {
            let burst = usize::try_from(rate.burst).unwrap_or(usize::MAX);
            if (1..lookup.max_addresses).contains(&burst) {
                checker.refuse(&format!("{key}.burst"), TOO_FEW);
            }
            rate.check(key, checker);
        }
        for (name, rate) in [
            ("register_per_client", &self.register_per_client),
            (
                "register_per_client_and_homeserver",
                &self.register_per_client_and_homeserver,
            ),
            ("register_per_homeserver", &self.register_per_homeserver),
            ("unbind_per_client", &self.unbind_per_client),
            ("unbind_per_homeserver", &self.unbind_per_homeserver),
            ("email_per_client", &self.email_per_client),
            ("email_per_address", &self.email_per_address),
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
            ("sms_per_number", &self.sms_per_number),
            ("sms_per_calling_code", &self.sms_per_calling_code),
            ("sms_per_account", &self.sms_per_account),
        ] {
            rate.check(&format!("limits.{name}"), checker);
        }
    }
}

const TOO_FEW: &str = "must be at least lookup.max_addresses, or a look-up of so many addresses \
    could never be answered; 0 switches the limit off";
