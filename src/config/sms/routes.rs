//! What differs by calling code: providers, senders, and whether texts are sent
//! at all.

use std::collections::BTreeMap;

use super::{Provider, ProviderSettings, Rule};
use crate::config::checker::Checker;
use crate::domain::calling_code::ByCallingCode;
use crate::domain::originator::Originator;
use crate::domain::phone;

const WRONG_CODE: &str =
    "must be a country calling code without + or zeros in front, such as 44, or \"default\"";

/// Splits a table into what has a calling code and what is for all others.
fn by_code<T, U>(
    section: &str,
    table: &BTreeMap<String, T>,
    default: U,
    checker: &mut Checker<'_>,
    mut read: impl FnMut(&str, &T, &mut Checker<'_>) -> U,
) -> ByCallingCode<U> {
    let mut all = ByCallingCode {
        default,
        by_code: BTreeMap::new(),
    };
    for (name, written) in table {
        let key = format!("{section}.{name}");
        let code = name
            .parse()
            .ok()
            .filter(|code| phone::is_calling_code(*code));
        match code {
            _ if name == "default" => all.default = read(&key, written, checker),
            Some(code) if !name.starts_with(['0', '+']) => {
                all.by_code.insert(code, read(&key, written, checker));
            }
            _ => checker.refuse(&key, WRONG_CODE),
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
                    Err(why) => checker.refuse(&format!("{key}[{index}]"), why.to_string()),
                }
            }
            senders
        },
    )
}

/// A single provider needs no route.
pub(super) fn routes(
    table: &BTreeMap<String, Vec<String>>,
    providers: &BTreeMap<String, ProviderSettings>,
    checker: &mut Checker<'_>,
) -> ByCallingCode<Vec<String>> {
    let mut names = providers.keys();
    let only: Vec<String> = match (names.next(), names.next()) {
        (Some(only), None) => vec![only.clone()],
        _ => Vec::new(),
    };
    if only.is_empty() && !providers.is_empty() && !table.contains_key("default") {
        checker.refuse(
            "sms.routes.default",
            "is missing, since there are several providers; name the one that texts leave by, \
             such as [\"NAME\"]",
        );
    }
    by_code("sms.routes", table, only, checker, |key, route, checker| {
        if !(1..=2).contains(&route.len()) {
            checker.refuse(
                key,
                "must name one provider, or a first and a second choice",
            );
        }
        for (index, name) in route.iter().enumerate() {
            if !providers.contains_key(name) {
                let sentence = "must be the name of a provider in [sms.providers]";
                checker.refuse(&format!("{key}[{index}]"), sentence);
            }
        }
        route.clone()
    })
}

/// Expects a sender wherever a provider needs one.
pub(super) fn check_senders(
    routes: &ByCallingCode<Vec<String>>,
    originators: &ByCallingCode<Vec<Originator>>,
    providers: &BTreeMap<String, Provider>,
    checker: &mut Checker<'_>,
) {
    let needs = |name: &String| {
        let service = |provider: &Provider| matches!(provider, Provider::Twilio { messaging_service, .. } if messaging_service.is_none());
        providers.get(name).is_some_and(service)
    };
    let used = routes.values().flatten().any(needs);
    if used && originators.values().any(Vec::is_empty) {
        checker.refuse(
            "sms.originators.default",
            "is missing, since Twilio asks for a sender; give one, or messaging_service of the \
             provider",
        );
    }
}
