//! Full queues, and operations that panic: the client gets an error soon, and
//! afterwards everything works.

use futures_util::FutureExt as _;
use futures_util::future::{join_all, select};
use serde_json::json;
use sydent::actor::pool::{Fault, Operation, Pool, State};
use sydent::app::App;

use crate::harness::{Answer, BlockedActor, TestServer, fresh_address, wait_for};

const QUEUE: usize = 3;

/// One request for each actor, and how the actor's queue is filled.
type Fill = fn(&App) -> BlockedActor;
const QUEUES: [(&str, Fill); 4] = [
    ("getValidated3pid", |app| {
        BlockedActor::new(&app.sessions, QUEUE)
    }),
    ("internal bind", |app| {
        BlockedActor::new(&app.associations, QUEUE)
    }),
    ("lookup", |app| BlockedActor::new(&app.lookups, QUEUE)),
    ("bind", |app| BlockedActor::new(&app.signer, QUEUE)),
];

/// Sends the request with this name.
async fn send(server: &TestServer, request: &str, sid: &str, address: &str) -> Answer {
    let api = server.api();
    match request {
        "ping" => api.get("/_matrix/identity/v2").await,
        "pubkey" => api.get("/_matrix/identity/v2/pubkey/ed25519:0").await,
        "health" => server.operations().get("/health").await,
        "getValidated3pid" => api.get_validated(sid, "secret").await,
        "lookup" => api.lookup("email", address).await,
        "bind" => api.bind(sid, "secret", "@alice:example.org").await,
        "internal bind" => {
            let (internal, mxid) = (server.internal(), "@alice:example.org");
            internal.internal_bind("email", address, mxid).await
        }
        _ => panic!("unknown request {request}"),
    }
}

/// Whether a request passes through the queue that belongs to `queue` in `QUEUES`.
fn passes(request: &str, queue: &str) -> bool {
    match request {
        "bind" => queue != "lookup",
        "internal bind" => matches!(queue, "internal bind" | "bind"),
        _ => request == queue,
    }
}

#[track_caller]
fn expect_unavailable(answer: &Answer, what: &str) {
    let body = answer.refused(503, "M_UNKNOWN");
    let seconds = answer.header("retry-after").map(str::parse::<u32>);
    assert!(matches!(seconds, Some(Ok(1..))), "{what}: {answer:?}");
    let origin = answer.header("access-control-allow-origin");
    let public = !what.starts_with("internal");
    assert_eq!(origin, public.then_some("*"), "{what}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{what}: {body}");
}

#[actix_web::test]
async fn full_queue_returns_503_for_its_requests_only() {
    let server = TestServer::start(|settings| settings.database.queue = QUEUE);
    let session = server.validate(&fresh_address("overload")).await;
    let send = async |request| send(&server, request, &session.sid, &session.address).await;
    for (queue, fill) in QUEUES {
        let full = fill(&server.app);
        for request in ["ping", "pubkey", "health"] {
            send(request).await.ok();
        }
        for (request, _) in QUEUES {
            // On SQLite the operations in the queue have the only thread that writes.
            let waits = (queue, request) == ("getValidated3pid", "internal bind");
            if waits && !server.database.is_postgres() {
                continue;
            }
            let answer = send(request).await;
            if passes(request, queue) {
                expect_unavailable(&answer, &format!("{request}, {queue}"));
            } else {
                answer.ok();
            }
        }
        drop(full);
        // The queue has room when the threads have emptied it.
        let free = async || (send(queue).await.status == 200).then_some(());
        wait_for("room in the queue", free).await;
    }
    let metrics = server.operations().get("/metrics").await.text();
    for actor in ["sessions", "associations", "lookups", "signer"] {
        let line = format!("sydent_actor_rejected_total{{actor=\"{actor}\"}} ");
        assert!(metrics.contains(&line), "{line} {metrics}");
    }
}

#[actix_web::test]
async fn waiting_client_uses_one_queue_slot() {
    let server = TestServer::start(|settings| settings.database.queue = QUEUE);
    let address = fresh_address("overload");
    let held = BlockedActor::new(&server.app.associations, QUEUE - 1);
    let api = server.internal();
    let bind = || Box::pin(api.internal_bind("email", &address, "@alice:example.org"));
    // The queue has room for one of the two: the second one is rejected.
    let (first, waiting) = select(bind(), bind()).await.factor_first();
    expect_unavailable(&first, "internal bind");
    drop(held);
    waiting.await.ok();
}

