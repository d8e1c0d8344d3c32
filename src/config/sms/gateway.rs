//! Checks a provider of kind `gateway`: the templates of its request, and the meaning of
//! its responses.

use super::checked::{BodyForm, Gateway, Method, Provider, StatusRange};
use super::provider_settings::ProviderSettings;
use super::url::check_url;
use crate::config::checker::Checker;
use crate::config::secret::{Credentials, Secret};
use crate::domain::placeholders::{fill, has, unknown};

/// The placeholders in URL and body.
const PLACEHOLDERS: [&str; 6] = ["to", "from", "text", "id", "username", "password"];
/// The placeholders in headers, whose values cannot be escaped.
const HEADER_PLACEHOLDERS: [&str; 3] = ["id", "username", "password"];

const URL_MISSING: &str = "is missing: set the URL that SMS are sent to";
const HOST_PLACEHOLDER: &str = "must not contain a placeholder in the host";
const UNKNOWN: &str = "contains an unknown placeholder; supported are {to}, {from}, {text}, {id}, \
    {username} and {password}";
const TO_AND_TEXT: &str = "must contain the placeholders {to} and {text}, unless the URL does";
const BODY_WITH_GET: &str =
    "has no effect with method = \"GET\"; put the placeholders into the URL";
const NOT_JSON: &str = "must be JSON with placeholders only inside strings, or set body_form = \
    \"form\"";
const HEADER: &str = "must contain only printable ASCII characters, and no placeholders except \
    {id}, {username} and {password}";
const HEADER_NAME: &str = "is not a header that can be set";
const STATUS: &str = "must be a status such as \"400\" or a range such as \"200-299\"";

pub(super) fn check(
    settings: ProviderSettings,
    key: &str,
    checker: &mut Checker<'_>,
) -> Option<Provider> {
    let at = |name: &str| format!("{key}.{name}");
    let password = settings.password(key, checker);
    let Some(url) = settings.url.clone() else {
        checker.error(&at("url"), URL_MISSING);
        return None;
    };
    let url = check_template(&at("url"), url, checker);
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

/// Checks a URL with placeholders; returns it with a path.
fn check_template(key: &str, url: String, checker: &mut Checker<'_>) -> String {
    let authority_and_path = url.split_once("://").map_or(&*url, |(_, rest)| rest);
    let authority = authority_and_path
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    if authority.contains('{') {
        // It could redirect the request to another host.
        checker.error(key, HOST_PLACEHOLDER);
    } else if unknown(&url, &PLACEHOLDERS).is_some() {
        checker.error(key, UNKNOWN);
    } else {
        let sample = fill(&url, |_name| "1".to_owned());
        check_url(key, &sample, checker);
    }
    match authority_and_path.strip_prefix(authority) {
        Some(rest) if rest.starts_with('?') => url.replacen('?', "/?", 1),
        _ => url,
    }
}

fn check_body(settings: &ProviderSettings, body: &str, key: &str, checker: &mut Checker<'_>) {
    let body_key = format!("{key}.body");
    let url = settings.url.as_deref().unwrap_or_default();
    let is_used = |name| has(body, name) || has(url, name);
    if !is_used("to") || !is_used("text") {
        checker.error(&body_key, TO_AND_TEXT);
    }
    if unknown(body, &PLACEHOLDERS).is_some() {
        checker.error(&body_key, UNKNOWN);
    }
    match settings.method {
        Method::Get if !body.is_empty() => {
            checker.error(&body_key, BODY_WITH_GET);
        }
        Method::Get => {}
        Method::Post | Method::Put => {
            // An escaped quote is valid only inside a string.
            let sample = fill(body, |_name| "1\\\"".to_owned());
            let is_json = serde_json::from_str::<serde_json::Value>(&sample).is_ok();
            if settings.body_form == BodyForm::Json && !body.is_empty() && !is_json {
                checker.error(&body_key, NOT_JSON);
            }
        }
    }
}

fn check_header(key: &str, name: &str, value: &Secret, checker: &mut Checker<'_>) {
    // The HTTP client sets these itself.
    const RESERVED: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty()
        || !name.bytes().all(is_allowed)
        || RESERVED.contains(&name.to_ascii_lowercase().as_str())
    {
        checker.error(key, HEADER_NAME);
    }
    let value = value.expose();
    let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
    if !value.bytes().all(is_printable) || unknown(value, &HEADER_PLACEHOLDERS).is_some() {
        checker.error(key, HEADER);
    }
}

fn statuses(key: &str, texts: &[String], checker: &mut Checker<'_>) -> Vec<StatusRange> {
    let mut ranges = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match StatusRange::parse(text) {
            Some(range) => ranges.push(range),
            None => checker.error(&format!("{key}[{index}]"), STATUS),
        }
    }
    ranges
}
