//! From a configuration to running owners.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, Addr, Arbiter};
use lettre::message::Mailbox;

use super::{ServerError, replication};
use crate::actor::accounts::Accounts;
use crate::actor::associations::Associations;
use crate::actor::detached::Detached;
use crate::actor::federation::FederationHandle;
use crate::actor::janitor::{Janitor, Stop};
use crate::actor::lookups::Lookups;
use crate::actor::mail_delivery::MailDelivery;
use crate::actor::message_worker::{DeliveryQueue, MessageWorker};
use crate::actor::onbind_worker::OnbindWorker;
use crate::actor::outbox::Outbox;
use crate::actor::pool::{Pool, PoolLimits, State};
use crate::actor::pusher::Pusher;
use crate::actor::replicator::ReplicatorHandle;
use crate::actor::rotation;
use crate::actor::sessions::Sessions;
use crate::actor::signer::Signer;
use crate::actor::sms_delivery::SmsDelivery;
use crate::actor::worker_loop::{WorkerHandle, WorkerSettings};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Provider, Sms};
use crate::db::{Database, Store, peppers};
use crate::delivery::mail::MailTransport;
use crate::delivery::pending_replies::PendingReplies;
use crate::delivery::retry::RetryPolicy;
use crate::delivery::sms::PreparedProviders;
use crate::delivery::templates::Templates;
use crate::delivery::writer::MailWriter;
use crate::domain::ids::ServerName;
use crate::domain::session::SessionLimits;
use crate::domain::signing::KeyRing;
use crate::federation;
use crate::limiter::Limiter;
use crate::limiter::calls::CallLimits;
use crate::metrics::Metrics;
use crate::random;
use crate::terms::CurrentTerms;

const PURGE_EVERY: Duration = Duration::from_mins(10);

/// Milliseconds, as times in the database are.
fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// What every pool is started from.
#[derive(Clone, Copy)]
struct Start<'a> {
    config: &'a Config,
    database: &'a Database,
    metrics: &'a Arc<Metrics>,
}

impl Start<'_> {
    /// The door of each owner: as many as may wait, and as long as a request may
    /// be worked on.
    fn door(self) -> PoolLimits {
        PoolLimits {
            max_queued: u32::try_from(self.config.database.queue).unwrap_or(u32::MAX),
            timeout: self.config.http.request_timeout,
        }
    }

    /// An owner whose threads change the database.
    fn writers<S: State>(self, make: impl Fn(Store) -> S + Send + Sync + 'static) -> Pool<S> {
        let (threads, database) = (self.config.database.writers, self.database.clone());
        let metrics = Arc::clone(self.metrics);
        Pool::start(threads, self.door(), metrics, move || {
            Ok(make(database.writer()?))
        })
    }

    /// An owner whose threads only read it.
    fn readers<S: State>(self, make: impl Fn(Store) -> S + Send + Sync + 'static) -> Pool<S> {
        let (threads, database) = (self.config.database.readers, self.database.clone());
        let metrics = Arc::clone(self.metrics);
        Pool::start(threads, self.door(), metrics, move || {
            Ok(make(database.reader()?))
        })
    }

    fn associations(self, origin: ServerName) -> Pool<Associations> {
        self.writers(move |store| Associations {
            store,
            origin: origin.clone(),
        })
    }

    fn signer(self, keys: Arc<KeyRing>, name: ServerName) -> Pool<Signer> {
        let metrics = Arc::clone(self.metrics);
        Pool::start(1, self.door(), metrics, move || {
            Ok(Signer {
                keys: Arc::clone(&keys),
                name: name.clone(),
            })
        })
    }

    fn detached(self, name: &'static str) -> Detached {
        let metrics = Arc::clone(self.metrics);
        Detached::new(Arbiter::current(), self.door().max_queued, name, metrics)
    }
}

