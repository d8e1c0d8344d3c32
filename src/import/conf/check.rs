//! Removes from the new configuration what this server's own checks reject.

use std::collections::BTreeSet;
use std::path::Path;

use super::ConfError;
use super::config_draft::ConfigDraft;
use crate::config::{Problems, Settings};
use crate::delivery::templates::Templates;

/// Settings that must not be left out: without them the server would be a different one, or allow
/// what it did not allow before. A problem with one of these is an error.
const REQUIRED: [&str; 8] = [
    "server.",
    "database.",
    "email.from",
    "internal.",
    "federation.",
    "invites.blocked_",
    "sms.rules",
    "terms.",
];

/// Removes the settings that `sydent config check` would reject, and adds a remark for each.
///
/// # Errors
/// A problem with a setting that cannot be left out.
pub(super) fn remove_invalid(draft: &mut ConfigDraft, file: &Path) -> Result<(), ConfError> {
    loop {
        let problems = find_problems(draft, file);
        if problems.is_empty() {
            break;
        }
        let mut removed = BTreeSet::new();
        for (key, sentence) in problems {
            let setting = key.split('[').next().unwrap_or_default().to_owned();
            if removed.contains(&setting) {
                continue;
            }
            if draft.remove_peer(&key) {
                draft.add_remark(format!("A peer is left out: {key} {sentence}."));
                // The other problems may be of the same peer; check again.
                break;
            }
            let is_required = REQUIRED.iter().any(|name| key.starts_with(name));
            if is_required || !draft.remove(&setting) {
                return Err(ConfError::new(key, sentence));
            }
            draft.add_remark(format!("{setting} is left out: {key} {sentence}."));
            removed.insert(setting);
        }
    }
    remove_invalid_templates(draft, file);
    Ok(())
}

/// The key and the problem of each invalid setting. That the key file does not exist yet is not a
/// problem.
fn find_problems(draft: &ConfigDraft, file: &Path) -> Vec<(String, String)> {
    let settings = Settings::parse(Some((file, &draft.to_toml())), std::iter::empty());
    let Err(Problems(problems)) = settings.and_then(Settings::into_config) else {
        return Vec::new();
    };
    problems
        .into_iter()
        .map(|problem| (problem.key, problem.message))
        .filter(|(key, _)| key != "server.signing_key_file")
        .collect()
}

/// The server would not start with templates that cannot be rendered.
fn remove_invalid_templates(draft: &mut ConfigDraft, file: &Path) {
    let Ok(settings) = Settings::parse(Some((file, &draft.to_toml())), std::iter::empty()) else {
        return;
    };
    let templates = match Templates::load(&settings.templates) {
        Ok(templates) => templates,
        Err(error) => {
            draft.remove_table("templates");
            draft.add_remark(format!(
                "[templates] is left out, so the built-in templates are used: {error}. \
                 `sydent templates check DIR` shows all problems."
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
        draft.add_remark(format!(
            "invites.subject_room and invites.subject_space are left out: {error}."
        ));
    }
}
