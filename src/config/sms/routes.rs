//! Checks the tables by calling code: providers, senders, and whether SMS are sent.

use std::collections::BTreeMap;

use super::checked::{Provider, Rule};
use super::provider_settings::ProviderSettings;
use crate::config::checker::Checker;
use crate::domain::calling_code::ByCallingCode;
use crate::domain::originator::Originator;
use crate::domain::phone;

const NOT_A_CODE: &str = "must have a country calling code without + or leading zeros as its key, \
    such as 44, or \"default\"";
const ROUTE_MISSING: &str = "is missing: with several providers, set the one to use, such as \
    [\"NAME\"]";
const ROUTE_LENGTH: &str = "must contain one provider, or a first and a second choice";
const NOT_A_PROVIDER: &str = "must be the name of a provider in [sms.providers]";
const SENDER_MISSING: &str = "is required: Twilio needs a sender; set it, or messaging_service of \
    the provider";

/// Splits a table into the entries of calling codes and the default for all others.
fn by_code<T, U>(
    section: &str,
    table: &BTreeMap<String, T>,
    default: U,
    checker: &mut Checker<'_>,
    mut check: impl FnMut(&str, &T, &mut Checker<'_>) -> U,
) -> ByCallingCode<U> {
    let mut all = ByCallingCode {
        default,
        by_code: BTreeMap::new(),
    };
    for (name, value) in table {
        let key = format!("{section}.{name}");
        let code = name
            .parse()
            .ok()
            .filter(|code| phone::is_calling_code(*code));
        match code {
            _ if name == "default" => all.default = check(&key, value, checker),
            Some(code) if !name.starts_with(['0', '+']) => {
                all.by_code.insert(code, check(&key, value, checker));
            }
            _ => checker.error(&key, NOT_A_CODE),
        }
    }
    all
}

pub(super) fn rules(
    table: &BTreeMap<String, Rule>,
    checker: &mut Checker<'_>,
) -> ByCallingCode<Rule> {
    by_code("sms.rules", table, Rule::Allow, checker, |_, rule, _| *rule)
}

pub(super) fn originators(
    table: &BTreeMap<String, Vec<String>>,
    checker: &mut Checker<'_>,
) -> ByCallingCode<Vec<Originator>> {
    by_code(
        "sms.originators",
        table,
        Vec::new(),
        checker,
        |key, texts, checker| {
            let mut senders = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                match Originator::parse(text) {
                    Ok(sender) => senders.push(sender),
                    Err(error) => checker.error(&format!("{key}[{index}]"), error.to_string()),
                }
            }
            senders
        },
    )
}

/// The routes; a single provider needs none.
pub(super) fn routes(
    table: &BTreeMap<String, Vec<String>>,
    providers: &BTreeMap<String, ProviderSettings>,
    checker: &mut Checker<'_>,
) -> ByCallingCode<Vec<String>> {
    let mut names = providers.keys();
    let default: Vec<String> = match (names.next(), names.next()) {
        (Some(only), None) => vec![only.clone()],
        _ => Vec::new(),
    };
    if default.is_empty() && !providers.is_empty() && !table.contains_key("default") {
        checker.error("sms.routes.default", ROUTE_MISSING);
    }
    by_code(
        "sms.routes",
        table,
        default,
        checker,
        |key, route, checker| {
            if !(1..=2).contains(&route.len()) {
                checker.error(key, ROUTE_LENGTH);
            }
            for (index, name) in route.iter().enumerate() {
                if !providers.contains_key(name) {
                    checker.error(&format!("{key}[{index}]"), NOT_A_PROVIDER);
                }
            }
            route.clone()
        },
    )
}

/// Checks that every number has a sender if a used provider requires one.
pub(super) fn check_senders(
    routes: &ByCallingCode<Vec<String>>,
    originators: &ByCallingCode<Vec<Originator>>,
    providers: &BTreeMap<String, Provider>,
    checker: &mut Checker<'_>,
) {
    let needs_sender = |name: &String| {
        matches!(
            providers.get(name),
            Some(Provider::Twilio {
                messaging_service: None,
                ..
            })
        )
    };
    let is_required = routes.values().flatten().any(needs_sender);
    if is_required && originators.values().any(Vec::is_empty) {
        checker.error("sms.originators.default", SENDER_MISSING);
    }
}
