//! `/health`, `/ready` and `/metrics`, for monitoring.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::actor::lookups::Ping;
use crate::actor::outbox::{Depth, QueueDepth};
use crate::actor::peers::PeerStates;
use crate::app::App;
use crate::error::Error;

/// A dependency that takes longer is not ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// The process answers.
pub async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// The database and the delivery queue answer: 200, else 503.
pub async fn ready(app: web::Data<App>) -> HttpResponse {
    let database = tokio::time::timeout(PATIENCE, app.lookups.send(Ping)).await;
    let database = matches!(database, Ok(Ok(true)));
    let depth = depth(&app).await;
    let queue = depth.is_some()
        && app
            .mail_worker
            .as_ref()
            .is_none_or(crate::actor::worker_loop::WorkerHandle::is_running);
    let answer = json!({
        "database": word(database),
        "delivery_queue": word(queue),
        "queued_messages": depth.map(|depth| depth.messages),
    });
    if database && queue {
        HttpResponse::Ok().json(answer)
    } else {
        HttpResponse::ServiceUnavailable().json(answer)
    }
}

/// All metrics.
///
/// # Errors
/// Never in practice.
pub async fn metrics(app: web::Data<App>) -> Result<HttpResponse, Error> {
    if let Some(depth) = depth(&app).await {
        app.metrics.queue(depth.messages, age(&app, depth.oldest));
    }
    note_peers(&app).await;
    let text = app
        .metrics
        .render()
        .map_err(|_impossible| Error::internal())?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

/// Notes how far each peer is behind that is pushed to.
async fn note_peers(app: &App) {
    let peers = &app.config.replication.peers;
    if peers.is_empty() {
        return;
    }
    let asked = tokio::time::timeout(PATIENCE, app.associations.send(PeerStates)).await;
    for state in asked.ok().and_then(Result::ok).unwrap_or_default() {
        let name = &state.peer.name;
        if peers.keys().any(|peer| peer.as_str() == name) {
            let age = age(app, state.since);
            app.metrics.peer_behind(name, state.behind, age);
        }
    }
}

/// How long ago that was.
fn age(app: &App, since: Option<i64>) -> Duration {
    let age = since.map_or(0, |since| app.clock.now().saturating_sub(since));
    Duration::from_millis(u64::try_from(age).unwrap_or_default())
}

async fn depth(app: &App) -> Option<Depth> {
    let asked = tokio::time::timeout(PATIENCE, app.outbox.send(QueueDepth)).await;
    asked.ok().and_then(Result::ok)
}

fn word(good: bool) -> &'static str {
    if good { "ok" } else { "unavailable" }
}
