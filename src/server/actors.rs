//! Starts the actors from a configuration.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use actix::Arbiter;

use super::connections::request_threads;
use super::parts::{Parts, Stage};
use super::replica::{self, LookupReads};
use super::resources::Resources;
use super::{ServerError, delivery, prepared, replication};
use crate::actor::accounts::Accounts;
use crate::actor::associations::Associations;
use crate::actor::delivery_queue::DeliveryQueue;
use crate::actor::detached::Detached;
use crate::actor::federation::FederationHandle;
use crate::actor::lookups::Lookups;
use crate::actor::outbox::Outbox;
use crate::actor::pool::{Here, Pool, PoolLimits, State, Threads};
use crate::actor::sessions::Sessions;
use crate::actor::signer::Signer;
use crate::actor::worker_loop::WorkerHandle;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, PersonalData};
use crate::db::{Database, Store};
use crate::delivery::pending_replies::PendingReplies;
use crate::delivery::templates::Templates;
use crate::domain::ids::KeyId;
use crate::domain::lookup;
use crate::domain::message::InstanceId;
use crate::domain::public_key::PublicKey;
use crate::domain::session::SessionLimits;
use crate::domain::session_secrets::HashKey;
use crate::domain::signing::KeyRing;
use crate::domain::time::duration_ms;
use crate::federation::{self, PeerClient};
use crate::limiter::all::Limiters;
use crate::metrics::Metrics;
use crate::permits::{BodyLimits, Turns};
use crate::pseudonyms::Pseudonyms;
use crate::random;
use crate::terms::CurrentTerms;

/// Starts pools and keeps the list of parts.
struct Starter<'a> {
    config: &'a Config,
    database: &'a Database,
    metrics: &'a Arc<Metrics>,
    clock: &'a Clock,
    /// Unless each pool has its own.
    shared: Option<SharedThreads>,
    parts: Parts,
}

/// The threads of all pools that change an SQLite database.
struct SharedThreads {
    /// The only one that writes.
    writer: Threads,
    /// Those that read for the same actors, while it writes.
    readers: Threads,
    /// Short reads, on the threads of the requests.
    here: Here,
}

impl SharedThreads {
    fn start(config: &Config, database: &Database, metrics: &Arc<Metrics>) -> Self {
        let (writer, reader) = (database.clone(), database.clone());
        let here = database.clone();
        let readers = config.database.readers.min(MAX_SHARED_READERS);
        Self {
            writer: Threads::connected(1, Arc::clone(metrics), move || writer.group_writer()),
            readers: Threads::connected(readers, Arc::clone(metrics), move || reader.reader()),
            here: Here::new(request_threads(config), move |threads| {
                here.short_reader(threads)
            }),
        }
    }
}

/// What these read is small and soon read.
const MAX_SHARED_READERS: usize = 2;

/// The actors that own data, and the one that calls homeservers.
struct Actors {
    outbox: Pool<Outbox>,
    sessions: Pool<Sessions>,
    accounts: Pool<Accounts>,
    lookups: Pool<Lookups>,
    associations: Pool<Associations>,
    signer: Pool<Signer>,
    federation: FederationHandle,
}

/// What was started.
struct Running {
    actors: Actors,
    background: Background,
    detached: [Detached; 3],
    limiters: Limiters,
    reads: LookupReads,
}

/// What works without a request.
struct Background {
    messages: delivery::Workers,
    onbind: WorkerHandle,
    replicator: Option<WorkerHandle>,
}

/// What the workers send with, and to.
struct Outgoing<'a> {
    transports: delivery::Transports,
    templates: &'a Arc<Templates>,
    peers: Vec<(String, PeerClient)>,
}

