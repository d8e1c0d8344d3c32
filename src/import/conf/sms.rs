//! `[sms]`: what texts say, by whom they leave, and where to.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::invites::Limit;
use super::reading::Reading;
use crate::domain::originator::Originator;
use crate::domain::phone::is_calling_code;

pub(super) fn convert(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let body = reading.get("sms", "bodytemplate")?;
    // In Python doubled braces stand for single ones.
    let text = body.text.replace("{{", "{").replace("}}", "}");
    draft.set("sms", "body", text, &body);
    provider(reading, draft)?;
    originators(reading, draft)?;
    rules(reading, draft)?;
    for limit in LIMITS {
        limit.convert(reading, draft)?;
    }
    Ok(())
}

const LIMITS: [Limit; 2] = [
    Limit {
        table: "limits.sms_per_number",
        section: "sms",
        prefix: "msisdn.ratelimit",
        burst: 5,
        every_ms: 3_600_000,
    },
    Limit {
        table: "limits.sms_per_calling_code",
        section: "sms",
        prefix: "country.ratelimit",
        burst: 50,
        every_ms: 60_000,
    },
];

/// Sydent knows one provider, and asks it also without a login, in vain.
fn provider(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    const TABLE: &str = "sms.providers.openmarket";
    let username = reading.get("sms", "username")?;
    let password = reading.get("sms", "password")?;
    if username.text.is_empty() || password.text.is_empty() {
        for one in [&username, &password] {
            if !one.text.is_empty() {
                draft.without(one, "a login has a user name and a password");
            }
        }
        return Ok(());
    }
    draft.set_because(
        TABLE,
        "kind",
        "openmarket",
        "Sydent knows no other provider",
    );
    draft.set(TABLE, "username", username.text.clone(), &username);
    draft.set(TABLE, "password", password.text.clone(), &password);
    draft.is_secret = true;
    Ok(())
}

fn originators(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    const TABLE: &str = "sms.originators";
    let mut has_default = false;
    for (code, key) in by_country(reading, "originators.") {
        let given = reading.get("sms", key)?;
        if code != "default" && !is_code(code) {
            draft.without(&given, "numbers of no country begin so");
            continue;
        }
        let mut senders = Vec::new();
        for text in given.listed() {
            match Originator::parse(text) {
                Ok(_) => senders.push(text.to_owned()),
                Err(sentence) => draft.remark(format!(
                    "sms.originators.{code} is without a sender of {}, which {sentence}.",
                    given.from
                )),
            }
        }
        if senders.is_empty() {
            return Err(given.wrong("names no sender that texts can come from"));
        }
        has_default |= code == "default";
        draft.set(TABLE, code, senders, &given);
    }
    if !has_default {
        let comment = "[sms] originators.default (Sydent's default)";
        draft.set_because(TABLE, "default", vec!["alpha:Matrix"], comment);
    }
    Ok(())
}

fn rules(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    for (code, key) in by_country(reading, "smsrule.") {
        let given = reading.get("sms", key)?;
        if !["allow", "reject"].contains(&given.text.as_str()) {
            return Err(given.wrong("must be allow or reject"));
        }
        if is_code(code) {
            draft.set("sms.rules", code, given.text.clone(), &given);
        } else {
            draft.without(
                &given,
                "numbers of no country begin so, and in Sydent there is no other rule",
            );
        }
    }
    Ok(())
}

/// Each such key, with the country that it is for.
fn by_country<'a>(
    reading: &'a Reading,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let keys = reading.keys("sms").into_iter();
    keys.filter_map(move |key| {
        let rest = key.strip_prefix(prefix)?;
        Some((rest.split('.').next()?, key))
    })
}

fn is_code(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse().is_ok_and(is_calling_code)
}
