//! Selects the provider of an SMS.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::{Provider, SmsMessage};
use crate::delivery::breaker::{AttemptOutcome, Breakers};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::domain::calling_code::ByCallingCode;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::originator::{Originator, pick};

/// The providers, and the routes and senders for each calling code.
pub struct Router {
    pub(super) providers: BTreeMap<String, Box<dyn Provider>>,
    pub(super) routes: ByCallingCode<Vec<String>>,
    pub(super) originators: ByCallingCode<Vec<Originator>>,
    /// Leave providers alone that do not work.
    pub(super) breakers: Breakers,
    /// The providers of SMS whose outcome is open, by the id of the SMS.
    pub(super) asked: RefCell<HashMap<String, String>>,
}

impl Router {
    /// The sender of an SMS to a number (MSI-14).
    #[must_use]
    pub fn sender(&self, to: &CanonicalMsisdn, calling_code: Option<u16>) -> Option<Originator> {
        pick(self.originators.get(calling_code), to).cloned()
    }

    /// Sends an SMS with the first provider of the route, or with the next one if
    /// that fails. After an uncertain failure no further provider is tried, neither
    /// now nor by a later call with [`SmsMessage::provider`]: the SMS may be on its way.
    ///
    /// # Errors
    /// All providers failed. A transient failure takes precedence over permanent
    /// ones, since that provider may accept the SMS later.
    pub async fn send(
        &self,
        sms: &SmsMessage,
        calling_code: Option<u16>,
        handover: &Handover,
    ) -> Result<(), SendFailure> {
        let Some(name) = &sms.provider else {
            let route = self.routes.get(calling_code);
            return self.send_by_route(route, sms, handover).await;
        };
        // One that is no longer configured never answers.
        let outcome = if self.providers.contains_key(name) {
            self.send_by(name, sms, handover).await
        } else {
            let route = self.routes.get(calling_code);
            self.send_by_route(route, sms, handover).await
        };
        outcome.map_err(SendFailure::after_uncertain)
    }

    /// The provider that was asked to send an SMS and left the outcome open. It is
    /// forgotten here.
    #[must_use]
    pub fn take_uncertain(&self, id: &str) -> Option<String> {
        self.asked.borrow_mut().remove(id)
    }

    async fn send_by_route(
        &self,
        route: &[String],
        sms: &SmsMessage,
        handover: &Handover,
    ) -> Result<(), SendFailure> {
        let mut last_failure = None;
        for name in route {
            last_failure = match (last_failure, self.send_by(name, sms, handover).await) {
                (_, Ok(())) => return Ok(()),
                (_, Err(uncertain @ SendFailure::Uncertain { .. })) => return Err(uncertain),
                (
                    Some(later @ (SendFailure::Transient { .. } | SendFailure::Throttled { .. })),
                    Err(SendFailure::Permanent { .. } | SendFailure::Paused { .. }),
                )
                | (Some(later @ SendFailure::Paused { .. }), Err(SendFailure::Permanent { .. })) => {
                    Some(later)
                }
                (_, Err(failure)) => Some(failure),
            };
        }
        Err(last_failure
            .unwrap_or_else(|| SendFailure::transient("no provider for this calling code")))
    }

    async fn send_by(
        &self,
        name: &str,
        sms: &SmsMessage,
        handover: &Handover,
    ) -> Result<(), SendFailure> {
        let id = sms.id.as_str();
        let Some(provider) = self.providers.get(name) else {
            return Err(SendFailure::transient("no such provider"));
        };
        let attempt = self
            .breakers
            .enter(name)
            .map_err(|pause| SendFailure::Paused { pause })?;
        // Before the request, because its future may be dropped while it waits.
        self.asked
            .borrow_mut()
            .insert(sms.id.clone(), name.to_owned());
        let outcome = provider.send(sms, handover).await;
        attempt.end(says_of_provider(&outcome));
        match &outcome {
            Ok(()) => log::debug!(id, provider = name; "SMS accepted by a provider"),
            Err(failure) => {
                log::warn!(id, provider = name; "SMS not accepted by a provider: {failure}");
            }
        }
        if !matches!(outcome, Err(SendFailure::Uncertain { .. })) {
            handover.undo();
            self.asked.borrow_mut().remove(&sms.id);
        }
        outcome
    }
}

