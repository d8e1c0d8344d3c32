//! Health and metrics, for monitoring.
//!
//! - `GET /health`
//! - `GET /ready`
//! - `GET /metrics`

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::describe::{DescribeResponse, Description};
use super::resource::Endpoint;
use crate::actor::lookups::Ping;
use crate::actor::outbox::{Depth, QueueDepth};
use crate::actor::peers::PeerStates;
use crate::actor::replica::Place;
use crate::actor::worker_loop::WorkerHandle;
use crate::app::App;
use crate::domain::time::UnixMillis;
use crate::error::Error;
use crate::flow::sms_budget;

/// How long a check of a dependency may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The process is running.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthResponse {
    /// Always `ok`.
    status: &'static str,
}

pub(super) const HEALTH: Endpoint = Endpoint {
    summary: "Check that the process is running",
    errors: &[],
};

/// Returns that the process is running.
pub(super) async fn health() -> web::Json<HealthResponse> {
    web::Json(HealthResponse { status: "ok" })
}

// The mail relay does not count: all instances use the same one, and taking them out
// of a load balancer would end lookups too.
/// Whether the server can do its work; each check is `ok` or `unavailable`.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether the database answers.
    database: Check,
    /// Whether the delivery queue answers and its mail worker is running.
    delivery_queue: Check,
    /// Whether changes can be made, if there is a standby: the database is a primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<Check>,
    /// Where lookups are answered, if there is a standby: `standby`, `database` or `nowhere`.
    #[serde(skip_serializing_if = "Option::is_none")]
    lookups_from: Option<&'static str>,
    /// Whether the database is away, and lookups are answered.
    #[serde(skip)]
    has_only_standby: bool,
    /// Whether the server is about to stop, and load balancers should send no more requests.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shutting_down: bool,
    /// How many messages are in the delivery queue.
    queued_messages: Option<i64>,
    /// The mail relay, if the last attempt to send an email failed because of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_relay: Option<MailRelay>,
}

/// A mail relay that takes no email at the moment.
#[derive(Serialize, ToSchema)]
struct MailRelay {
    /// Its host and port.
    name: String,
    /// `refuses` if it refused the email, otherwise `no_answer`.
    state: &'static str,
    /// The seconds since the first failure after the last success.
    failing_for_seconds: u64,
    /// The number of failed attempts since then.
    failed_attempts: u64,
    /// Why the last attempt failed, with addresses masked.
    last_failure: String,
}

impl MailRelay {
    fn failing(app: &App) -> Option<Self> {
        let trouble = app.relay_health.as_ref()?.trouble()?;
        Some(Self {
            name: trouble.relay,
            state: if trouble.replied {
                "refuses"
            } else {
                "no_answer"
            },
            failing_for_seconds: trouble.failing_for.as_secs(),
            failed_attempts: trouble.failures,
            last_failure: trouble.reason,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Check {
    Ok,
    Unavailable,
}

impl From<bool> for Check {
    fn from(ok: bool) -> Self {
        if ok { Self::Ok } else { Self::Unavailable }
    }
}

impl Readiness {
    /// All instances lose the database together. Those that a load balancer leaves out could
    /// not answer lookups either.
    fn works(&self) -> bool {
        let all = self.database == Check::Ok && self.delivery_queue == Check::Ok;
        all || self.has_only_standby
    }
}

impl Responder for Readiness {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        if self.works() && !self.shutting_down {
            HttpResponse::Ok().json(self)
        } else {
            HttpResponse::ServiceUnavailable().json(self)
        }
    }
}

impl DescribeResponse for Readiness {
    fn describe(operation: &mut Description) {
        let text = "All checks are `ok`, or the database is away and its standby answers lookups.";
        operation.response::<Self>("200", text);
        operation.response::<Self>(
            "503",
            "A check is `unavailable`, or the server is about to stop.",
        );
    }
}

pub(super) const READY: Endpoint = Endpoint {
    summary: "Check that the database and the delivery queue are available",
    errors: &[],
};

/// Checks the database and the delivery queue.
pub(super) async fn ready(app: web::Data<App>) -> Readiness {
    let database = tokio::time::timeout(CHECK_TIMEOUT, app.lookups.send(Ping)).await;
    let depth = depth(&app).await;
    let is_answering = matches!(database, Ok(Ok(true)));
    let replica = app.replica.as_ref();
    let place = replica.map(|replica| replica.place());
    let mail_runs = app
        .mail_worker
        .as_ref()
        .is_none_or(WorkerHandle::is_running);
    Readiness {
        database: is_answering.into(),
        delivery_queue: (depth.is_some() && mail_runs).into(),
        writes: replica.map(|replica| (is_answering && replica.accepts_changes()).into()),
        has_only_standby: place == Some(Place::StandbyAlone),
        lookups_from: place.map(|place| match place {
            Place::Standby | Place::StandbyAlone => "standby",
            Place::Primary => "database",
            Place::Neither | Place::Nowhere => "nowhere",
        }),
        shutting_down: app.is_stopping(),
        queued_messages: depth.map(|depth| depth.messages),
        mail_relay: MailRelay::failing(&app),
    }
}

/// All metrics in the OpenMetrics format.
pub(super) struct Metrics(String);

impl Responder for Metrics {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().content_type(OPENMETRICS).body(self.0)
    }
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl DescribeResponse for Metrics {
    fn describe(operation: &mut Description) {
        operation.text_response("200", OPENMETRICS, "The metrics.");
    }
}

pub(super) const METRICS: Endpoint = Endpoint {
    summary: "Get all metrics",
    errors: &[],
};

/// Returns all metrics.
pub(super) async fn metrics(app: web::Data<App>) -> Result<Metrics, Error> {
    if let Some(depth) = depth(&app).await {
        app.metrics.queue(depth.messages, age(&app, depth.oldest));
    }
    if app.sms_worker.is_some() {
        let observing = sms_budget::observe(&app);
        let _ = tokio::time::timeout(CHECK_TIMEOUT, observing).await;
    }
    measure_peers(&app).await;
    match app.metrics.render() {
        Ok(text) => Ok(Metrics(text)),
        Err(_not_writable) => Err(Error::internal()),
    }
}

/// Sets the metrics of how far each peer is behind.
async fn measure_peers(app: &App) {
    let peers = &app.config.replication.peers;
    if peers.is_empty() {
        return;
    }
    let states = tokio::time::timeout(CHECK_TIMEOUT, app.associations.send(PeerStates)).await;
    for state in states.ok().and_then(Result::ok).unwrap_or_default() {
        let name = &state.peer.name;
        if peers.keys().any(|peer| peer.as_str() == name) {
            let age = age(app, state.since.map(UnixMillis::new));
            app.metrics.peer_behind(name, state.behind, age);
        }
    }
}

/// The time since then; zero where there is no such time.
fn age(app: &App, since: Option<UnixMillis>) -> Duration {
    since.map_or(Duration::ZERO, |since| app.clock.now().since(since))
}

async fn depth(app: &App) -> Option<Depth> {
    let depth = tokio::time::timeout(CHECK_TIMEOUT, app.outbox.send(QueueDepth)).await;
    depth.ok().and_then(Result::ok)
}
