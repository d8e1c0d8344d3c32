//! What each request is charged to: the one list of all counters that are shared by
//! instances (EML-25, MSI-15, INV-23, INV-24, LKP-18).

use std::net::IpAddr;

use crate::app::App;
use crate::domain::counter::{Limit, Payer};
use crate::domain::email::CanonicalEmail;
use crate::domain::ids::{Mxid, ServerName};
use crate::domain::phone::PhoneNumber;
use crate::domain::rate::{Rate, client_network, networks};
use crate::domain::registrant::registrant;

/// Who makes a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requester<'a> {
    /// The IP address of the client.
    pub(super) client: Option<IpAddr>,
    /// The account of the client.
    pub(super) account: Option<&'a Mxid>,
}

/// The charges of one request, collected limit by limit.
struct Charges<'a> {
    app: &'a App,
    limits: Vec<Limit>,
}

impl<'a> Charges<'a> {
    fn new(app: &'a App) -> Self {
        let limits = Vec::new();
        Self { app, limits }
    }

    /// Charges the sender, unless there is none or the limit is switched off.
    fn add_sender(&mut self, scope: &str, name: Option<&str>, rate: Option<Rate>) {
        if let Some(name) = name {
            self.add(Payer::Sender, scope, name, rate);
        }
    }

    /// Charges the network of the client.
    fn add_client(&mut self, scope: &str, client: Option<IpAddr>, rate: Option<Rate>) {
        self.add_sender(scope, client.map(client_network).as_deref(), rate);
    }

    fn add_recipient(&mut self, scope: &str, name: &str, rate: Option<Rate>) {
        self.add(Payer::Recipient, scope, name, rate);
    }

    fn add(&mut self, payer: Payer, scope: &str, name: &str, rate: Option<Rate>) {
        if let Some(rate) = rate {
            let counted = self.app.limiters.counter_secret.key(scope, name);
            self.limits.push(Limit {
                counted,
                rate,
                payer,
            });
        }
    }
}

/// Who can have any number of homeservers like that of the user.
fn owner_of(user: &Mxid) -> Option<String> {
    let server = ServerName::parse(user.server_name()).ok()?;
    Some(registrant(&server))
}

/// An email with a code: client, account and recipient.
pub(super) fn of_email(app: &App, by: Requester<'_>, address: &CanonicalEmail) -> Vec<Limit> {
    let limits = &app.config.limits;
    let mut charges = Charges::new(app);
    let account = by.account.map(Mxid::as_str);
    charges.add_client("email-by", by.client, limits.email_per_client.rate());
    charges.add_sender("email-of", account, limits.email_per_account.rate());
    charges.add_recipient(
        "email-to",
        address.as_str(),
        limits.email_per_address.rate(),
    );
    charges.limits
}

/// An SMS: client, account, recipient and country.
pub(super) fn of_sms(app: &App, by: Requester<'_>, phone: &PhoneNumber) -> Vec<Limit> {
    let limits = &app.config.limits;
    let (number, code) = (phone.msisdn().as_str(), phone.calling_code().to_string());
    let account = by.account.map(Mxid::as_str);
    let mut charges = Charges::new(app);
    charges.add_client("sms-by", by.client, limits.sms_per_client.rate());
    charges.add_sender("sms-of", account, limits.sms_per_account.rate());
    charges.add_recipient("sms-to", number, limits.sms_per_number.rate());
    charges.add_recipient("sms-code", &code, limits.sms_per_calling_code.rate());
    charges.limits
}

/// An invite: the account, its homeserver (which can have any number of accounts) and the
/// client; on v1, where the sender is only a claim, the client alone. And the recipient.
pub(super) fn of_invite(app: &App, by: Requester<'_>, address: &CanonicalEmail) -> Vec<Limit> {
    let limits = &app.config.limits;
    let mut charges = Charges::new(app);
    if let Some(user) = by.account {
        let server = Some(user.server_name());
        let via_client = limits.invites_per_client_with_account.rate();
        let sender = Some(user.as_str());
        charges.add_sender("invite-by", sender, limits.invites_per_sender.rate());
        charges.add_sender("invite-of", server, limits.invites_per_homeserver.rate());
        charges.add_client("invite-via", by.client, via_client);
    } else {
        charges.add_client("invite-from", by.client, limits.invites_per_client.rate());
    }
    charges.add_recipient(
        "invite-to",
        address.as_str(),
        limits.invites_per_address.rate(),
    );
    charges.limits
}

/// The addresses of a lookup: the account, the owner of its homeserver, who can have any
/// number of accounts and of homeservers, and the networks of the client; nothing for an
/// account of a trusted homeserver. Without an account, an IPv6 client has one limit
/// for the whole /48: nobody needs that version of the API on many devices.
pub(super) fn of_lookup(app: &App, by: Requester<'_>) -> Vec<Limit> {
    let limits = &app.config.limits;
    let mut charges = Charges::new(app);
    let per_client = limits.new_addresses_per_client.rate();
    if let Some(user) = by.account {
        if limits.is_trusted(user.server_name()) {
            return Vec::new();
        }
        charges.add_sender(
            "lookup-of",
            Some(user.as_str()),
            limits.new_addresses_per_account.rate(),
        );
        charges.add_sender(
            "lookup-for",
            owner_of(user).as_deref(),
            limits.new_addresses_per_homeserver.rate(),
        );
        for network in by.client.map(networks).into_iter().flatten() {
            let rate = per_client.map(|rate| rate.times(network.clients));
            charges.add_sender("lookup-by", Some(&network.name), rate);
        }
    } else {
        let widest = by.client.and_then(|client| networks(client).pop());
        let name = widest.as_ref().map(|network| network.name.as_str());
        charges.add_sender("lookup-from", name, per_client);
    }
    charges.limits
}
