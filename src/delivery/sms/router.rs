//! Selects the provider of an SMS.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

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
    pub(super) unsettled: Unsettled,
}

impl Router {
    /// The sender of an SMS to a number (MSI-14).
    #[must_use]
    pub fn sender(&self, to: &CanonicalMsisdn, calling_code: Option<u16>) -> Option<Originator> {
        pick(self.originators.get(calling_code), to).cloned()
    }

    /// Sends an SMS with the first provider of the route, or with the next one if
    /// that fails. After an uncertain failure no further provider is tried, neither
    /// now nor by a later call: the SMS may be on its way.
    ///
    /// # Errors
    /// All providers failed. A transient failure takes precedence over permanent
    /// ones, since that provider may accept the SMS later.
    pub async fn send(
        &self,
        sms: &SmsMessage,
        calling_code: Option<u16>,
    ) -> Result<(), SendFailure> {
        if let Some(name) = self.unsettled.provider(sms) {
            let outcome = self.send_by(&name, sms).await;
            return outcome.map_err(SendFailure::after_uncertain);
        }
        let mut last_failure = None;
        for name in self.routes.get(calling_code) {
            last_failure = match (last_failure, self.send_by(name, sms).await) {
                (_, Ok(())) => return Ok(()),
                (_, Err(uncertain @ SendFailure::Uncertain { .. })) => return Err(uncertain),
                (
                    Some(later @ (SendFailure::Transient { .. } | SendFailure::Throttled { .. })),
                    Err(SendFailure::Permanent { .. }),
                ) => Some(later),
                (_, Err(failure)) => Some(failure),
            };
            self.unsettled.remove(sms);
        }
        Err(last_failure
            .unwrap_or_else(|| SendFailure::transient("no provider for this calling code")))
    }

    async fn send_by(&self, name: &str, sms: &SmsMessage) -> Result<(), SendFailure> {
        let id = sms.id.as_str();
        let Some(provider) = self.providers.get(name) else {
            return Err(SendFailure::transient("no such provider"));
        };
        // Before the request, because its future may be dropped while it waits.
        self.unsettled.insert(sms, name);
        match provider.send(sms).await {
            Ok(()) => {
                self.unsettled.remove(sms);
                log::debug!(id, provider = name; "SMS accepted by a provider");
                Ok(())
            }
            Err(failure) => {
                log::warn!(id, provider = name; "SMS not accepted by a provider: {failure}");
                Err(failure)
            }
        }
    }
}

/// The SMS that a provider may have accepted, with that provider. A restart forgets
/// them.
#[derive(Default)]
pub(super) struct Unsettled(RefCell<HashMap<String, (i64, String)>>);

/// The maximum number of such SMS. Those that were queued first are forgotten first.
const MAX_UNSETTLED: usize = 1000;

impl Unsettled {
    fn provider(&self, sms: &SmsMessage) -> Option<String> {
        let known = self.0.borrow();
        known.get(&sms.id).map(|(_, provider)| provider.clone())
    }

    fn insert(&self, sms: &SmsMessage, provider: &str) {
        let mut known = self.0.borrow_mut();
        if known.len() >= MAX_UNSETTLED {
            let oldest = known.iter().min_by_key(|(_, (queued_at, _))| *queued_at);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                known.remove(&oldest);
            }
        }
        known.insert(sms.id.clone(), (sms.queued_at, provider.to_owned()));
    }

    fn remove(&self, sms: &SmsMessage) {
        self.0.borrow_mut().remove(&sms.id);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use futures_util::FutureExt as _;
    use futures_util::future::{LocalBoxFuture, ready};

    use super::super::rejected;
    use super::*;

    /// A provider with these outcomes, the last one first.
    struct Scripted(RefCell<Vec<Result<(), SendFailure>>>);

    impl Provider for Rc<Scripted> {
        fn send<'a>(&'a self, _: &'a SmsMessage) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
            let outcome = self.0.borrow_mut().pop();
            ready(outcome.expect("no further request")).boxed_local()
        }
    }

    fn sms(id: &str) -> SmsMessage {
        SmsMessage {
            id: id.to_owned(),
            queued_at: 0,
            to: CanonicalMsisdn::parse("447700900001").unwrap(),
            from: None,
            body: String::new(),
        }
    }

    fn for_all<T>(default: T) -> ByCallingCode<T> {
        ByCallingCode {
            default,
            by_code: BTreeMap::new(),
        }
    }

    fn router(first: &Rc<Scripted>, second: &Rc<Scripted>) -> Router {
        let provider = |of: &Rc<Scripted>| Box::new(Rc::clone(of)) as Box<dyn Provider>;
        let names = ["first", "second"].map(str::to_owned);
        let providers = names.clone().into_iter();
        Router {
            providers: providers.zip([first, second].map(provider)).collect(),
            routes: for_all(names.to_vec()),
            originators: for_all(Vec::new()),
            unsettled: Unsettled::default(),
        }
    }

    fn scripted(outcomes: &[Result<(), SendFailure>]) -> Rc<Scripted> {
        let outcomes = outcomes.iter().rev().cloned().collect();
        Rc::new(Scripted(RefCell::new(outcomes)))
    }

    #[tokio::test]
    async fn after_uncertain_tries_stay_at_the_provider() {
        let (uncertain, transient) = (SendFailure::uncertain("x"), SendFailure::transient("y"));
        let first = scripted(&[
            Err(uncertain.clone()),
            Err(transient.clone()),
            Err(rejected("z", 400, true)),
            Ok(()),
        ]);
        let second = scripted(&[Ok(())]);
        let (router, sms) = (router(&first, &second), sms("a"));
        assert_eq!(router.send(&sms, None).await, Err(uncertain));
        assert_eq!(router.send(&sms, None).await, Err(transient));
        // A refusal does not say that the first request was not carried out.
        let refused = router.send(&sms, None).await;
        assert!(matches!(refused, Err(SendFailure::Uncertain { .. })));
        assert_eq!(router.send(&sms, None).await, Ok(()));
        assert_eq!(router.unsettled.provider(&sms), None);
        assert_eq!(second.0.borrow().len(), 1, "it was not asked");
    }

    #[tokio::test]
    async fn certain_failure_tries_the_next_provider() {
        let first = scripted(&[Err(SendFailure::transient("x"))]);
        let second = scripted(&[Err(rejected("y", 400, true))]);
        let (router, sms) = (router(&first, &second), sms("a"));
        let outcome = router.send(&sms, None).await;
        assert_eq!(outcome, Err(SendFailure::transient("x")));
        assert_eq!(router.unsettled.provider(&sms), None);
    }

    #[test]
    fn number_of_unsettled_sms_is_limited() {
        let unsettled = Unsettled::default();
        for number in 0..2000 {
            unsettled.insert(&sms(&number.to_string()), "first");
        }
        assert_eq!(unsettled.0.borrow().len(), MAX_UNSETTLED);
    }
}
