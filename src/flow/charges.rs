//! What each request is charged to: the one list of all counters that are shared by
//! instances (ACC-14, BND-01, EML-25, INV-23, INV-24, LKP-18, MSI-15, NET-20).

use std::net::IpAddr;

use super::FlowError;
use crate::actor::request_limits::ChargeRequest;
use crate::app::App;
use crate::domain::counter::{Limit, Payer, Refusal};
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::phone::PhoneNumber;
use crate::domain::rate::{Rate, client_network, is_within, networks};
use crate::domain::registrant::registrant;
use crate::domain::secret::Sid;
use crate::domain::time::end_of_day;

/// Who makes a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requester<'a> {
    /// The IP address of the client.
    pub(super) client: Option<IpAddr>,
    /// The account of the client.
    pub(super) account: Option<&'a Mxid>,
}

/// A limit of the configuration.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    /// `None` when it is switched off.
    rate: Option<Rate>,
}

/// The limit of that name.
macro_rules! setting {
    ($limits:expr, $name:ident) => {
        Setting {
            name: concat!("limits.", stringify!($name)),
            rate: $limits.$name.rate(),
        }
    };
}

/// What may be asked for messages of one kind.
struct Senders {
    client: Setting,
    client_with_account: Setting,
    delegating_homeserver: Setting,
    account: Setting,
    homeserver: Setting,
}

/// The charges of one request, collected limit by limit.
struct Charges<'a> {
    app: &'a App,
    by: Requester<'a>,
    limits: Vec<Limit>,
}

impl<'a> Charges<'a> {
    fn new(app: &'a App, by: Requester<'a>) -> Self {
        let limits = Vec::new();
        Self { app, by, limits }
    }

    fn of_client(app: &'a App, client: Option<IpAddr>) -> Self {
        let account = None;
        Self::new(app, Requester { client, account })
    }

    /// Whether the client is a homeserver that passes on the requests of its users.
    fn is_delegating(&self) -> bool {
        is_within(
            self.by.client,
            &self.app.config.limits.delegating_homeservers,
        )
    }

    /// Whether everybody who has an account there is trusted.
    fn is_trusted(&self) -> bool {
        let mut account = self.by.account.into_iter();
        account.any(|user| self.app.config.limits.is_trusted(user.server_name()))
    }

    /// Who can have any number of homeservers like that of the account, unless it is
    /// trusted.
    fn owner(&self) -> Option<String> {
        if self.is_trusted() {
            return None;
        }
        let server = ServerName::parse(self.by.account?.server_name()).ok()?;
        Some(registrant(&server))
    }

    /// Charges the sender of a message: the account, the owner of its homeserver, who can
    /// have any number of accounts and of homeservers, and the client. With an account,
    /// the client is a household or a company.
    fn add_senders(&mut self, senders: &Senders) {
        if let Some(account) = self.by.account {
            self.add(Payer::Sender, senders.account, account.as_str());
        }
        if let Some(owner) = self.owner() {
            self.add(Payer::Sender, senders.homeserver, &owner);
        }
        if self.is_delegating() {
            let client = self.by.client.map(client_network).unwrap_or_default();
            self.add(Payer::Sender, senders.delegating_homeserver, &client);
        } else if self.by.account.is_some() {
            self.add_client(Payer::Sender, senders.client_with_account, "");
        } else {
            self.add_client(Payer::Sender, senders.client, "");
        }
    }

    /// Charges the recipient: first who asked for messages to it, so that strangers do not
    /// use up what others may send there, and then the recipient itself. Requests with an
    /// account, those that a homeserver passes on and all others are counted apart:
    /// nobody without an account can keep a user from validating an address. All of it is
    /// given back for a message that is not sent. Without a limit of the recipient there is
    /// nothing that strangers could use up.
    fn add_recipient(&mut self, setting: Setting, address: &str) {
        if setting.rate.is_none() {
            return;
        }
        let limits = &self.app.config.limits;
        let first = setting!(limits, message_per_client_and_address);
        let about = format!("{} {address}", setting.name);
        let requester = if let Some(account) = self.by.account {
            let payer = Payer::Recipient;
            self.add(payer, first, &format!("{account} {about}"));
            if let Some(owner) = self.owner() {
                let who = format!("owner {owner} {about}");
                self.add(payer, first.times(PER_OWNER), &who);
            }
            "account"
        } else if self.is_delegating() {
            "homeserver"
        } else {
            self.add_client(Payer::Recipient, first, &about);
            "client"
        };
        self.add(Payer::Recipient, setting, &format!("{requester} {address}"));
    }