pub(super) fn start(config: Config, clock: Clock) -> Result<App, ServerError> {
    let metrics: Arc<Metrics> = Arc::default();
    let templates = Arc::new(templates(&config)?);
    let transport = MailTransport::open(&config.email)?;
    let texts = PreparedProviders::new(&config.sms)?;
    let terms = CurrentTerms::load(config.terms.clone()).map_err(ServerError::Terms)?;
    let keys = Arc::new(read_keys(&config)?);
    let homeservers = federation::Client::open(&config.federation)?;
    let database = prepare(&config, &clock)?;

    let start = Start {
        config: &config,
        database: &database,
        metrics: &metrics,
    };
    let outbox = start.writers(|store| Outbox { store });
    let limits = session_limits(&config);
    let sessions = start.writers(move |store| Sessions { store, limits });
    let accounts = start.writers(|store| Accounts { store });
    let lookups = start.readers(|store| Lookups { store });
    let origin = config.server.name.clone();
    let associations = start.associations(origin.clone());
    let waiting: Arc<PendingReplies> = Arc::default();
    let instance = random::alphanumeric(16)?;
    let books = DeliveryQueue {
        instance: instance.clone(),
        outbox: outbox.clone(),
        waiting: Arc::clone(&waiting),
        pauses: pauses(&config),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
    };
    let mailer = transport
        .zip(config.email.from.as_ref())
        .map(|(transport, from)| {
            let writer = writer(&config, from, &templates);
            mailer(&config, transport, writer, books.clone())
        });

    let texter = texts.map(|texts| start_texter(&config, texts, books.clone(), &outbox));

    let public_keys = keys.public_keys();
    let signer = start.signer(keys, origin);
    let federation = FederationHandle::start(
        homeservers,
        config.federation.concurrency,
        clock.clone(),
        Arc::clone(&metrics),
    );
    let notifier = notifier(
        &config,
        OnbindWorker {
            books,
            associations: associations.clone(),
            signer: signer.clone(),
            federation: federation.clone(),
            homeservers: config.federation.homeservers.clone(),
            keep_delivered: config.invites.keep_delivered,
        },
    );
    let replicator = replication::replicator(&config, |pauses| Pusher {
        instance: instance.clone(),
        associations: associations.clone(),
        signer: signer.clone(),
        pauses,
        lease: config.delivery.lease,
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        stopping: Cell::default(),
    })?;
    let detached = |name| start.detached(name);
    Ok(App {
        detached: detached("changes"),
        detached_waits: detached("requests for a message"),
        clock,
        instance,
        sessions,
        accounts,
        associations,
        lookups,
        signer,
        outbox,
        mailer,
        notifier,
        texter,
        federation,
        replicator,
        waiting,
        signature_limiter: Limiter::new(&config.limits.signatures_per_client),
        submit_limiter: Limiter::new(&config.limits.submit_per_client),
        lookup_limiter: Limiter::new(&config.limits.lookup_per_client),
        account_limiter: Limiter::new(&config.limits.lookup_per_account),
        register_limits: CallLimits::for_register(&config.limits),
        unbind_limits: CallLimits::for_unbind(&config.limits),
        terms,
        config,
        templates,
        public_keys,
        metrics,
    })
}

pub(super) fn pauses(config: &Config) -> RetryPolicy {
    RetryPolicy {
        first_ms: ms(config.delivery.retry_first),
        max_ms: ms(config.delivery.retry_max),
    }
}

fn templates(config: &Config) -> Result<Templates, ServerError> {
    let templates = Templates::load(&config.templates)?;
    let invites = &config.invites;
    Ok(templates.with_subjects(&invites.subject_room, &invites.subject_space)?)
}

fn mailer(
    config: &Config,
    transport: MailTransport,
    writer: MailWriter,
    books: DeliveryQueue,
) -> WorkerHandle {
    let carrier = MailDelivery {
        writer,
        transport,
        patience: config.email.transport.attempt_limit(),
    };
    let outbox = books.outbox.clone();
    let courier = MessageWorker { books, carrier };
    let pace = pace(config, config.email.concurrency);
    WorkerHandle::start(move || courier, outbox, pace)
}

fn notifier(config: &Config, notifier: OnbindWorker) -> WorkerHandle {
    let outbox = notifier.books.outbox.clone();
    // Slow homeservers must not take all calls.
    let concurrency = (config.federation.concurrency / 2).max(1);
    let pace = pace(config, concurrency);
    WorkerHandle::start(move || notifier, outbox, pace)
}

fn pace(config: &Config, concurrency: usize) -> WorkerSettings {
    WorkerSettings {
        concurrency,
        lease: config.delivery.lease,
        poll_every: config.delivery.poll_every,
    }
}

