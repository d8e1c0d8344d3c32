//! Starts the delivery workers from a configuration.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;

use super::ServerError;
use crate::actor::associations::Associations;
use crate::actor::delivery_queue::DeliveryQueue;
use crate::actor::federation::FederationHandle;
use crate::actor::mail_delivery::MailDelivery;
use crate::actor::message_worker::MessageWorker;
use crate::actor::onbind_worker::OnbindWorker;
use crate::actor::pool::Pool;
use crate::actor::signer::Signer;
use crate::actor::sms_delivery::SmsDelivery;
use crate::actor::worker_loop::{WorkerHandle, WorkerSettings};
use crate::config::{self, Config, Provider, Sms};
use crate::delivery::breaker::{BreakerPolicy, Breakers};
use crate::delivery::mail::{MailTransport, RelayHealth};
use crate::delivery::retry::RetryPolicy;
use crate::delivery::sms::PreparedProviders;
use crate::delivery::templates::Templates;
use crate::delivery::writer::MailWriter;
use crate::domain::time::duration_ms;
use crate::limiter::Limiter;
use crate::metrics::Metrics;
use crate::random;

/// What the configuration offers to send messages with. Everything that can
/// fail at start is done; nothing has connected yet.
pub(super) struct Transports {
    mail: Option<MailTransport>,
    sms: Option<PreparedProviders>,
}

/// The workers that could be started.
pub(super) struct Workers {
    pub(super) mail: Option<WorkerHandle>,
    pub(super) sms: Option<WorkerHandle>,
    pub(super) relay_health: Option<Arc<RelayHealth>>,
}

/// Creates what would send mail, to see whether that is possible. The folder of
/// captured mail is not created; the configuration was checked for it.
pub(super) fn check_mail(config: &Config) -> Result<(), ServerError> {
    if !matches!(config.email.transport, config::MailTransport::File(_)) {
        open_mail(config)?;
    }
    Ok(())
}

/// The same for SMS.
pub(super) fn check_sms(config: &Config) -> Result<(), ServerError> {
    let mut sms = config.sms.clone();
    sms.providers
        .retain(|_, provider| !matches!(provider, Provider::File { .. }));
    PreparedProviders::new(&sms)?;
    Ok(())
}

fn open_mail(config: &Config) -> Result<Option<MailTransport>, ServerError> {
    let dns_servers = &config.federation.dns_servers;
    Ok(MailTransport::open(&config.email, dns_servers)?)
}

impl Transports {
    pub(super) fn open(config: &Config) -> Result<Self, ServerError> {
        Ok(Self {
            mail: open_mail(config)?,
            sms: PreparedProviders::new(&config.sms)?,
        })
    }

    pub(super) fn start(
        self,
        config: &Config,
        queue: &DeliveryQueue,
        templates: &Arc<Templates>,
    ) -> Workers {
        let relay_health = self.mail.as_ref().and_then(MailTransport::relay_health);
        let mail = self
            .mail
            .zip(config.email.from.as_ref())
            .map(|(mut transport, from)| {
                transport.set_breakers(breakers("mail relay", config, &queue.metrics));
                let delivery = MailDelivery {
                    writer: mail_writer(config, from, templates),
                    transport,
                    timeout: config.email.transport.attempt_limit(),
                };
                let worker = MessageWorker::new(queue.clone(), delivery);
                WorkerHandle::start(move || worker, settings(config, config.email.concurrency))
            });
        let sms = self.sms.map(|providers| {
            let breakers = breakers("SMS provider", config, &queue.metrics);
            let (queue, body, timeout) = (
                queue.clone(),
                config.sms.body.clone(),
                sms_timeout(&config.sms),
            );
            let worker = move || {
                let router = providers.open(breakers);
                let delivery = SmsDelivery {
                    body,
                    router,
                    timeout,
                };
                MessageWorker::new(queue, delivery)
            };
            WorkerHandle::start(worker, settings(config, config.sms.concurrency))
        });
        Workers {
            mail,
            sms,
            relay_health,
        }
    }
}

pub(super) fn start_onbind_worker(
    config: &Config,
    queue: DeliveryQueue,
    associations: Pool<Associations>,
    signer: Pool<Signer>,
    federation: FederationHandle,
) -> WorkerHandle {
    let breakers = breakers("homeserver", config, &queue.metrics);
    let worker = OnbindWorker {
        queue,
        associations,
        signer,
        federation,
        homeservers: config.federation.homeservers.clone(),
        keep_delivered: config.invites.keep_delivered,
        breakers,
        limiter: Limiter::new(
            "limits.onbind_per_homeserver",
            &config.limits.onbind_per_homeserver,
        ),
    };
    // As many as the federation actor has under way at a time.
    let concurrency = (config.federation.concurrency / 2).max(1);
    WorkerHandle::start(move || worker, settings(config, concurrency))
}

/// When messages are tried again.
pub(super) fn retry_policy(config: &Config) -> RetryPolicy {
    RetryPolicy {
        first_ms: duration_ms(config.delivery.retry_first),
        max_ms: duration_ms(config.delivery.retry_max),
    }
}

/// Leave what does not work alone for a while, from the first retry on.
fn breakers(kind: &'static str, config: &Config, metrics: &Metrics) -> Breakers {
    let delivery = &config.delivery;
    let policy = BreakerPolicy {
        failures: delivery.pause_after_failures,
        first: delivery.retry_first,
        max: delivery.pause_max,
    };
    Breakers::new(kind, policy, random::fraction, metrics.paused(kind))
}

fn settings(config: &Config, concurrency: usize) -> WorkerSettings {
    WorkerSettings {
        concurrency,
        lease: config.delivery.lease,
        poll_every: config.delivery.poll_every,
        wake_delay: Duration::ZERO,
    }
}

fn mail_writer(config: &Config, from: &Mailbox, templates: &Arc<Templates>) -> MailWriter {
    MailWriter {
        templates: Arc::clone(templates),
        from: from.clone(),
        public_base_url: config.server.public_base_url.to_string(),
        message_id_host: config.server.name.host().to_owned(),
    }
}

/// An SMS may be offered to two providers, one after the other.
fn sms_timeout(sms: &Sms) -> Duration {
    let limits = sms.providers.values().map(Provider::attempt_limit);
    2 * limits.max().unwrap_or_default() + Duration::from_secs(5)
}
