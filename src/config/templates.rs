//! `[templates]`: brands with templates of their own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::checker::Checker;

/// `[templates]`; once checked, the folder exists and so does the brand in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateSettings {
    /// A folder with a folder per brand.
    pub brands_dir: Option<PathBuf>,
    /// The brand for requests that name none.
    pub default_brand: Option<String>,
    /// One verification mail for all brands.
    pub verification_mail: Option<PathBuf>,
    /// One invitation for all brands.
    pub invitation_mail: Option<PathBuf>,
    /// One page behind the mailed link for all brands.
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
            checker.refuse(
                DIR,
                format!("{} must be a folder that exists", dir.display()),
            );
            return self;
        }
        match (&self.brands_dir, &self.default_brand) {
            (_, Some(brand)) if !is_name(brand) => {
                checker.refuse(
                    BRAND,
                    "must be a name of letters, digits, hyphens, underscores and dots that begins with \
                     none of the last",
                );
            }
            (None, Some(_)) => {
                checker.refuse(
                    BRAND,
                    "needs templates.brands_dir, the folder that has the brand",
                );
            }
            (Some(dir), Some(brand)) if !dir.join(brand).is_dir() => {
                let sentence = format!("must be a folder in {}, and there is none", dir.display());
                checker.refuse(BRAND, sentence);
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
                let sentence = format!("{} must be a file that exists", path.display());
                checker.refuse(key, sentence);
            }
        }
    }
}

/// A brand is one folder below `brands_dir` and can never be a way out of it.
fn is_name(brand: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !brand.is_empty() && !brand.starts_with('.') && brand.bytes().all(letter)
}
