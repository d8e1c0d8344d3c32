//! The current policies, which a signal reloads (TOS-12).

use std::sync::{Arc, PoisonError, RwLock};

use log::{error, info, warn};

use crate::config::{Problem, TermSettings};
use crate::domain::terms::Terms;

/// The current policies.
pub struct CurrentTerms {
    settings: TermSettings,
    terms: RwLock<Arc<Terms>>,
}

impl CurrentTerms {
    /// Loads the policies at start.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid, with the line.
    pub fn load(settings: TermSettings) -> Result<Self, Problem> {
        let terms = RwLock::new(Arc::new(settings.read()?));
        Ok(Self { settings, terms })
    }

    /// The current policies; cheap enough for every request.
    #[must_use]
    pub fn current(&self) -> Arc<Terms> {
        let terms = self.terms.read();
        Arc::clone(&terms.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reloads the file and logs the result. The new policies apply to all users at
    /// once; what each user has accepted remains. If the file is not valid, the current
    /// policies stay.
    pub fn reload(&self) {
        let terms = match self.settings.read() {
            Ok(terms) => Arc::new(terms),
            Err(problem) => {
                error!("cannot reload the terms, keeping the current ones: {problem}");
                return;
            }
        };
        let previous = self.current();
        for warning in terms.shared_urls() {
            warn!("terms.file: {warning}");
        }
        for warning in terms.reused_urls(&previous) {
            warn!("terms.file: {warning}");
        }
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
        info!("terms reloaded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(url: &str) -> String {
        format!("docs: {{ a: {{ version: '1', langs: {{ en: {{ name: A, url: '{url}' }} }} }} }}")
    }

    /// TOS-12
    #[test]
    fn reload_applies_only_a_valid_file() {
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
