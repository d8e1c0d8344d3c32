//! A provider of kind `gateway`: templates for its request, and what its answer
//! means.

use super::provider::{ProviderSettings, check_url};
use super::{BodyForm, Gateway, Method, Provider, StatusRange};
use crate::config::checker::Checker;
use crate::config::secret::Secret;
use crate::config::smtp::Credentials;
use crate::domain::placeholders::{fill, has, unknown};

/// What stands for what in URL and body.
const PLACEHOLDERS: [&str; 6] = ["to", "from", "text", "id", "username", "password"];
/// In headers, whose values cannot be escaped.
const IN_HEADERS: [&str; 3] = ["id", "username", "password"];

const UNKNOWN: &str = "has a placeholder that does not exist; there are {to}, {from}, {text}, \
    {id}, {username} and {password}";
const HEADER: &str = "must be a header's value of printable characters; its placeholders are \
    {id}, {username} and {password}";
const HEADER_NAME: &str = "must be the name of a header that the program does not write itself";

pub(super) fn check(
    settings: ProviderSettings,
    key: &str,
    checker: &mut Checker<'_>,
) -> Option<Provider> {
    let at = |name: &str| format!("{key}.{name}");
    let password = settings.password(key, checker);
    let Some(url) = settings.url.clone() else {
        checker.refuse(&at("url"), "is missing; give the address that takes texts");
        return None;
    };
    // A placeholder could change where the request goes.
    let authority = url.split_once("://").map_or(&*url, |(_, rest)| rest);
    let host = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('{') {
        checker.refuse(&at("url"), "must not have a placeholder in its host");
    } else if unknown(&url, &PLACEHOLDERS).is_some() {
        checker.refuse(&at("url"), UNKNOWN);
    } else {
        let sample = fill(&url, |_name| "1".to_owned());
        check_url(&at("url"), &sample, checker);
    }
    // A request has a path, whatever the address says.
    let url = match authority.strip_prefix(host) {
        Some(rest) if rest.starts_with('?') => url.replacen('?', "/?", 1),
        _ => url.clone(),
    };
    let body = settings.body.clone().unwrap_or_default();
    check_body(&settings, &body, key, checker);
    for (name, value) in &settings.headers {
        let header = at(&format!("headers.{name}"));
        check_header(&header, name, value, checker);
    }
    let login = settings.username.clone().zip(password.clone());
    let login = login.map(|(username, password)| Credentials { username, password });
    let gateway = Gateway {
        access: settings.access(&url, login, key, checker),
        method: settings.method,
        username: settings.username.clone().unwrap_or_default(),
        password: password.unwrap_or_else(|| Secret::from(String::new())),
        headers: settings.headers.clone(),
        body_form: settings.body_form,
        body,
        accepted_statuses: statuses(
            &at("accepted_statuses"),
            &settings.accepted_statuses,
            checker,
        ),
        refused_statuses: statuses(&at("refused_statuses"), &settings.refused_statuses, checker),
        accepted_answers: settings.accepted_answers,
        refused_answers: settings.refused_answers,
    };
    Some(Provider::Gateway(Box::new(gateway)))
}

fn check_body(settings: &ProviderSettings, body: &str, key: &str, checker: &mut Checker<'_>) {
    let body_key = format!("{key}.body");
    let url = settings.url.as_deref().unwrap_or_default();
    let is_there = |name| has(body, name) || has(url, name);
    if !is_there("to") || !is_there("text") {
        let sentence = "must have the placeholders {to} and {text}, unless the URL has them";
        checker.refuse(&body_key, sentence);
    }
    if unknown(body, &PLACEHOLDERS).is_some() {
        checker.refuse(&body_key, UNKNOWN);
    }
    match settings.method {
        Method::Get if !body.is_empty() => {
            checker.refuse(
                &body_key,
                "cannot be sent by GET; put everything into the URL",
            );
        }
        Method::Get => {}
        Method::Post | Method::Put => {
            // Where a value is escaped inside of a string, any value fits.
            let sample = fill(body, |_name| "1\\\"".to_owned());
            let is_json = serde_json::from_str::<serde_json::Value>(&sample).is_ok();
            if settings.body_form == BodyForm::Json && !body.is_empty() && !is_json {
                checker.refuse(
                    &body_key,
                    "must be JSON with its placeholders inside of strings; or set body_form",
                );
            }
        }
    }
}

fn check_header(key: &str, name: &str, value: &Secret, checker: &mut Checker<'_>) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let own = ["host", "content-length", "transfer-encoding", "connection"];
    if name.is_empty()
        || !name.bytes().all(token)
        || own.contains(&name.to_ascii_lowercase().as_str())
    {
        checker.refuse(key, HEADER_NAME);
    }
    let value = value.expose();
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if !value.bytes().all(printable) || unknown(value, &IN_HEADERS).is_some() {
        checker.refuse(key, HEADER);
    }
}

fn statuses(key: &str, texts: &[String], checker: &mut Checker<'_>) -> Vec<StatusRange> {
    let mut ranges = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match StatusRange::parse(text) {
            Some(range) => ranges.push(range),
            None => checker.refuse(
                &format!("{key}[{index}]"),
                "must be a status such as \"400\" or a range such as \"200-299\"",
            ),
        }
    }
    ranges
}