    /// Charges the networks of the client, together with something else.
    fn add_client(&mut self, payer: Payer, setting: Setting, other: &str) {
        for network in self.by.client.map(networks).into_iter().flatten() {
            let who = format!("{} {other}", network.name);
            self.add(payer, setting.times(network.clients), &who);
        }
    }

    /// Charges a limit, unless it is switched off.
    fn add(&mut self, payer: Payer, setting: Setting, who: &str) {
        let Setting { name, rate } = setting;
        let Some(rate) = rate else {
            return;
        };
        self.limits.push(Limit {
            name,
            counted: self.app.limiters.counter_secret.key(name, who),
            rate,
            payer,
            period_end: None,
        });
    }
}

impl Setting {
    /// The limit of so many together.
    fn times(self, number: u32) -> Self {
        Self {
            rate: self.rate.map(|rate| rate.times(number)),
            ..self
        }
    }
}

/// The users of one owner of homeservers may ask for so many times as many messages to one
/// address as one of them.
const PER_OWNER: u32 = 3;

/// The error of a message that a limit refuses, which is counted.
pub(super) fn refused(app: &App, refusal: Refusal) -> FlowError {
    app.metrics.message_refused(refusal.limit);
    FlowError::Limited(refusal)
}

/// An email with a code.
pub(super) fn of_email(app: &App, by: Requester<'_>, address: &CanonicalEmail) -> Vec<Limit> {
    let mut charges = Charges::new(app, by);
    let limits = &app.config.limits;
    charges.add_senders(&Senders {
        client: setting!(limits, email_per_client),
        client_with_account: setting!(limits, email_per_client_with_account),
        delegating_homeserver: setting!(limits, email_per_delegating_homeserver),
        account: setting!(limits, email_per_account),
        homeserver: setting!(limits, email_per_homeserver),
    });
    charges.add_recipient(setting!(limits, email_per_address), &address.mailbox());
    charges.add(Payer::Recipient, setting!(limits, email_total), "");
    charges.limits
}

/// An SMS.
pub(super) fn of_sms(app: &App, by: Requester<'_>, phone: &PhoneNumber) -> Vec<Limit> {
    let mut charges = Charges::new(app, by);
    let limits = &app.config.limits;
    charges.add_senders(&Senders {
        client: setting!(limits, sms_per_client),
        client_with_account: setting!(limits, sms_per_client_with_account),
        delegating_homeserver: setting!(limits, sms_per_delegating_homeserver),
        account: setting!(limits, sms_per_account),
        homeserver: setting!(limits, sms_per_homeserver),
    });
    charges.add_recipient(setting!(limits, sms_per_number), phone.msisdn().as_str());
    let code = phone.calling_code().to_string();
    charges.add(
        Payer::Recipient,
        setting!(limits, sms_per_calling_code),
        &code,
    );
    charges.limits.extend(sms_budget(app));
    charges.limits
}

/// The budget of all SMS of this day (UTC); `None` when it is switched off.
pub(super) fn sms_budget(app: &App) -> Option<Limit> {
    let name = "limits.sms_per_day";
    let end = end_of_day(app.clock.now()).as_i64();
    let burst = app.config.limits.sms_per_day;
    (burst > 0).then(|| Limit {
        name,
        counted: app.limiters.counter_secret.key(name, &end.to_string()),
        rate: Rate { burst, every_ms: 1 },
        payer: Payer::Recipient,
        period_end: Some(end),
    })
}

/// An invite. On v1 the sender is only a claim, so that the client alone counts.
pub(super) fn of_invite(app: &App, by: Requester<'_>, address: &CanonicalEmail) -> Vec<Limit> {
    let mut charges = Charges::new(app, by);
    let limits = &app.config.limits;
    charges.add_senders(&Senders {
        client: setting!(limits, invites_per_client),
        client_with_account: setting!(limits, invites_per_client_with_account),
        delegating_homeserver: setting!(limits, invites_per_client_with_account),
        account: setting!(limits, invites_per_sender),
        homeserver: setting!(limits, invites_per_homeserver),
    });
    charges.add_recipient(setting!(limits, invites_per_address), &address.mailbox());
    charges.add(Payer::Recipient, setting!(limits, email_total), "");
    charges.limits
}

