//! A terms file of a test.

use std::fmt::Write as _;

use sydent::config::Settings;
use tempfile::NamedTempFile;

/// Its id, its version, and pairs of a language and a URL.
type Policy<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A file in Sydent's format.
pub struct TermsFile(NamedTempFile);

impl TermsFile {
    /// A file with these policies.
    pub fn with(policies: &[Policy<'_>]) -> Self {
        let file = NamedTempFile::with_suffix(".yaml").unwrap();
        let file = Self(file);
        file.write(policies);
        file
    }

    /// Two policies, one of them in two languages.
    pub fn two() -> Self {
        Self::with(&[
            (
                "privacy",
                "1.2",
                &[("en", "https://a/p-en"), ("fr", "https://a/p-fr")],
            ),
            ("terms", "5", &[("en", "https://a/t-en")]),
        ])
    }

    /// Replaces the policies in the file.
    pub fn write(&self, policies: &[Policy<'_>]) {
        let mut text = "docs:\n".to_owned();
        for (id, version, languages) in policies {
            write!(text, "  {id}:\n    version: '{version}'\n    langs:\n").unwrap();
            for (language, url) in *languages {
                let name = format!("The {id} in {language}");
                writeln!(text, "      {language}: {{ name: {name}, url: '{url}' }}").unwrap();
            }
        }
        self.write_text(&text);
    }

    /// Replaces the content of the file.
    pub fn write_text(&self, text: &str) {
        std::fs::write(self.0.path(), text).unwrap();
    }

    /// Makes a server use it.
    pub fn configure(&self, settings: &mut Settings) {
        settings.terms.file = Some(self.0.path().to_owned());
    }
}
