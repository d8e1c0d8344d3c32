//! `[sms]`: the text, the provider, the senders, and the rules by calling code.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::limits::Limit;
use super::sydent_settings::SydentSettings;
use crate::domain::originator::Originator;
use crate::domain::phone::is_calling_code;

pub(super) fn convert(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let body = sydent.get("sms", "bodytemplate")?;
    // Python's `format` takes doubled braces as single ones.
    let text = body.value.replace("{{", "{").replace("}}", "}");
    draft.set("sms", "body", text, &body);
    convert_provider(sydent, draft)?;
    convert_originators(sydent, draft)?;
    convert_rules(sydent, draft)?;
    for limit in LIMITS {
        limit.convert(sydent, draft)?;
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

/// Sydent has only one provider, which rejects its requests if there is no login.
fn convert_provider(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    const TABLE: &str = "sms.providers.openmarket";
    let username = sydent.get("sms", "username")?;
    let password = sydent.get("sms", "password")?;
    if username.value.is_empty() || password.value.is_empty() {
        for setting in [&username, &password] {
            if !setting.value.is_empty() {
                draft.add_unsupported(
                    setting,
                    "has no effect unless both user name and password are set",
                );
            }
        }
        return Ok(());
    }
    draft.set_with_comment(
        TABLE,
        "kind",
        "openmarket",
        "the only provider that Sydent has",
    );
    draft.set(TABLE, "username", username.value.clone(), &username);
    draft.set(TABLE, "password", password.value.clone(), &password);
    draft.is_secret = true;
    Ok(())
}

fn convert_originators(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    const TABLE: &str = "sms.originators";
    let mut has_default = false;
    for (code, key) in keys_by_calling_code(sydent, "originators.") {
        let setting = sydent.get("sms", key)?;
        if code != "default" && !is_code(code) {
            draft.add_unsupported(&setting, "not a calling code");
            continue;
        }
        let mut senders = Vec::new();
        for text in setting.items() {
            match Originator::parse(text) {
                Ok(_) => senders.push(text.to_owned()),
                Err(problem) => draft.add_remark(format!(
                    "sms.originators.{code} leaves out a sender of {}: it {problem}.",
                    setting.origin
                )),
            }
        }
        if senders.is_empty() {
            return Err(setting.error("has no valid sender"));
        }
        has_default |= code == "default";
        draft.set(TABLE, code, senders, &setting);
    }
    if !has_default {
        let comment = "[sms] originators.default (Sydent's default)";
        draft.set_with_comment(TABLE, "default", vec!["alpha:Matrix"], comment);
    }
    Ok(())
}

fn convert_rules(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    for (code, key) in keys_by_calling_code(sydent, "smsrule.") {
        let setting = sydent.get("sms", key)?;
        if !["allow", "reject"].contains(&setting.value.as_str()) {
            return Err(setting.error("must be allow or reject"));
        }
        if is_code(code) {
            draft.set("sms.rules", code, setting.value.clone(), &setting);
        } else {
            draft.add_unsupported(
                &setting,
                "not a calling code, so it has no effect in Sydent either",
            );
        }
    }
    Ok(())
}

/// The keys that begin with `prefix`, each with its calling code.
fn keys_by_calling_code<'a>(
    sydent: &'a SydentSettings,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    sydent.keys("sms").into_iter().filter_map(move |key| {
        let rest = key.strip_prefix(prefix)?;
        Some((rest.split('.').next()?, key))
    })
}

fn is_code(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse().is_ok_and(is_calling_code)
}