fn start_texter(
    config: &Config,
    texts: PreparedProviders,
    books: DeliveryQueue,
    outbox: &Pool<Outbox>,
) -> WorkerHandle {
    let (body, patience) = (config.sms.body.clone(), patience(&config.sms));
    let courier = move || MessageWorker {
        books,
        carrier: SmsDelivery {
            body,
            router: texts.open(),
            patience,
        },
    };
    let pace = pace(config, config.sms.concurrency);
    WorkerHandle::start(courier, outbox.clone(), pace)
}

/// A text may be offered to two providers, one after the other.
fn patience(sms: &Sms) -> Duration {
    let limits = sms.providers.values().map(Provider::attempt_limit);
    2 * limits.max().unwrap_or_default() + Duration::from_secs(5)
}

fn session_limits(config: &Config) -> SessionLimits {
    let cap = |tokens| i32::try_from(tokens).unwrap_or(i32::MAX);
    SessionLimits {
        lifetime_ms: ms(config.validation.session_lifetime),
        max_wrong_tokens: cap(config.validation.max_wrong_tokens),
        max_wrong_sms_tokens: cap(config.validation.max_wrong_sms_tokens),
    }
}

fn read_keys(config: &Config) -> Result<KeyRing, ServerError> {
    let file = &config.server.signing_key_file;
    let text = std::fs::read_to_string(file)
        .map_err(|error| ServerError::File(file.display().to_string(), error))?;
    Ok(KeyRing::parse(&text)?)
}

fn prepare(config: &Config, clock: &Clock) -> Result<Database, ServerError> {
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let pepper = rotation::fresh_pepper()?;
    let now = clock.now();
    database.prepare(|connection| match peppers::current(connection)? {
        Some(_) => Ok(()),
        None => peppers::add(connection, &pepper, now),
    })?;
    Ok(database)
}

fn writer(config: &Config, from: &Mailbox, templates: &Arc<Templates>) -> MailWriter {
    MailWriter {
        templates: Arc::clone(templates),
        from: from.clone(),
        public_base_url: config.server.public_base_url.to_string(),
        message_id_host: config.server.name.host().to_owned(),
    }
}

/// Starts what looks at the clock. Only when the server is sure to run: an
/// actor that never had its turn must not outlive its System.
pub(super) fn start_timers(app: &App) -> Timers {
    let validation = &app.config.validation;
    let pepper_age = app.config.lookup.rotate_pepper_every;
    let janitor = Janitor {
        associations: app.associations.clone(),
        outbox: app.outbox.clone(),
        pepper_age_ms: (!pepper_age.is_zero()).then(|| ms(pepper_age)),
        sessions: app.sessions.clone(),
        clock: app.clock.clone(),
        keep_ms: ms(validation
            .session_lifetime
            .saturating_add(validation.keep_expired)),
        every: PURGE_EVERY,
    };
    Timers(janitor.start())
}

/// What looks at the clock.
pub(super) struct Timers(Addr<Janitor>);

impl Timers {
    pub(super) fn stop(&self) {
        // Only fails when it is gone already: its mailbox has nothing else.
        let _ = self.0.try_send(Stop);
    }
}

/// Ends when a part has died that must not.
pub(super) async fn watch(app: &App) -> ServerError {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let parts = [
            (
                "the dispatcher of mail",
                app.mailer.as_ref().is_none_or(WorkerHandle::is_running),
            ),
            ("the dispatcher of notices", app.notifier.is_running()),
            (
                "the dispatcher of texts",
                app.texter.as_ref().is_none_or(WorkerHandle::is_running),
            ),
            (
                "the replicator",
                app.replicator
                    .as_ref()
                    .is_none_or(ReplicatorHandle::is_running),
            ),
            ("the way to homeservers", app.federation.is_running()),
            ("the owner of sessions", app.sessions.is_running()),
            ("the owner of accounts", app.accounts.is_running()),
            ("the owner of associations", app.associations.is_running()),
            ("the owner of look-ups", app.lookups.is_running()),
            ("the signer", app.signer.is_running()),
            ("the owner of the delivery queue", app.outbox.is_running()),
        ];
        if let Some((name, _)) = parts.into_iter().find(|(_, runs)| !runs) {
            return ServerError::Died(name);
        }
    }
}
