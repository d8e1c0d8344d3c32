//! Invitations, which `[email]` and `[general]` configure.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::limits::Limit;
use super::percent_format::{INVALID_PERCENT, Token, tokens};
use super::sydent_settings::{Setting, SydentSettings};
use crate::domain::homeservers::HomeserverPattern;
use crate::domain::invite::RoomId;

const TABLE: &str = "invites";

/// Only this limit has a counterpart in Sydent; the others keep this server's defaults.
const LIMIT: Limit = Limit {
    table: "limits.invites_per_sender",
    section: "email",
    prefix: "email.ratelimit_sender",
    burst: 5,
    every_ms: 300_000,
};

pub(super) fn convert(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    convert_obfuscation(sydent, draft)?;
    let client = sydent.get("email", "email.default_web_client_location")?;
    draft.set(TABLE, "web_client", client.value.clone(), &client);
    for (key, new_key) in [
        ("email.invite.subject", "subject_room"),
        ("email.invite.subject_space", "subject_space"),
    ] {
        if let Some(subject) = sydent.get_raw("email", key)? {
            draft.set(TABLE, new_key, subject_template(&subject)?, &subject);
        }
    }
    let delete = sydent.get("general", "delete_tokens_on_bind")?;
    draft.set(TABLE, "keep_delivered", !delete.is_true(), &delete);
    convert_blocklists(sydent, draft)?;
    LIMIT.convert(sydent, draft)
}

/// Converts how many characters of an invited address are shown.
fn convert_obfuscation(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    for (part, new_key, max) in [
        ("username", "show_local_part", 64),
        ("domain", "show_domain", 255),
    ] {
        let key = format!("email.third_party_invite_{part}_obfuscate_characters");
        let setting = sydent.get("email", &key)?;
        let value = setting.as_int()?;
        let shown = value.clamp(0, max);
        if shown != value {
            draft.add_remark(format!(
                "invites.{new_key} is {shown} instead of {value} ({}): it must be from 0 to {max}.",
                setting.origin
            ));
        }
        draft.set(TABLE, new_key, shown, &setting);
    }
    Ok(())
}

/// Converts a subject with Python's `%(name)s` to a template.
fn subject_template(subject: &Setting) -> Result<String, ConfError> {
    /// Variables that are defined for every invitation.
    const ALWAYS_DEFINED: [&str; 7] = [
        "sender_display_name",
        "room_name",
        "bracketed_room_name",
        "bracketed_verified_sender",
        "sender",
        "room_id",
        "web_client_location",
    ];
    let (mut template, mut literal) = (String::new(), String::new());
    for token in tokens(&subject.value) {
        match token.map_err(|problem| subject.error(problem))? {
            Token::Text(text) => literal.push_str(text),
            Token::Percent => literal.push('%'),
            Token::Reference(name) => {
                if !is_variable(name) {
                    return Err(subject.error(INVALID_PERCENT));
                }
                push_literal(&mut template, &std::mem::take(&mut literal));
                template.push_str("{{ ");
                template.push_str(name);
                if !ALWAYS_DEFINED.contains(&name) {
                    template.push_str(" | default(\"\")");
                }
                template.push_str(" }}");
            }
        }
    }
    push_literal(&mut template, &literal);
    Ok(template)
}

fn is_variable(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Appends text that is not part of the template language, even if it looks like it.
fn push_literal(template: &mut String, text: &str) {
    let has_delimiter = ["{{", "{%", "{#"].iter().any(|it| text.contains(it));
    // A brace at the end would become one with what follows.
    if has_delimiter || text.ends_with('{') {
        template.push_str("{{ ");
        // The template language has the string literals of JSON.
        template.push_str(&serde_json::Value::from(text).to_string());
        template.push_str(" }}");
    } else {
        template.push_str(text);
    }
}

fn convert_blocklists(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    type IsValid = fn(&str) -> bool;
    let lists: [(&str, &str, &str, IsValid); 3] = [
        ("homeserver", "server name", "blocked_homeservers", |name| {
            !name.contains('*') && HomeserverPattern::parse(name).is_ok()
        }),
        ("room", "room ID", "blocked_rooms", |room| {
            RoomId::parse(room).is_ok()
        }),
        ("keyword", "keyword", "blocked_keywords", |word| {
            !word.trim().is_empty()
        }),
    ];
    for (kind, noun, new_key, is_valid) in lists {
        let key = format!("email.third_party_invite_{kind}_blocklist");
        let Some(setting) = sydent.get_optional("email", &key)? else {
            continue;
        };
        let (valid, invalid): (Vec<&str>, Vec<&str>) = setting
            .lines()
            .into_iter()
            .partition(|entry| is_valid(entry));
        for entry in invalid {
            draft.add_remark(format!(
                "invites.{new_key} leaves out {entry:?} of {}: not a valid {noun}, so it matches nothing.",
                setting.key
            ));
        }
        draft.set(TABLE, new_key, valid, &setting);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(value: &str) -> Setting {
        Setting {
            value: value.to_owned(),
            key: "key".to_owned(),
            origin: "key".to_owned(),
            is_default: false,
        }
    }

    /// OPS-07
    #[test]
    fn subjects_become_templates() {
        for (text, template) in [
            (
                "%(sender_display_name)s invites",
                "{{ sender_display_name }} invites",
            ),
            (
                "100%% %(room_alias)s",
                "100% {{ room_alias | default(\"\") }}",
            ),
            ("a {{ b }} %(sender)s", "{{ \"a {{ b }} \" }}{{ sender }}"),
            ("plain", "plain"),
            ("{%(sender)s}", "{{ \"{\" }}{{ sender }}}"),
            ("{%% x %%}", "{{ \"{% x %}\" }}"),
            ("{# \"a\" 'b' \\ {{", "{{ \"{# \\\"a\\\" 'b' \\\\ {{\" }}"),
        ] {
            assert_eq!(subject_template(&setting(text)).unwrap(), template);
        }
        for text in ["100%", "%s", "%(a)d", "%(a b)s", "%()s"] {
            assert!(subject_template(&setting(text)).is_err(), "{text}");
        }
    }
}
