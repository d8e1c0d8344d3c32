//! Sample values for templates: plain ones, the longest, and hostile ones.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;

use super::super::{
    ContinuePage, INVITATION_MAIL, InvitationMail, NextStep, VERIFICATION_MAIL, VERIFY_CONTINUE,
    VerificationMail, VerifyResponse, mime,
};
use crate::domain::invite::InviteFields;

/// One set of values.
pub(super) struct Sample {
    pub values: BTreeMap<String, Value>,
}

/// The values that strangers choose, and the tag that marks each in the output.
pub(super) const STRANGERS: [(&str, &str); 14] = [
    ("to", "<t00>"),
    ("message", "<t01>"),
    ("sender_display_name", "<t02>"),
    ("room_name", "<t03>"),
    ("sender", "<t04>"),
    ("room_id", "<t05>"),
    ("room_alias", "<t06>"),
    ("room_avatar_url", "<t07>"),
    ("sender_avatar_url", "<t08>"),
    ("guest_user_id", "<t09>"),
    ("guest_access_token", "<t10>"),
    ("room_type", "<t11>"),
    ("link", "<t12>"),
    ("host", "<t13>"),
];

/// Further fields that homeservers send.
const OPTIONAL_FIELDS: [&str; 2] = ["room_join_rules", "org.matrix.web_client_location"];

/// The samples for a template.
pub(super) fn for_template(file: &str) -> Vec<Sample> {
    let values: Vec<BTreeMap<String, Value>> = match file {
        VERIFICATION_MAIL => {
            let [full, bare] = VerificationMail::samples();
            let hostile = VerificationMail {
                to: marked("to", "\"o'neil ", "ü&\"@example.com"),
                ipaddress: Some("::1".to_owned()),
                ..full.clone()
            };
            [full, bare, hostile].iter().map(verification).collect()
        }
        INVITATION_MAIL => {
            let [full, bare] = InvitationMail::samples();
            let hostile = hostile(full.clone());
            [full, bare, hostile].iter().map(invitation).collect()
        }
        VERIFY_CONTINUE => {
            let [confirm, leave] = ContinuePage::samples();
            let hostile = ContinuePage {
                next: NextStep::Leave {
                    link: marked("link", "https://example.org/?\"", "'&ü"),
                    host: marked("host", "\"", "'&ü"),
                },
                ..leave.clone()
            };
            let pages = [confirm, leave, hostile];
            pages.iter().map(|page| entries(&page.context())).collect()
        }
        _ => {
            let [done, failed] = VerifyResponse::samples();
            let hostile = VerifyResponse {
                message: marked("message", "100% \"", "'&ü"),
                ..failed.clone()
            };
            [done, failed, hostile].iter().map(page).collect()
        }
    };
    values.into_iter().map(|values| Sample { values }).collect()
}

/// The names of all variables that a template can use.
pub(super) fn names(file: &str) -> BTreeSet<String> {
    let more = if file == INVITATION_MAIL {
        OPTIONAL_FIELDS.as_slice()
    } else {
        &[]
    };
    for_template(file)
        .into_iter()
        .flat_map(|sample| sample.values.into_keys())
        .chain(more.iter().map(|&name| name.to_owned()))
        .collect()
}

fn hostile(full: InvitationMail) -> InvitationMail {
    let fields: Vec<(&str, serde_json::Value)> = STRANGERS
        .iter()
        .map(|(name, tag)| match *name {
            "room_alias" => (*name, format!("#{tag}:x").into()),
            "room_avatar_url" | "sender_avatar_url" => (*name, format!("mxc://x/{tag}\"").into()),
            "room_name" => (*name, format!("{tag} \"'&ü {}", "x".repeat(40)).into()),
            _ => (*name, format!("{tag}\"'&ü").into()),
        })
        .collect();
    InvitationMail {
        fields: InviteFields::from_request(fields.iter().map(|(name, value)| (*name, value))),
        inviter: marked("sender", "@", ":example.org"),
        room_id: marked("room_id", "!\"'&", ":example.org"),
        to: marked("to", "\"o'neil ", "ü&\"@example.com"),
        ..full
    }
}

fn marked(name: &str, before: &str, after: &str) -> String {
    let tag = STRANGERS.iter().find(|(stranger, _)| *stranger == name);
    format!("{before}{}{after}", tag.map_or("", |(_, tag)| tag))
}

fn verification(values: &VerificationMail) -> BTreeMap<String, Value> {
    entries(&values.context())
}

fn page(values: &VerifyResponse) -> BTreeMap<String, Value> {
    entries(&values.context())
}

fn invitation(values: &InvitationMail) -> BTreeMap<String, Value> {
    let mut context = values.context();
    let subject = "An invitation – ü";
    context.insert("subject".to_owned(), subject.into());
    let header = Value::from_safe_string(mime::subject(subject));
    context.insert("subject_header_value".to_owned(), header);
    context
}

fn entries(values: &Value) -> BTreeMap<String, Value> {
    let Ok(names) = values.try_iter() else {
        return BTreeMap::new();
    };
    names
        .filter_map(|name| Some((name.to_string(), values.get_item(&name).ok()?)))
        .collect()
}
