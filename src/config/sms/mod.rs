//! `[sms]`: what texts say, and by which providers they leave.

mod checked;
mod gateway;
mod provider;
mod routes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use checked::{Access, BodyForm, Gateway, Method, Provider, Sms, StatusRange};
pub use provider::{ProviderKind, ProviderSettings};

use super::checker::Checker;
use crate::domain::placeholders;

/// `[sms]` as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmsSettings {
    /// The text, with the placeholders `{token}` and `{valid_for}`.
    pub body: String,
    /// Texts in delivery at once.
    pub concurrency: usize,
    /// `[sms.providers.NAME]`.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// By calling code, or `default`: the providers in the order in which they
    /// are tried.
    pub routes: BTreeMap<String, Vec<String>>,
    /// By calling code, or `default`: the senders.
    pub originators: BTreeMap<String, Vec<String>>,
    /// By calling code, or `default`: whether texts are sent there.
    pub rules: BTreeMap<String, Rule>,
}

impl Default for SmsSettings {
    fn default() -> Self {
        Self {
            body: "{token} is your code to confirm this phone number. Do not share it with anyone."
                .to_owned(),
            concurrency: 10,
            providers: BTreeMap::new(),
            routes: BTreeMap::new(),
            originators: BTreeMap::new(),
            rules: BTreeMap::new(),
        }
    }
}

/// Whether texts are sent to the numbers of a calling code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// They are.
    Allow,
    /// They are not: `M_DESTINATION_REJECTED` (MSI-11).
    Reject,
}

/// What a text may be long: four messages that are sent as one.
const LONGEST_BODY: usize = 600;

const NO_TEXTS: &str = "names none: no text can be sent, so nobody can validate a phone number";
const BODY: &str = "must be a text of at most 600 characters with the placeholder {token}, and \
    perhaps {valid_for}; write \\n where a line ends";

impl SmsSettings {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Sms> {
        let before = checker.problems.len();
        checker.range("sms.concurrency", self.concurrency, 1..=1000);
        let odd = |c: char| c.is_control() && c != '\n';
        if !placeholders::has(&self.body, "token")
            || placeholders::unknown(&self.body, &["token", "valid_for"]).is_some()
            || self.body.chars().any(odd)
            || self.body.chars().count() > LONGEST_BODY
        {
            checker.refuse("sms.body", BODY);
        }
        if self.providers.is_empty() {
            checker.warn("sms.providers", NO_TEXTS);
        }
        let originators = routes::originators(&self.originators, checker);
        let routes = routes::routes(&self.routes, &self.providers, checker);
        let rules = routes::rules(&self.rules, checker);
        let ways: Vec<_> = self
            .providers
            .into_iter()
            .map(|(name, provider)| {
                let key = format!("sms.providers.{name}");
                provider.check(&key, checker).map(|way| (name, way))
            })
            .collect();
        let providers: Option<BTreeMap<_, _>> = ways.into_iter().collect();
        if let Some(providers) = &providers {
            routes::check_senders(&routes, &originators, providers, checker);
        }
        (checker.problems.len() == before).then_some(Sms {
            body: self.body,
            concurrency: self.concurrency,
            providers: providers?,
            routes,
            originators,
            rules,
        })
    }
}
