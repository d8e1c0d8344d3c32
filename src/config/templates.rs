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
}

impl TemplateSettings {
    pub(super) fn check(mut self, checker: &mut Checker<'_>) -> Self {
        const DIR: &str = "templates.brands_dir";
        const BRAND: &str = "templates.default_brand";
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
                    "must be a name of letters, digits, hyphens and underscores",
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
}

/// A brand is one folder below `brands_dir` and can never be a way out of it.
fn is_name(brand: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !brand.is_empty() && brand.bytes().all(letter)
}
