//! Which provider a text goes to.

use std::collections::BTreeMap;

use super::{Provider, SmsMessage};
use crate::delivery::failure::SendFailure;
use crate::domain::calling_code::ByCallingCode;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::originator::{Originator, pick};

/// All providers, and who is asked for what.
pub struct Router {
    pub(super) providers: BTreeMap<String, Box<dyn Provider>>,
    pub(super) routes: ByCallingCode<Vec<String>>,
    pub(super) originators: ByCallingCode<Vec<Originator>>,
}

impl Router {
    /// Whom a text to a number is from (MSI-14).
    #[must_use]
    pub fn sender(&self, to: &CanonicalMsisdn, calling_code: Option<u16>) -> Option<Originator> {
        pick(self.originators.of(calling_code), to).cloned()
    }

    /// Hands a text over: to the first choice of its calling code, and to the
    /// second one if the first refuses it or cannot take it at the moment. What
    /// may have been taken is not sent by another.
    ///
    /// # Errors
    /// What the last one said; a text that one of them may take later is not
    /// refused.
    pub async fn send(
        &self,
        text: &SmsMessage,
        calling_code: Option<u16>,
    ) -> Result<(), SendFailure> {
        let mut failed = None;
        for name in self.routes.of(calling_code) {
            let Some(provider) = self.providers.get(name) else {
                continue;
            };
            let Err(failure) = provider.send(text).await else {
                log::debug!(id = text.id.as_str(), provider = name.as_str(); "text taken");
                return Ok(());
            };
            let id = text.id.as_str();
            log::warn!(id, provider = name.as_str(); "a provider did not take a text: {failure}");
            failed = match (failed, failure) {
                (_, SendFailure::Uncertain { what }) => {
                    return Err(SendFailure::Uncertain { what });
                }
                (Some(SendFailure::Passing { what }), SendFailure::Refused { .. }) => {
                    Some(SendFailure::Passing { what })
                }
                (_, failure) => Some(failure),
            };
        }
        Err(failed.unwrap_or_else(|| SendFailure::passing("no provider is there for it")))
    }
}
