//! The policies that are in force now, read again when the administrator says
//! so (TOS-12).

use std::sync::{Arc, PoisonError, RwLock};

use log::{error, info, warn};

use crate::config::{Problem, TermSettings};
use crate::domain::terms::Terms;

/// The policies in force.
pub struct CurrentTerms {
    settings: TermSettings,
    terms: RwLock<Arc<Terms>>,
}

impl CurrentTerms {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// Why the file cannot be used, with its line.
    pub fn load(settings: TermSettings) -> Result<Self, Problem> {
        let terms = RwLock::new(Arc::new(settings.read()?));
        Ok(Self { settings, terms })
    }

    /// The policies as they are now; cheap enough for every request.
    #[must_use]
    pub fn current(&self) -> Arc<Terms> {
        let terms = self.terms.read();
        Arc::clone(&terms.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again and says in the log what came of it. From then on
    /// the new policies are in force for everybody, with what each person has
    /// accepted so far. A file that cannot be used changes nothing.
    pub fn reload(&self) {
        let terms = match self.settings.read() {
            Ok(terms) => Arc::new(terms),
            Err(problem) => {
                error!("the terms stay as they were: {problem}");
                return;
            }
        };
        let before = self.current();
        for sentence in terms.shared_urls() {
            warn!("terms.file: {sentence}");
        }
        for sentence in terms.kept_urls(&before) {
            warn!("terms.file: {sentence}");
        }
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
        info!("the terms were read again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(url: &str) -> String {
        format!("docs: {{ a: {{ version: '1', langs: {{ en: {{ name: A, url: '{url}' }} }} }} }}")
    }

    #[test]
    fn tos_12_a_new_file_counts_and_a_broken_one_changes_nothing() {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        let settings = TermSettings {
            file: Some(file.path().to_owned()),
        };
        write(&terms("https://a/1"));
        let current = CurrentTerms::load(settings.clone()).unwrap();
        assert!(current.current().are_accepted(&["https://a/1"]));
        write(&terms("https://a/2"));
        assert!(current.current().are_accepted(&["https://a/1"]));
        current.reload();
        assert!(!current.current().are_accepted(&["https://a/1"]));
        assert!(current.current().are_accepted(&["https://a/2"]));
        write("docs: [");
        current.reload();
        assert!(current.current().are_accepted(&["https://a/2"]));
        assert!(CurrentTerms::load(settings).is_err());
    }
}
