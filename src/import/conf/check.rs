//! What this server's own checks say of the result.

use std::collections::BTreeSet;
use std::path::Path;

use super::ConfError;
use super::config_draft::ConfigDraft;
use crate::config::{Problems, Settings};
use crate::delivery::templates::Templates;

/// What is refused rather than left out: without it the server would be another one, or let
/// somebody do what they could not do before.
const INDISPENSABLE: [&str; 8] = [
    "server.",
    "database.",
    "email.from",
    "internal.",
    "federation.",
    "invites.blocked_",
    "sms.rules",
    "terms.",
];

/// Takes out what would not pass, with a remark for each.
///
/// # Errors
/// Something that cannot be left out.
pub(super) fn settle(draft: &mut ConfigDraft, file: &Path) -> Result<(), ConfError> {
    loop {
        let problems = problems(draft, file);
        if problems.is_empty() {
            break;
        }
        let mut left_out = BTreeSet::new();
        for (key, sentence) in problems {
            let setting = key.split('[').next().unwrap_or_default().to_owned();
            let must_stay = INDISPENSABLE.iter().any(|name| key.starts_with(name));
            if left_out.contains(&setting) {
                continue;
            }
            if draft.remove_peer(&key) {
                draft.remark(format!("A peer is left out: {key} {sentence}."));
                break;
            }
            if must_stay || !draft.remove(&setting) {
                return Err(ConfError::new(key, sentence));
            }
            draft.remark(format!("{setting} is left out: {key} {sentence}."));
            left_out.insert(setting);
        }
    }
    settle_templates(draft, file);
    Ok(())
}

/// By setting, what is wrong with it. The key file is not there yet.
fn problems(draft: &ConfigDraft, file: &Path) -> Vec<(String, String)> {
    let settings = Settings::parse(Some((file, &draft.toml())), std::iter::empty());
    let Err(Problems(problems)) = settings.and_then(Settings::into_config) else {
        return Vec::new();
    };
    problems
        .into_iter()
        .map(|problem| (problem.key, problem.sentence))
        .filter(|(key, _)| key != "server.signing_key_file")
        .collect()
}

/// Templates that do not render would keep the server from starting.
fn settle_templates(draft: &mut ConfigDraft, file: &Path) {
    let Ok(settings) = Settings::parse(Some((file, &draft.toml())), std::iter::empty()) else {
        return;
    };
    let templates = match Templates::load(&settings.templates) {
        Ok(templates) => templates,
        Err(error) => {
            draft.remove_table("templates");
            draft.remark(format!(
                "[templates] is left out, so that mails and pages look as this server has them: \
                 {error}. `sydent templates check DIR` names all that is wrong."
            ));
            return;
        }
    };
    let (room, space) = (
        &settings.invites.subject_room,
        &settings.invites.subject_space,
    );
    if let Err(error) = templates.with_subjects(room, space) {
        for subject in ["invites.subject_room", "invites.subject_space"] {
            draft.remove(subject);
        }
        draft.remark(format!(
            "The subjects of invitations are left out: {error}."
        ));
    }
}
