//! Starts the actors from a configuration.

use std::sync::Arc;

use actix::Arbiter;

use super::parts::{Parts, Stage};
use super::resources::Resources;
use super::{ServerError, delivery, replication};
use crate::actor::accounts::Accounts;
use crate::actor::associations::Associations;
use crate::actor::delivery_queue::DeliveryQueue;
use crate::actor::detached::Detached;
use crate::actor::federation::FederationHandle;
use crate::actor::lookups::Lookups;
use crate::actor::outbox::Outbox;
use crate::actor::pool::{Pool, PoolLimits, State};
use crate::actor::rotation;
use crate::actor::sessions::Sessions;
use crate::actor::signer::Signer;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Database, Owner, Store, peppers};
use crate::delivery::pending_replies::PendingReplies;
use crate::domain::message::InstanceId;
use crate::domain::public_key::PublicKey;
use crate::domain::session::SessionLimits;
use crate::domain::signing::KeyRing;
use crate::domain::time::duration_ms;
use crate::federation;
use crate::limiter::Limiter;
use crate::limiter::calls::CallLimits;
use crate::metrics::Metrics;
use crate::permits::Permits;
use crate::random;
use crate::terms::CurrentTerms;

/// The request bodies that may be larger than `http.max_body_bytes` at a time, each as
/// large as a lookup of `lookup.max_addresses` needs.
const MAX_LARGE_BODIES: u32 = 16;

/// Starts pools and keeps the list of parts.
struct Starter<'a> {
    config: &'a Config,
    database: &'a Database,
    metrics: &'a Arc<Metrics>,
    parts: Parts,
}

impl Starter<'_> {
    fn limits(&self) -> PoolLimits {
        PoolLimits {
            max_queued: u32::try_from(self.config.database.queue).unwrap_or(u32::MAX),
            timeout: self.config.http.request_timeout,
        }
    }

    /// A pool whose threads change the database.
    fn writers<S: State>(&mut self, state: impl Fn(Store) -> S + Send + Sync + 'static) -> Pool<S> {
        let (threads, database) = (self.config.database.writers, self.database.clone());
        let metrics = Arc::clone(self.metrics);
        let pool = Pool::start(threads, self.limits(), metrics, move || {
            Ok(state(database.writer()?))
        });
        self.parts.add(Stage::Data, pool)
    }

    /// A pool whose threads only read the database.
    fn readers<S: State>(&mut self, state: impl Fn(Store) -> S + Send + Sync + 'static) -> Pool<S> {
        let (threads, database) = (self.config.database.readers, self.database.clone());
        let metrics = Arc::clone(self.metrics);
        let pool = Pool::start(threads, self.limits(), metrics, move || {
            Ok(state(database.reader()?))
        });
        self.parts.add(Stage::Data, pool)
    }

    fn signer(&mut self, keys: Arc<KeyRing>) -> Pool<Signer> {
        let (name, metrics) = (self.config.server.name.clone(), Arc::clone(self.metrics));
        let pool = Pool::start(1, self.limits(), metrics, move || {
            Ok(Signer {
                keys: Arc::clone(&keys),
                name: name.clone(),
            })
        });
        self.parts.add(Stage::Data, pool)
    }

    fn federation(&mut self, client: federation::Client, clock: Clock) -> FederationHandle {
        let concurrency = self.config.federation.concurrency;
        let handle = FederationHandle::start(client, concurrency, clock, Arc::clone(self.metrics));
        self.parts.add(Stage::Federation, handle)
    }

    fn detached(&mut self, name: &'static str) -> Detached {
        let (max, metrics) = (self.limits().max_queued, Arc::clone(self.metrics));
        let detached = Detached::new(Arbiter::current(), max, name, metrics);
        self.parts.add(Stage::Requests, detached)
    }
}