#[actix_web::test]
async fn detached_work_is_limited() {
    let server = TestServer::start(|settings| settings.database.queue = QUEUE);
    let session = server.validate(&fresh_address("overload")).await;
    let (release, released) = tokio::sync::watch::channel(());
    let detached = server.app.detached.clone();
    let work = (0..QUEUE).map(|_| {
        let mut released = released.clone();
        let mut work = Box::pin(detached.run(async move { released.changed().await.is_ok() }));
        assert!((&mut work).now_or_never().is_none());
        work
    });
    let work: Vec<_> = work.collect();
    let api = server.api();
    let bind = async || api.bind(&session.sid, "secret", "@a:example.org").await;
    expect_unavailable(&bind().await, "bind");
    api.lookup("email", &session.address).await.ok();
    release.send(()).unwrap();
    assert_eq!(join_all(work).await.len(), QUEUE);
    bind().await.ok();
}

#[actix_web::test]
async fn requests_waiting_for_mail_do_not_block_binds() {
    let server = TestServer::start(|settings| settings.database.queue = QUEUE);
    let session = server.validate(&fresh_address("overload")).await;
    let (release, released) = tokio::sync::watch::channel(());
    let waits = server.app.detached_waits.clone();
    let work = (0..QUEUE).map(|_| {
        let mut released = released.clone();
        let mut work = Box::pin(waits.run(async move { released.changed().await.is_ok() }));
        assert!((&mut work).now_or_never().is_none());
        work
    });
    let work: Vec<_> = work.collect();
    let (api, address) = (server.api(), fresh_address("overload"));
    expect_unavailable(
        &api.request_token(&address, "secret", 1).await,
        "requestToken",
    );
    let mxid = "@a:example.org";
    api.bind(&session.sid, "secret", mxid).await.ok();
    release.send(()).unwrap();
    assert_eq!(join_all(work).await.len(), QUEUE);
    api.request_token(&address, "secret", 1).await.ok();
}

#[actix_web::test]
async fn panic_is_a_500_and_the_actor_continues() {
    let server = TestServer::start(|_| {});
    let session = server.validate(&fresh_address("panic")).await;
    let app = &server.app;
    // More often than there are threads: none of them may have ended.
    for _ in 0..5 {
        expect_panic(&app.sessions, |state| {
            drop(state.store.write(sydent::db::LockKey::Job("test"), breaks));
        })
        .await;
        expect_panic(&app.associations, |state| {
            drop(state.store.write(sydent::db::LockKey::Job("test"), breaks));
        })
        .await;
        expect_panic(&app.lookups, |_| panic!("hunter2")).await;
        expect_panic(&app.signer, |_| panic!("hunter2")).await;
    }
    let mxid = "@alice:example.org";
    let api = server.api();
    let bound = api.bind(&session.sid, "secret", mxid).await.ok();
    assert_eq!(api.lookup("email", &session.address).await.ok(), bound);
    assert_eq!(server.database.count("associations"), 1);
    let metrics = server.operations().get("/metrics").await.text();
    let counted = "sydent_actor_panics_total{actor=\"sessions\"} 5";
    assert!(metrics.contains(counted), "{metrics}");
}

/// GEN-25
#[actix_web::test]
async fn unreadable_row_is_a_500_without_details() {
    let server = TestServer::start(|_| {});
    let good = server.validate(&fresh_address("good")).await;
    let bad = server.validate(&fresh_address("bad")).await;
    let damage = "UPDATE validation_sessions SET medium = 'hunter2' WHERE sid = ";
    server.database.execute(&format!("{damage}'{}'", bad.sid));
    let answer = server.api().get_validated(&bad.sid, "secret").await;
    answer.refused(500, "M_UNKNOWN");
    let expected = json!({"errcode": "M_UNKNOWN", "error": "Internal Server Error"});
    assert_eq!(answer.json(), expected);
    server.api().get_validated(&good.sid, "secret").await.ok();
}

fn breaks(_: &mut sydent::db::Conn) -> Result<(), Fault> {
    panic!("hunter2")
}

/// Expects that this operation panics, and that the error for the client reveals
/// nothing.
async fn expect_panic<S: State>(pool: &Pool<S>, act: fn(&mut S)) {
    let fault = pool.send(Act(act)).await.unwrap_err();
    assert!(matches!(fault, Fault::Panicked(_)), "{fault}");
    let error = sydent::error::Error::from(fault);
    let found = (error.status().as_u16(), error.message());
    assert_eq!(found, (500, "Internal Server Error"));
}

struct Act<S>(fn(&mut S));

impl<S: State> Operation for Act<S> {
    type State = S;
    type Output = ();

    fn run(self, state: &mut S) -> Result<(), Fault> {
        (self.0)(state);
        Ok(())
    }
}
