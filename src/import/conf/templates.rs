//! Template folders and single templates, which are used where they are.

use std::path::Path;

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::reading::Reading;

pub(super) fn convert(
    reading: &Reading,
    folder: &Path,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    brands(reading, folder, draft)?;
    for (section, key, ours) in [
        ("email", "email.template", "verification_mail"),
        ("email", "email.invite_template", "invitation_mail"),
        ("http", "verify_response_template", "verify_response"),
    ] {
        let Some(given) = reading.optional(section, key)? else {
            continue;
        };
        let file = folder.join(&given.text);
        if file.is_file() {
            draft.set("templates", ours, file.display().to_string(), &given);
        } else {
            draft.remark(format!(
                "templates.{ours} is not set: {} names {}, and there is no such file.",
                given.from,
                file.display()
            ));
        }
    }
    Ok(())
}

fn brands(reading: &Reading, folder: &Path, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let path = reading.get("general", "templates.path")?;
    let brand = reading.get("general", "brand.default")?;
    let dir = folder.join(&path.text);
    if !dir.is_dir() {
        draft.remark(format!(
            "templates.brands_dir is not set, so that mails and pages look as this server has them: \
             {} names {}, and there is no such folder.",
            path.from,
            dir.display()
        ));
        draft.without(&brand, "there is no folder of templates");
        return Ok(());
    }
    draft.set("templates", "brands_dir", dir.display().to_string(), &path);
    if dir.join(&brand.text).is_dir() && !brand.text.is_empty() {
        draft.set("templates", "default_brand", brand.text.clone(), &brand);
    } else {
        draft.remark(format!(
            "templates.default_brand is not set, so that requests which name no brand get this \
             server's own templates: {} names {:?}, and {} has no such folder.",
            brand.from,
            brand.text,
            dir.display()
        ));
    }
    Ok(())
}
