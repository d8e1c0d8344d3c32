//! What `[email]` and `[general]` say about invitations.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::reading::{Given, Reading};
use crate::domain::homeservers::HomeserverPattern;
use crate::domain::invite::RoomId;

const TABLE: &str = "invites";

pub(super) fn convert(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    for (key, ours, most) in [
        ("username", "show_local_part", 64),
        ("domain", "show_domain", 255),
    ] {
        let key = format!("email.third_party_invite_{key}_obfuscate_characters");
        let given = reading.get("email", &key)?;
        let shown = given.int()?;
        let taken = shown.clamp(0, most);
        if taken != shown {
            draft.remark(format!(
                "invites.{ours} is {taken} where {} says {shown}: here it is from 0 to {most}.",
                given.from
            ));
        }
        draft.set(TABLE, ours, taken, &given);
    }
    let client = reading.get("email", "email.default_web_client_location")?;
    draft.set(TABLE, "web_client", client.text.clone(), &client);
    for (key, ours) in [
        ("email.invite.subject", "subject_room"),
        ("email.invite.subject_space", "subject_space"),
    ] {
        if let Some(given) = reading.raw("email", key)? {
            draft.set(TABLE, ours, subject(&given)?, &given);
        }
    }
    let delete = reading.get("general", "delete_tokens_on_bind")?;
    draft.set(TABLE, "keep_delivered", !delete.is_true(), &delete);
    blocklists(reading, draft)?;
    rate(reading, draft)
}

/// What counts a sender's invitations; the burst and the rate of the others are this server's own.
fn rate(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let limit = Limit {
        table: "limits.invites_per_sender",
        section: "email",
        prefix: "email.ratelimit_sender",
        burst: 5,
        every_ms: 300_000,
    };
    limit.convert(reading, draft)
}

/// A limit of Sydent's with what it is where nothing is said.
pub(super) struct Limit {
    pub(super) table: &'static str,
    pub(super) section: &'static str,
    pub(super) prefix: &'static str,
    pub(super) burst: i64,
    pub(super) every_ms: i64,
}

impl Limit {
    pub(super) fn convert(
        &self,
        reading: &Reading,
        draft: &mut ConfigDraft,
    ) -> Result<(), ConfError> {
        let by_default = |key: &str| {
            format!(
                "[{}] {}.{key} (Sydent's default)",
                self.section, self.prefix
            )
        };
        match reading.optional(self.section, &format!("{}.burst", self.prefix))? {
            None => draft.set_because(self.table, "burst", self.burst, &by_default("burst")),
            Some(given) => {
                let burst = given.int()?;
                let taken = burst.clamp(1, 1_000_000);
                if taken != burst {
                    draft.remark(format!(
                        "{}.burst is {taken} where {} says {burst}, which would let nothing through \
                         or is more than is counted here.",
                        self.table, given.from
                    ));
                }
                draft.set(self.table, "burst", taken, &given);
            }
        }
        match reading.optional(self.section, &format!("{}.rate_hz", self.prefix))? {
            None => {
                let every = period(self.every_ms);
                draft.set_because(self.table, "every", every, &by_default("rate_hz"));
            }
            Some(given) => {
                let every = (1000.0 / given.positive()?).round().clamp(1.0, LONGEST_MS);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it was just brought into the range"
                )]
                draft.set(self.table, "every", period(every as i64), &given);
            }
        }
        Ok(())
    }
}

/// 366 days.
const LONGEST_MS: f64 = 31_622_400_000.0;

fn period(ms: i64) -> String {
    let unit = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let whole = unit.into_iter().find(|(length, _)| ms % length == 0);
    whole.map_or_else(
        || format!("{ms}ms"),
        |(length, unit)| format!("{}{unit}", ms / length),
    )
}

/// A text with Python's `%(name)s` as a template.
fn subject(given: &Given) -> Result<String, ConfError> {
    /// Names that every invitation has.
    const ALWAYS: [&str; 7] = [
        "sender_display_name",
        "room_name",
        "bracketed_room_name",
        "bracketed_verified_sender",
        "sender",
        "room_id",
        "web_client_location",
    ];
    let wrong = || given.wrong("has a % that is neither %% nor %(name)s");
    let mut template = String::new();
    let mut rest = given.text.as_str();
    while let Some((before, after)) = rest.split_once('%') {
        literal(&mut template, before);
        if let Some(after) = after.strip_prefix('%') {
            template.push('%');
            rest = after;
            continue;
        }
        let named = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(")s"));
        let (name, after) = named.ok_or_else(wrong)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(wrong());
        }
        template.push_str("{{ ");
        template.push_str(name);
        if !ALWAYS.contains(&name) {
            template.push_str(" | default(\"\")");
        }
        template.push_str(" }}");
        rest = after;
    }
    literal(&mut template, rest);
    Ok(template)
}

/// Text that is none of the template language, whatever it looks like.
fn literal(template: &mut String, text: &str) {
    if ["{{", "{%", "{#"].iter().any(|sign| text.contains(sign)) {
        template.push_str("{{ ");
        template.push_str(&toml::Value::from(text).to_string());
        template.push_str(" }}");
    } else {
        template.push_str(text);
    }
}

fn blocklists(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    type Check = fn(&str) -> bool;
    let lists: [(&str, &str, Check); 3] = [
        ("homeserver", "blocked_homeservers", |name| {
            !name.contains('*') && HomeserverPattern::parse(name).is_ok()
        }),
        ("room", "blocked_rooms", |room| RoomId::parse(room).is_ok()),
        ("keyword", "blocked_keywords", |word| {
            !word.trim().is_empty()
        }),
    ];
    for (kind, ours, is_good) in lists {
        let key = format!("email.third_party_invite_{kind}_blocklist");
        let Some(given) = reading.optional("email", &key)? else {
            continue;
        };
        let (good, bad): (Vec<&str>, Vec<&str>) =
            given.lines().into_iter().partition(|entry| is_good(entry));
        for entry in bad {
            draft.remark(format!(
                "invites.{ours} is without {entry:?} of {}, which nothing can be called.",
                given.key
            ));
        }
        draft.set(TABLE, ours, good, &given);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Given {
        Given {
            text: text.to_owned(),
            key: "key".to_owned(),
            from: "key".to_owned(),
            by_default: false,
        }
    }

    #[test]
    fn ops_07_subjects_become_templates() {
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
        ] {
            assert_eq!(subject(&given(text)).unwrap(), template);
        }
        for text in ["100%", "%s", "%(a)d", "%(a b)s", "%()s"] {
            assert!(subject(&given(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn periods_have_the_unit_that_fits() {
        for (ms, text) in [
            (300_000, "5m"),
            (3_600_000, "1h"),
            (86_400_000, "1d"),
            (1500, "1500ms"),
            (2000, "2s"),
        ] {
            assert_eq!(period(ms), text);
        }
    }
}
