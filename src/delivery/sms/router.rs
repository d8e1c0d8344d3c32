//! Selects the provider of an SMS.

use std::collections::BTreeMap;

use super::{Provider, SmsMessage};
use crate::delivery::failure::SendFailure;
use crate::domain::calling_code::ByCallingCode;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::originator::{Originator, pick};

/// The providers, and the routes and senders for each calling code.
pub struct Router {
    pub(super) providers: BTreeMap<String, Box<dyn Provider>>,
    pub(super) routes: ByCallingCode<Vec<String>>,
    pub(super) originators: ByCallingCode<Vec<Originator>>,
}

impl Router {
    /// The sender of an SMS to a number (MSI-14).
    #[must_use]
    pub fn sender(&self, to: &CanonicalMsisdn, calling_code: Option<u16>) -> Option<Originator> {
        pick(self.originators.get(calling_code), to).cloned()
    }

    /// Sends an SMS with the first provider of the route, or with the next one if
    /// that fails. After an uncertain failure no further provider is tried.
    ///
    /// # Errors
    /// All providers failed. A transient failure takes precedence over permanent
    /// ones, since that provider may accept the SMS later.
    pub async fn send(
        &self,
        sms: &SmsMessage,
        calling_code: Option<u16>,
    ) -> Result<(), SendFailure> {
        let id = sms.id.as_str();
        let mut last_failure = None;
        for name in self.routes.get(calling_code) {
            let Some(provider) = self.providers.get(name) else {
                continue;
            };
            let Err(failure) = provider.send(sms).await else {
                log::debug!(id, provider = name.as_str(); "SMS accepted by a provider");
                return Ok(());
            };
            log::warn!(id, provider = name.as_str(); "SMS not accepted by a provider: {failure}");
            last_failure = match (last_failure, failure) {
                (_, uncertain @ SendFailure::Uncertain { .. }) => return Err(uncertain),
                (
                    Some(later @ (SendFailure::Transient { .. } | SendFailure::Throttled { .. })),
                    SendFailure::Permanent { .. },
                ) => Some(later),
                (_, failure) => Some(failure),
            };
        }
        Err(last_failure
            .unwrap_or_else(|| SendFailure::transient("no provider for this calling code")))
    }
}
