//! `[terms]`: the policies that users must accept.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::files::cannot_read;
use super::problem::{Problem, Source};
use crate::domain::terms::Terms;

/// `[terms]`; after the check, the file is valid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TermSettings {
    /// The file with the policies, in YAML or TOML according to its extension. Without
    /// one, users need not accept anything.
    pub file: Option<PathBuf>,
}

impl TermSettings {
    pub(super) fn check(mut self, checker: &mut Checker<'_>) -> Self {
        const FILE: &str = "terms.file";
        self.file = self.file.map(|file| checker.resolve(FILE, &file));
        match self.read() {
            Ok(terms) => {
                for warning in terms.shared_urls() {
                    checker.warn(FILE, warning);
                }
            }
            Err(problem) => checker.error(FILE, problem.to_string()),
        }
        self
    }

    /// Reads the policies; there are none when no file is set.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid, with the line.
    pub fn read(&self) -> Result<Terms, Problem> {
        let Some(file) = &self.file else {
            return Ok(Terms::default());
        };
        let (line, message) = match std::fs::read_to_string(file) {
            Ok(text) => match parse(file, &text) {
                Ok(terms) => return Ok(terms),
                Err(problem) => problem,
            },
            Err(error) => (None, cannot_read(&error)),
        };
        Err(Problem {
            source: Source::File(file.clone()),
            line,
            key: String::new(),
            message,
        })
    }
}

/// Parses the text according to the extension of the file. An error is the line, if
/// known, and the problem.
fn parse(file: &Path, text: &str) -> Result<Terms, (Option<usize>, String)> {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml") => serde_saphyr::from_str(text).map_err(|error| {
            let line = error
                .location()
                .and_then(|location| usize::try_from(location.line()).ok());
            let message = error
                .without_snippet()
                .render_with_formatter(&serde_saphyr::UserMessageFormatter);
            (line, format!("is not a valid terms file: {message}"))
        }),
        Some("toml") => toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| 1 + before.matches('\n').count());
            (
                line,
                format!("is not a valid terms file: {}", error.message()),
            )
        }),
        _ => {
            let message = "must have the extension .yaml, .yml or .toml";
            Err((None, message.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const YAML: &str = r#"# What people agree to
master_version: 2
docs:
  privacy_policy:
    version: "1.2"
    langs:
      en:
        name: Privacy policy
        url: https://example.org/privacy-1.2-en.html
      no:
        name: Personvern
        url: https://example.org/privacy-1.2-no.html
  terms_of_service:
    version: 5.0
    langs:
      en: { name: "Terms of service", url: "https://example.org/terms-5.0-en.html" }
"#;

    const TOML: &str = r#"master_version = "2"
[docs.privacy_policy]
version = "1.2"
langs.en = { name = "Privacy policy", url = "https://example.org/privacy-1.2-en.html" }
langs.no = { name = "Personvern", url = "https://example.org/privacy-1.2-no.html" }

[docs.terms_of_service]
version = "5.0"
[docs.terms_of_service.langs.en]
name = "Terms of service"
url = "https://example.org/terms-5.0-en.html"
"#;

    fn read(name: &str, text: &str) -> Result<Terms, (Option<usize>, String)> {
        parse(Path::new(name), text)
    }

    /// TOS-02
    #[test]
    fn yaml_and_toml_are_equivalent() {
        let yaml = read("terms.yaml", YAML).unwrap();
        assert_eq!(read("terms.toml", TOML), Ok(yaml.clone()));
        assert_eq!(read("terms.yml", YAML), Ok(yaml.clone()));
        let policies: BTreeMap<_, _> = yaml.policies().collect();
        assert_eq!(policies["terms_of_service"].version(), "5.0");
        let languages: BTreeMap<_, _> = policies["privacy_policy"].languages().collect();
        assert_eq!(languages["no"].name(), "Personvern");
    }

    /// TOS-02
    #[test]
    fn yaml_blocks_lose_their_line_end() {
        let plain = read("a.yaml", YAML).unwrap();
        for (name, url, version) in [
            (
                "name: >\n          Privacy\n          policy",
                "url: >\n          https://example.org/privacy-1.2-en.html\n",
                "version: |\n      1.2",
            ),
            (
                "name: |+\n          Privacy policy\n\n",
                "url: |\n          https://example.org/privacy-1.2-en.html",
                "version: >-\n      1.2",
            ),
        ] {
            let text = YAML
                .replace("name: Privacy policy", name)
                .replace("url: https://example.org/privacy-1.2-en.html", url)
                .replace("version: \"1.2\"", version);
            assert_eq!(read("a.yaml", &text), Ok(plain.clone()), "{text}");
        }
        let two_lines = YAML.replace("Privacy policy", "|\n          Privacy\n          policy");
        let (_, message) = read("a.yaml", &two_lines).unwrap_err();
        assert!(message.contains("in one line"), "{message}");
    }

    /// OPS-08
    #[test]
    fn invalid_terms_have_their_line() {
        for (name, text, line) in [
            ("a.yaml", YAML.replace("version: \"1.2\"", "version: ["), 5),
            (
                "a.yaml",
                YAML.replace("https://example.org/privacy-1.2-no", "nowhere"),
                12,
            ),
            ("a.yaml", YAML.replace("      no:", "      version:"), 10),
            (
                "a.yaml",
                YAML.replace("  terms_of_service:", "  privacy_policy:"),
                13,
            ),
            ("a.yaml", YAML.replace("    version: 5.0\n", ""), 14),
            ("a.toml", TOML.replace("\"1.2\"", "1.2"), 3),
            ("a.toml", TOML.replace("\"1.2\"", "\"1.2"), 3),
            (
                "a.toml",
                TOML.replace("https://example.org/terms", "terms"),
                11,
            ),
        ] {
            let (found, message) = read(name, &text).unwrap_err();
            assert_eq!(found, Some(line), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
        for (name, text) in [("terms", YAML), ("terms.json", "{}"), ("a.yaml", "")] {
            assert!(read(name, text).is_err(), "{name}");
        }
    }

    /// TOS-11
    #[test]
    fn missing_file_means_no_policies() {
        assert_eq!(TermSettings::default().read(), Ok(Terms::default()));
    }
}