/// The addresses of a lookup: the account, the owner of its homeserver and the networks of
/// the client; nothing for an account of a trusted homeserver. Without an account, an IPv6
/// client has one limit for the whole /48: nobody needs that version of the API on many
/// devices.
pub(super) fn of_lookup(app: &App, by: Requester<'_>) -> Vec<Limit> {
    let mut charges = Charges::new(app, by);
    let limits = &app.config.limits;
    let per_client = setting!(limits, new_addresses_per_client);
    let Some(user) = by.account else {
        let mut networks = by.client.map(networks).unwrap_or_default();
        if networks.len() > 1
            && let Some(widest) = networks.pop()
        {
            let who = format!("v1 {}", widest.name);
            charges.add(Payer::Sender, per_client, &who);
        }
        // Nobody gets more by using both versions.
        charges.add_client(Payer::Sender, per_client, "");
        return charges.limits;
    };
    if charges.is_trusted() {
        return Vec::new();
    }
    let per_account = setting!(limits, new_addresses_per_account);
    charges.add(Payer::Sender, per_account, user.as_str());
    if let Some(owner) = charges.owner() {
        let per_homeserver = setting!(limits, new_addresses_per_homeserver);
        charges.add(Payer::Sender, per_homeserver, &owner);
    }
    charges.add_client(Payer::Sender, per_client, "");
    charges.limits
}

/// A bind: the session, the account and the networks of the client. A homeserver that
/// passes on the requests of its users counts as a client with an account.
pub(super) fn of_bind(app: &App, by: Requester<'_>, sid: &Sid) -> Vec<Limit> {
    let mut charges = Charges::new(app, by);
    let limits = &app.config.limits;
    let per_session = setting!(limits, bind_per_session);
    charges.add(Payer::Sender, per_session, sid.expose());
    if let Some(account) = by.account {
        let per_account = setting!(limits, bind_per_account);
        charges.add(Payer::Sender, per_account, account.as_str());
    }
    let per_client = if by.account.is_some() || charges.is_delegating() {
        setting!(limits, bind_per_client_with_account)
    } else {
        setting!(limits, bind_per_client)
    };
    charges.add_client(Payer::Sender, per_client, "");
    charges.limits
}

/// A registration. All ports of a host count together, because its owner can use any of
/// them.
pub(super) fn of_registration(
    app: &App,
    client: Option<IpAddr>,
    homeserver: &ServerName,
) -> Vec<Limit> {
    let mut charges = Charges::of_client(app, client);
    let (limits, host) = (&app.config.limits, homeserver.host().to_ascii_lowercase());
    charges.add_client(Payer::Sender, setting!(limits, register_per_client), "");
    let both = setting!(limits, register_per_client_and_homeserver);
    charges.add_client(Payer::Sender, both, &host);
    let per_homeserver = setting!(limits, register_per_homeserver);
    charges.add(Payer::Sender, per_homeserver, &host);
    charges.limits
}

/// A request for the keys of a homeserver that has signed a request to unbind.
pub(super) fn of_signed_unbind(
    app: &App,
    client: Option<IpAddr>,
    homeserver: &ServerName,
) -> Vec<Limit> {
    let mut charges = Charges::of_client(app, client);
    let (limits, host) = (&app.config.limits, homeserver.host().to_ascii_lowercase());
    charges.add_client(Payer::Sender, setting!(limits, unbind_per_client), "");
    let per_homeserver = setting!(limits, unbind_per_homeserver);
    charges.add(Payer::Sender, per_homeserver, &host);
    charges.limits
}

/// Charges a request that makes this server call a homeserver, before it does. Otherwise
/// clients that hang up, or whose homeserver refuses, would cause any number of calls.
pub(super) async fn charge(app: &App, limits: Vec<Limit>) -> Result<(), FlowError> {
    if limits.is_empty() {
        return Ok(());
    }
    let now = app.clock.now().as_i64();
    let charged = app.sessions.send(ChargeRequest { limits, now }).await?;
    charged.map_err(FlowError::Limited)
}
