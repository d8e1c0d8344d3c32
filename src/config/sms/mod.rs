//! `[sms]`: the content, providers and routes of SMS.

mod checked;
mod gateway;
mod provider;
mod provider_settings;
mod routes;
mod url;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use checked::{Access, BodyForm, Gateway, Method, Provider, Rule, Sms, StatusRange};
pub use provider_settings::{ProviderKind, ProviderSettings};

use super::checker::Checker;
use crate::domain::placeholders;

/// `[sms]` as set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmsSettings {
    /// The content, with the placeholders `{token}` and `{valid_for}`.
    pub body: String,
    /// The maximum number of SMS in delivery at the same time.
    pub concurrency: usize,
    /// `[sms.providers.NAME]`.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// By calling code, or `default`: the providers to use, the first choice first.
    pub routes: BTreeMap<String, Vec<String>>,
    /// By calling code, or `default`: the senders.
    pub originators: BTreeMap<String, Vec<String>>,
    /// By calling code, or `default`: whether SMS are sent.
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

/// The maximum length of an SMS in characters: about four concatenated messages.
const MAX_BODY: usize = 600;

const NO_PROVIDERS: &str = "contains no providers: the server sends no SMS, so nobody can validate \
    a phone number";
const BODY: &str = "must be at most 600 characters long, contain the placeholder {token} and no \
    other except {valid_for}, and no control characters except \\n";

impl SmsSettings {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Sms> {
        let before = checker.problems.len();
        checker.range("sms.concurrency", self.concurrency, 1..=1000);
        let is_forbidden = |c: char| c.is_control() && c != '\n';
        if !placeholders::has(&self.body, "token")
            || placeholders::unknown(&self.body, &["token", "valid_for"]).is_some()
            || self.body.chars().any(is_forbidden)
            || self.body.chars().count() > MAX_BODY
        {
            checker.error("sms.body", BODY);
        }
        if self.providers.is_empty() {
            checker.warn("sms.providers", NO_PROVIDERS);
        }
        let originators = routes::originators(&self.originators, checker);
        let routes = routes::routes(&self.routes, &self.providers, checker);
        let rules = routes::rules(&self.rules, checker);
        // Checks all of them, even if one has a problem.
        let results: Vec<_> = self
            .providers
            .into_iter()
            .map(|(name, settings)| {
                let key = format!("sms.providers.{name}");
                provider::check(settings, &key, checker).map(|provider| (name, provider))
            })
            .collect();
        let providers: Option<BTreeMap<_, _>> = results.into_iter().collect();
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