/// What requests and workers share.
struct Shared {
    instance: InstanceId,
    pending_replies: Arc<PendingReplies>,
    templates: Arc<Templates>,
    metrics: Arc<Metrics>,
    terms: CurrentTerms,
    public_keys: Vec<(KeyId, PublicKey)>,
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
        let (limits, metrics) = (self.limits(), Arc::clone(self.metrics));
        let pool = if let Some(shared) = &self.shared {
            Pool::on(shared.writer.clone(), limits, metrics, state)
                .with_readers(shared.readers.clone())
                .with_short_reads(shared.here.clone(), shared.readers.clone())
        } else {
            let (threads, database) = (self.config.database.writers, self.database.clone());
            let connect = move || database.writer();
            let threads = Threads::connected(threads, Arc::clone(self.metrics), connect);
            Pool::on(threads, limits, metrics, state)
        };
        self.parts.add(Stage::Data, pool)
    }

    /// A pool whose threads only read the database.
    fn readers<S: State>(&mut self, state: impl Fn(Store) -> S + Send + Sync + 'static) -> Pool<S> {
        let (threads, database) = (self.config.database.readers, self.database.clone());
        let (connect, metrics) = (move || database.reader(), Arc::clone(self.metrics));
        let (limits, shared_metrics) = (self.limits(), Arc::clone(self.metrics));
        let pool = if let Some(shared) = &self.shared {
            // Only long reads run on them.
            let threads = Threads::behind_requests(threads, metrics, connect);
            Pool::on(threads, limits, shared_metrics, state)
                .with_short_reads(shared.here.clone(), shared.readers.clone())
        } else {
            let threads = Threads::connected(threads, metrics, connect);
            Pool::on(threads, limits, shared_metrics, state)
        };
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

    fn federation(&mut self, client: federation::Client) -> FederationHandle {
        let (concurrency, clock) = (self.config.federation.concurrency, self.clock.clone());
        let handle = FederationHandle::start(client, concurrency, clock, Arc::clone(self.metrics));
        self.parts.add(Stage::Federation, handle)
    }

    fn detached(&mut self, name: &'static str) -> Detached {
        let (max, metrics) = (self.limits().max_queued, Arc::clone(self.metrics));
        let detached = Detached::new(Arbiter::current(), max, name, metrics);
        self.parts.add(Stage::Requests, detached)
    }

    fn actors(
        &mut self,
        keys: Arc<KeyRing>,
        homeservers: federation::Client,
        hash_key: HashKey,
    ) -> Actors {
        let limits = session_limits(self.config);
        let origin = self.config.server.name.clone();
        let own_keys = keys.public_keys().into_iter().map(|(_, key)| key);
        let own_keys: Vec<PublicKey> = own_keys.collect();
        Actors {
            outbox: self.writers(|store| Outbox { store }),
            sessions: self.writers(move |store| Sessions {
                store,
                limits,
                hash_key: hash_key.clone(),
            }),
            accounts: self.writers(|store| Accounts { store }),
            lookups: self.readers(|store| Lookups { store }),
            associations: self.writers(move |store| Associations {
                store,
                origin: origin.clone(),
                own_keys: own_keys.clone(),
            }),
            signer: self.signer(keys),
            federation: self.federation(homeservers),
        }
    }

    fn background(
        &mut self,
        actors: &Actors,
        queue: DeliveryQueue,
        outgoing: Outgoing<'_>,
    ) -> Background {
        let (config, instance) = (self.config, queue.instance.clone());
        let messages = outgoing
            .transports
            .start(config, &queue, outgoing.templates);
        let onbind = delivery::start_onbind_worker(
            config,
            queue,
            actors.associations.for_background(),
            actors.signer.for_background(),
            actors.federation.clone(),
        );
        let replicator = replication::start(
            config,
            outgoing.peers,
            &instance,
            actors.associations.for_background(),
            actors.signer.for_background(),
            self.clock,
            self.metrics,
        );
        let optional = [&messages.mail, &messages.sms, &replicator];
        for worker in optional.into_iter().flatten().chain([&onbind]) {
            self.parts.add(Stage::Workers, worker.clone());
        }
        Background {
            messages,
            onbind,
            replicator,
        }
    }
}