/// What the outcome of an SMS says of the provider. One that may have accepted an SMS does
/// not work either: further ones may cost money and never arrive.
fn says_of_provider(outcome: &Result<(), SendFailure>) -> AttemptOutcome {
    match outcome {
        Ok(()) | Err(SendFailure::Permanent { .. }) => AttemptOutcome::Works,
        Err(SendFailure::Throttled { pause, .. }) => AttemptOutcome::Throttles(*pause),
        Err(SendFailure::Transient { .. } | SendFailure::Uncertain { .. }) => AttemptOutcome::Fails,
        Err(SendFailure::Misconfigured { .. } | SendFailure::Paused { .. }) => {
            AttemptOutcome::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::future::{LocalBoxFuture, ready};
    use prometheus_client::metrics::gauge::Gauge;

    use super::super::rejected;
    use super::*;
    use crate::delivery::breaker::BreakerPolicy;

    /// A provider with these outcomes, the last one first.
    struct Scripted(RefCell<Vec<Result<(), SendFailure>>>);

    impl Provider for Rc<Scripted> {
        fn send<'a>(
            &'a self,
            _: &'a SmsMessage,
            _: &'a Handover,
        ) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
            let outcome = self.0.borrow_mut().pop();
            ready(outcome.expect("no further request")).boxed_local()
        }
    }

    fn sms(provider: Option<&str>) -> SmsMessage {
        SmsMessage {
            id: "a".to_owned(),
            queued_at: 0,
            to: CanonicalMsisdn::parse("447700900001").unwrap(),
            from: None,
            body: String::new(),
            provider: provider.map(str::to_owned),
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
        let policy = BreakerPolicy {
            failures: 3,
            first: Duration::from_hours(1),
            max: Duration::from_hours(1),
        };
        let providers = names.clone().into_iter();
        Router {
            providers: providers.zip([first, second].map(provider)).collect(),
            routes: for_all(names.to_vec()),
            originators: for_all(Vec::new()),
            breakers: Breakers::new("SMS provider", policy, || 0.0, Gauge::default()),
            asked: RefCell::default(),
        }
    }

    fn scripted(outcomes: &[Result<(), SendFailure>]) -> Rc<Scripted> {
        let outcomes = outcomes.iter().rev().cloned().collect();
        Rc::new(Scripted(RefCell::new(outcomes)))
    }

    async fn send(router: &Router, sms: &SmsMessage) -> Result<(), SendFailure> {
        router.send(sms, None, &Handover::default()).await
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
        let router = router(&first, &second);
        assert_eq!(send(&router, &sms(None)).await, Err(uncertain));
        assert_eq!(router.take_uncertain("a").as_deref(), Some("first"));
        let sms = sms(Some("first"));
        assert_eq!(send(&router, &sms).await, Err(transient));
        // A refusal does not say that the first request was not carried out.
        let refused = send(&router, &sms).await;
        assert!(matches!(refused, Err(SendFailure::Uncertain { .. })));
        assert_eq!(send(&router, &sms).await, Ok(()));
        assert_eq!(router.take_uncertain("a"), None);
        assert_eq!(second.0.borrow().len(), 1, "it was not asked");
    }

    #[tokio::test]
    async fn certain_failure_tries_the_next_provider() {
        let first = scripted(&[Err(SendFailure::transient("x"))]);
        let second = scripted(&[Err(rejected("y", 400, true))]);
        let router = router(&first, &second);
        let outcome = send(&router, &sms(None)).await;
        assert_eq!(outcome, Err(SendFailure::transient("x")));
        assert_eq!(router.take_uncertain("a"), None);
    }

    #[tokio::test]
    async fn provider_that_fails_is_left_alone() {
        let failures = [(); 3].map(|()| Err(SendFailure::transient("x")));
        let first = scripted(&failures);
        let second = scripted(&[
            Ok(()),
            Ok(()),
            Ok(()),
            Ok(()),
            Err(rejected("y", 400, true)),
        ]);
        let router = router(&first, &second);
        for _ in 0..4 {
            assert_eq!(send(&router, &sms(None)).await, Ok(()));
        }
        assert!(first.0.borrow().is_empty(), "asked three times");
        let outcome = send(&router, &sms(None)).await;
        assert!(matches!(outcome, Err(SendFailure::Paused { .. })));
        let outcome = send(&router, &sms(Some("first"))).await;
        assert!(matches!(outcome, Err(SendFailure::Paused { .. })));
    }

    #[tokio::test]
    async fn removed_provider_is_replaced_by_the_route() {
        let first = scripted(&[Err(rejected("x", 400, true))]);
        let second = scripted(&[Err(rejected("y", 400, true))]);
        let router = router(&first, &second);
        let refused = send(&router, &sms(Some("removed"))).await;
        assert!(matches!(refused, Err(SendFailure::Uncertain { .. })));
        assert!(first.0.borrow().is_empty() && second.0.borrow().is_empty());
    }
}
