//! How many descriptors the process may have, and who gets them.

use log::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, DatabaseUrl, PostgresConnection};
use crate::federation::MAX_IDLE;

/// Connections that each listener other than the client's may have.
const PER_OTHER_LISTENER: usize = 64;

/// Files, pipes, timers and the runtimes of threads.
const BASE: usize = 64;

/// What a thread of a listener needs for its runtime.
const PER_WORKER: usize = 4;

/// A connection to an SQLite database: the file, its log, and the index of the log.
const PER_DATABASE_CONNECTION: usize = 3;

/// A connection to PostgreSQL through TLS: the socket, both ends of the tunnel, the
/// runtime of its thread and, until libpq is connected, the socket that it connects to.
const PER_TLS_CONNECTION: usize = 8;

/// The client listener gets no fewer, whatever the rest needs.
const MIN_CLIENT: usize = 64;

/// Connections that may exist for a moment beyond a limit, until closed ones are gone.
const TRANSIENT: usize = 32;

/// How many connections each listener may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Budget {
    /// The client listener.
    pub(in crate::server) client: usize,
    /// Of those, one client network.
    pub(in crate::server) per_client: usize,
    /// Each other listener.
    pub(in crate::server) other: usize,
    /// Beyond a limit, for a moment.
    pub(in crate::server) transient: usize,
}

/// Raises the limit of descriptors to what the system allows. Returns the limit.
pub(in crate::server) fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            warn!("cannot raise the limit of open files: {error}");
            limit.current
        }
    };
    // Without a limit, there is no number.
    current.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

impl Budget {
    /// Divides `descriptors` so that the database, deliveries, homeservers and the
    /// other listeners always have theirs.
    pub(in crate::server) fn new(config: &Config, descriptors: usize) -> Self {
        let http = &config.http;
        let reserve = reserve(config);
        let client = http
            .max_connections
            .min(descriptors.saturating_sub(reserve).max(MIN_CLIENT));
        if client < http.max_connections {
            warn!(
                "http.max_connections is {client} instead of {}: {descriptors} files may be open, \
                 and {reserve} are kept for everything else",
                http.max_connections
            );
        }
        Self {
            client,
            per_client: http.max_connections_per_client.min(client / 2),
            other: PER_OTHER_LISTENER,
            transient: TRANSIENT,
        }
    }
}

fn reserve(config: &Config) -> usize {
    let settings = &config.database;
    let database = match &settings.url {
        // The readers, the writer, two that read for the same actors, the owner's lock, and
        // one of each thread of requests.
        DatabaseUrl::Sqlite(_) => settings.readers + 4 + request_threads(config),
        DatabaseUrl::Postgres(_) => settings.postgres_connections(),
    };
    let replica = settings.replica.as_ref().map_or(0, |replica| {
        per_connection(&replica.url) * settings.replica_connections()
    });
    let deliveries = config.email.concurrency + config.sms.concurrency;
    // Token checks, and half as many calls for keys and onbind each.
    let homeservers = 2 * config.federation.concurrency + MAX_IDLE;
    BASE + deliveries
        + per_connection(&settings.url) * database
        + replica
        + homeservers
        + PER_WORKER * request_threads(config)
        + 3 * (PER_OTHER_LISTENER + TRANSIENT)
        + TRANSIENT
}

fn per_connection(url: &DatabaseUrl) -> usize {
    match url {
        DatabaseUrl::Postgres(url)
            if url.opened().is_some_and(PostgresConnection::needs_tunnel) =>
        {
            PER_TLS_CONNECTION
        }
        _ => PER_DATABASE_CONNECTION,
    }
}

/// How many threads serve requests: the workers, and one for each of the other listeners.
pub(in crate::server) fn request_threads(config: &Config) -> usize {
    let workers = match config.http.workers {
        0 => available_cpus(),
        workers => workers,
    };
    workers + 3
}

fn available_cpus() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