/// Starts the actors. The first steps change the database and create the folders of
/// captured messages.
pub(super) fn start(
    config: Config,
    clock: Clock,
    resources: Resources,
) -> Result<(App, Parts), ServerError> {
    let metrics: Arc<Metrics> = Arc::default();
    let terms = CurrentTerms::load(config.terms.clone()).map_err(ServerError::Terms)?;
    let (keys, database) = (resources.keys, resources.database);
    prepare_database(&config, &keys, &database, &clock)?;
    let transports = delivery::Transports::open(&config)?;

    let mut starter = Starter {
        config: &config,
        database: &database,
        metrics: &metrics,
        parts: Parts::default(),
    };
    let limits = session_limits(&config);
    let origin = config.server.name.clone();
    let outbox = starter.writers(|store| Outbox { store });
    let sessions = starter.writers(move |store| Sessions { store, limits });
    let accounts = starter.writers(|store| Accounts { store });
    let lookups = starter.readers(|store| Lookups { store });
    let public_keys = keys.public_keys();
    let own_keys: Vec<PublicKey> = public_keys.iter().map(|(_, key)| *key).collect();
    let associations = starter.writers(move |store| Associations {
        store,
        origin: origin.clone(),
        own_keys: own_keys.clone(),
    });
    let signer = starter.signer(keys);
    let federation = starter.federation(resources.homeservers, clock.clone());

    let pending_replies: Arc<PendingReplies> = Arc::default();
    let instance = InstanceId::from(random::alphanumeric(16)?);
    let queue = DeliveryQueue {
        instance: instance.clone(),
        outbox: outbox.for_background(),
        pending_replies: Arc::clone(&pending_replies),
        retry: delivery::retry_policy(&config),
        lease: config.delivery.lease,
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
    };
    let templates = Arc::new(resources.templates);
    let workers = transports.start(&config, &queue, &templates);
    let onbind_worker = delivery::start_onbind_worker(
        &config,
        queue,
        associations.for_background(),
        signer.for_background(),
        federation.clone(),
    );
    let replicator = replication::start(
        &config,
        resources.peers,
        &instance,
        associations.for_background(),
        signer.for_background(),
        &clock,
        &metrics,
    );
    let optional = [&workers.mail, &workers.sms, &replicator];
    for worker in optional.into_iter().flatten().chain([&onbind_worker]) {
        starter.parts.add(Stage::Workers, worker.clone());
    }
    let (detached, detached_waits) = (
        starter.detached("changes"),
        starter.detached("requests for a message"),
    );
    let parts = starter.parts;
    let app = App {
        detached,
        detached_waits,
        clock,
        instance,
        sessions,
        accounts,
        associations,
        lookups,
        signer,
        outbox,
        mail_worker: workers.mail,
        relay_health: workers.relay_health,
        sms_worker: workers.sms,
        onbind_worker,
        replicator,
        federation,
        pending_replies,
        large_bodies: Permits::new(MAX_LARGE_BODIES),
        signature_limiter: Limiter::new(&config.limits.signatures_per_client),
        submit_limiter: Limiter::new(&config.limits.submit_per_client),
        lookup_limiter: Limiter::new(&config.limits.lookup_per_client),
        account_limiter: Limiter::new(&config.limits.lookup_per_account),
        register_limits: CallLimits::for_register(&config.limits),
        unbind_limits: CallLimits::for_unbind(&config.limits),
        terms,
        templates,
        public_keys,
        metrics,
        config,
    };
    Ok((app, parts))
}

fn session_limits(config: &Config) -> SessionLimits {
    let cap = |tokens| i32::try_from(tokens).unwrap_or(i32::MAX);
    SessionLimits {
        lifetime_ms: duration_ms(config.validation.session_lifetime),
        max_wrong_tokens: cap(config.validation.max_wrong_tokens),
        max_wrong_sms_tokens: cap(config.validation.max_wrong_sms_tokens),
    }
}

/// Migrates the database, and makes the first pepper.
fn prepare_database(
    config: &Config,
    keys: &KeyRing,
    database: &Database,
    clock: &Clock,
) -> Result<(), ServerError> {
    let pepper = rotation::fresh_pepper()?;
    let now = clock.now().as_i64();
    let name = &config.server.name;
    database.prepare_for(Owner { name, keys }, |connection| {
        match peppers::current(connection)? {
            Some(_) => Ok(()),
            None => peppers::set_current(connection, &pepper, now),
        }
    })?;
    Ok(())
}
