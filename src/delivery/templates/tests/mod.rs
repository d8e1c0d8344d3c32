//! The output of templates, parsed as a mail program or a browser does.

mod brands;
mod invitation;
mod jinja_table;
mod mail;
mod page;
mod sydent;

use std::fs;
use std::path::Path;

use super::*;

/// Loads a folder of brands.
fn load(dir: Option<&Path>, default_brand: Option<&str>) -> Result<Templates, TemplateError> {
    Templates::load(&TemplateSettings {
        brands_dir: dir.map(Path::to_owned),
        default_brand: default_brand.map(str::to_owned),
        ..TemplateSettings::default()
    })
}

/// The whole mail of the default brand.
fn mail_of(templates: &Templates, values: &VerificationMail) -> String {
    let brand = templates.brand(None);
    String::from_utf8(templates.verification_mail(&brand, values).unwrap()).unwrap()
}

fn sample() -> VerificationMail {
    let [sample, _] = VerificationMail::samples();
    sample
}

/// Writes a template into a folder of brands.
fn put(dir: &Path, brand: &str, file: &str, text: impl AsRef<[u8]>) {
    let folder = dir.join(brand);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(file), text).unwrap();
}