/// Starts the actors. The first steps change the database and create the folders of
/// captured messages.
pub(super) fn start(
    config: Config,
    clock: Clock,
    resources: Resources,
) -> Result<(App, Parts), ServerError> {
    let shared = Shared {
        instance: InstanceId::from(random::alphanumeric(16)?),
        pending_replies: Arc::default(),
        templates: Arc::new(resources.templates),
        metrics: resources.metrics,
        terms: CurrentTerms::load(config.terms.clone()).map_err(ServerError::Terms)?,
        public_keys: resources.keys.public_keys(),
    };
    let (keys, database) = (resources.keys, resources.database);
    let secrets = prepared::prepare(&config, &keys, &database, &clock)?;
    let transports = delivery::Transports::open(&config)?;

    let mut starter = Starter {
        config: &config,
        database: &database,
        metrics: &shared.metrics,
        clock: &clock,
        shared: database
            .has_one_writer()
            .then(|| SharedThreads::start(&config, &database, &shared.metrics)),
        parts: Parts::default(),
    };
    let actors = starter.actors(keys, resources.homeservers, secrets.hash_key);
    let queue = DeliveryQueue {
        instance: shared.instance.clone(),
        outbox: actors.outbox.for_background(),
        pending_replies: Arc::clone(&shared.pending_replies),
        retry: delivery::retry_policy(&config),
        lease: config.delivery.lease,
        clock: clock.clone(),
        metrics: Arc::clone(&shared.metrics),
    };
    let outgoing = Outgoing {
        transports,
        templates: &shared.templates,
        peers: resources.peers,
    };
    let background = starter.background(&actors, queue, outgoing);
    let detached =
        ["changes", "requests for a message", "unbinds"].map(|name| starter.detached(name));
    let places = starter.limits().max_queued;
    let limiters = Limiters::new(&config.limits, places, secrets.counters);
    let pools = (actors.lookups.clone(), actors.accounts.clone());
    let limits = starter.limits();
    let mut parts = starter.parts;
    let reads = replica::start(
        &config,
        &database,
        pools,
        limits,
        &shared.metrics,
        &mut parts,
    );
    let running = Running {
        actors,
        background,
        detached,
        limiters,
        reads,
    };
    Ok((app(config, clock, shared, running), parts))
}

fn app(config: Config, clock: Clock, shared: Shared, running: Running) -> App {
    let Running {
        actors,
        background,
        detached: [detached, detached_waits, detached_unbinds],
        limiters,
        reads,
    } = running;
    let pseudonyms = (config.log.personal_data == PersonalData::Pseudonym)
        .then(|| Pseudonyms::new(actors.associations.clone(), clock.clone()));
    App {
        pseudonyms,
        detached,
        detached_waits,
        detached_unbinds,
        clock,
        instance: shared.instance,
        sessions: actors.sessions,
        accounts: actors.accounts,
        associations: actors.associations,
        lookups: actors.lookups,
        lookup_reads: reads.lookups,
        account_reads: reads.accounts,
        replica: reads.state,
        signer: actors.signer,
        outbox: actors.outbox,
        mail_worker: background.messages.mail,
        relay_health: background.messages.relay_health,
        sms_worker: background.messages.sms,
        onbind_worker: background.onbind,
        replicator: background.replicator,
        federation: actors.federation,
        pending_replies: shared.pending_replies,
        body_limits: BodyLimits::new(
            config.http.max_body_bytes,
            lookup::max_bytes(config.lookup.max_addresses),
        ),
        requests_in_work: Turns::new(
            config.http.max_requests_per_client,
            config.http.max_connections_per_client,
        ),
        limiters,
        untrusted_proxy: Once::new(),
        terms: shared.terms,
        templates: shared.templates,
        public_keys: shared.public_keys,
        metrics: shared.metrics,
        is_stopping: AtomicBool::new(false),
        config,
    }
}

fn session_limits(config: &Config) -> SessionLimits {
    let cap = |tokens| i32::try_from(tokens).unwrap_or(i32::MAX);
    SessionLimits {
        lifetime_ms: duration_ms(config.validation.session_lifetime),
        max_wrong_tokens: cap(config.validation.max_wrong_tokens),
        max_wrong_sms_tokens: cap(config.validation.max_wrong_sms_tokens),
    }
}
