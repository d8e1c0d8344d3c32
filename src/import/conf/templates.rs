//! Template folders and single template files, which stay where they are.

use std::path::Path;

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::sydent_settings::SydentSettings;

pub(super) fn convert(
    sydent: &SydentSettings,
    folder: &Path,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    convert_brands(sydent, folder, draft)?;
    for (section, key, new_key) in [
        ("email", "email.template", "verification_mail"),
        ("email", "email.invite_template", "invitation_mail"),
        ("http", "verify_response_template", "verify_response"),
    ] {
        let Some(setting) = sydent.get_optional(section, key)? else {
            continue;
        };
        let file = folder.join(&setting.value);
        if file.is_file() {
            draft.set("templates", new_key, file.display().to_string(), &setting);
        } else {
            draft.add_remark(format!(
                "templates.{new_key} is not set: {} is {}, and there is no such file.",
                setting.origin,
                file.display()
            ));
        }
    }
    Ok(())
}

fn convert_brands(
    sydent: &SydentSettings,
    folder: &Path,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let path = sydent.get("general", "templates.path")?;
    let brand = sydent.get("general", "brand.default")?;
    let dir = folder.join(&path.value);
    if !dir.is_dir() {
        draft.add_remark(format!(
            "templates.brands_dir is not set, so the built-in templates are used: {} is {}, and there \
             is no such folder.",
            path.origin,
            dir.display()
        ));
        draft.add_unsupported(&brand, "there is no template folder");
        return Ok(());
    }
    draft.set("templates", "brands_dir", dir.display().to_string(), &path);
    if dir.join(&brand.value).is_dir() && !brand.value.is_empty() {
        draft.set("templates", "default_brand", brand.value.clone(), &brand);
    } else {
        draft.add_remark(format!(
            "templates.default_brand is not set, so requests without a brand get the built-in \
             templates: {} is {:?}, and {} has no such folder.",
            brand.origin,
            brand.value,
            dir.display()
        ));
    }
    Ok(())
}
