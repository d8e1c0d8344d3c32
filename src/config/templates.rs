//! `[templates]`: brands with their own templates.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::checker::Checker;

/// `[templates]`; after the check, the files, the folder and the brand in it exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateSettings {
    /// A folder that contains a folder per brand.
    pub brands_dir: Option<PathBuf>,
    /// The brand for requests without a brand.
    pub default_brand: Option<String>,
    /// The verification email of all brands.
    pub verification_mail: Option<PathBuf>,
    /// The invitation email of all brands.
    pub invitation_mail: Option<PathBuf>,
    /// The page of the validation link of all brands.
    pub verify_response: Option<PathBuf>,
}

impl TemplateSettings {
    pub(super) fn check(mut self, checker: &mut Checker<'_>) -> Self {
        const DIR: &str = "templates.brands_dir";
        const BRAND: &str = "templates.default_brand";
        self.check_single_files(checker);
        self.brands_dir = self.brands_dir.map(|dir| checker.resolve(DIR, &dir));
        if let Some(dir) = &self.brands_dir
            && !dir.is_dir()
        {
            checker.error(
                DIR,
                format!("must be a folder; {} is not one", dir.display()),
            );
            return self;
        }
        match (&self.brands_dir, &self.default_brand) {
            (_, Some(brand)) if !is_name(brand) => {
                checker.error(
                    BRAND,
                    "must contain only letters, digits, '-', '_' and '.', and must not start with '.'",
                );
            }
            (None, Some(_)) => {
                checker.error(
                    BRAND,
                    "requires templates.brands_dir, the folder that contains the brand",
                );
            }
            (Some(dir), Some(brand)) if !dir.join(brand).is_dir() => {
                checker.error(
                    BRAND,
                    format!(
                        "must be the name of a folder in {}; {brand} does not exist there",
                        dir.display()
                    ),
                );
            }
            _ => {}
        }
        self
    }

    fn check_single_files(&mut self, checker: &mut Checker<'_>) {
        for (key, file) in [
            ("templates.verification_mail", &mut self.verification_mail),
            ("templates.invitation_mail", &mut self.invitation_mail),
            ("templates.verify_response", &mut self.verify_response),
        ] {
            let Some(path) = file else { continue };
            *path = checker.resolve(key, path);
            if !path.is_file() {
                checker.error(
                    key,
                    format!("must be a file; {} is not one", path.display()),
                );
            }
        }
    }
}

/// A brand is a folder directly in `brands_dir`, never outside of it.
fn is_name(brand: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !brand.is_empty() && !brand.starts_with('.') && brand.bytes().all(is_allowed)
}
