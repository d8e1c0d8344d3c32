//! Too much to do, and a message that panics: the answer is an error, soon,
//! and afterwards everything works.

use futures_util::FutureExt as _;
use futures_util::future::{join_all, select};
use serde_json::json;
use sydent::actor::pool::{Fault, Operation, Pool, State};
use sydent::app::App;

use crate::harness::{Answer, BlockedActor, TestServer, fresh_address, wait_for};

const QUEUE: usize = 3;

/// One request for each owner, and how its door is filled.
type Fill = fn(&App) -> BlockedActor;
const DOORS: [(&str, Fill); 4] = [
    ("getValidated3pid", |app| {
        BlockedActor::new(&app.sessions, QUEUE)
    }),
    ("internal bind", |app| {
        BlockedActor::new(&app.associations, QUEUE)
    }),
    ("lookup", |app| BlockedActor::new(&app.lookups, QUEUE)),
    ("bind", |app| BlockedActor::new(&app.signer, QUEUE)),
];

/// Asks what `request` names.
async fn ask(server: &TestServer, request: &str, sid: &str, address: &str) -> Answer {
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
        _ => panic!("{request} is no request"),
    }
}

/// The requests that go through each door.
fn goes_through(request: &str, door: &str) -> bool {
    match request {
        "bind" => door != "lookup",
        "internal bind" => matches!(door, "internal bind" | "bind"),
        _ => request == door,
    }
}

#[track_caller]
fn turned_away(answer: &Answer, what: &str) {
    let body = answer.refused(503, "M_UNKNOWN");
    let seconds = answer.header("retry-after").map(str::parse::<u32>);
    assert!(matches!(seconds, Some(Ok(1..))), "{what}: {answer:?}");
    let origin = answer.header("access-control-allow-origin");
    let public = !what.starts_with("internal");
    assert_eq!(origin, public.then_some("*"), "{what}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{what}: {body}");
}

#[actix_web::test]
async fn a_full_door_answers_503_at_once_and_leaves_the_others_alone() {
    let server = TestServer::start(|settings| settings.database.queue = QUEUE);
    let session = server.validate(&fresh_address("overload")).await;
    let ask = async |request| ask(&server, request, &session.sid, &session.address).await;
    for (door, fill) in DOORS {
        let full = fill(&server.app);
        for request in ["ping", "pubkey", "health"] {
            ask(request).await.ok();
        }
        for (request, _) in DOORS {
            let answer = ask(request).await;
            if goes_through(request, door) {
                turned_away(&answer, &format!("{request}, {door}"));
            } else {
                answer.ok();
            }
        }
        drop(full);
        // The places are free when the threads have gone through the queue.
        let free = async || (ask(door).await.status == 200).then_some(());
        wait_for("a free place", free).await;
    }
    let metrics = server.operations().get("/metrics").await.text();
    for owner in ["sessions", "associations", "lookups", "signer"] {
        let line = format!("sydent_actor_rejected_total{{actor=\"{owner}\"}} ");
        assert!(metrics.contains(&line), "{line} {metrics}");
    }
}

#[actix_web::test]
async fn a_client_that_waits_takes_one_place_and_gets_its_answer() {
    let server = TestServer::start(|settings| settings.database.queue = QUEUE);
    let address = fresh_address("overload");
    let held = BlockedActor::new(&server.app.lookups, QUEUE - 1);
    let api = server.api();
    let look = || Box::pin(api.lookup("email", &address));
    // There is one place for the two: whoever comes second is turned away.
    let (first, waiting) = select(look(), look()).await.factor_first();
    turned_away(&first, "lookup");
    drop(held);
    waiting.await.ok();
}

#[actix_web::test]
async fn detached_work_has_a_door_too() {
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
    turned_away(&bind().await, "bind");
    api.lookup("email", &session.address).await.ok();
    release.send(()).unwrap();
    assert_eq!(join_all(work).await.len(), QUEUE);
    bind().await.ok();
}

#[actix_web::test]
async fn requests_that_wait_for_mail_leave_bind_its_places() {
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
    turned_away(
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
async fn a_message_that_panics_is_an_error_that_tells_nothing_and_the_owner_goes_on() {
    let server = TestServer::start(|_| {});
    let session = server.validate(&fresh_address("panic")).await;
    let app = &server.app;
    // More often than there are threads: none of them may have died of it.
    for _ in 0..5 {
        panics(&app.sessions, |of| {
            drop(of.store.write(sydent::db::LockKey::Job("test"), breaks));
        })
        .await;
        panics(&app.associations, |of| {
            drop(of.store.write(sydent::db::LockKey::Job("test"), breaks));
        })
        .await;
        panics(&app.lookups, |_| panic!("hunter2")).await;
        panics(&app.signer, |_| panic!("hunter2")).await;
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

#[actix_web::test]
async fn gen_25_a_row_that_does_not_read_is_a_500_that_tells_nothing() {
    let server = TestServer::start(|_| {});
    let good = server.validate(&fresh_address("good")).await;
    let bad = server.validate(&fresh_address("bad")).await;
    let damage = "UPDATE validation_sessions SET medium = 'hunter2' WHERE sid = ";
    server.database.execute(&format!("{damage}'{}'", bad.sid));
    let answer = server.api().get_validated(&bad.sid, "secret").await;
    answer.refused(500, "M_UNKNOWN");
    let told = json!({"errcode": "M_UNKNOWN", "error": "Internal Server Error"});
    assert_eq!(answer.json(), told);
    server.api().get_validated(&good.sid, "secret").await.ok();
}

fn breaks(_: &mut sydent::db::Conn) -> Result<(), Fault> {
    panic!("hunter2")
}

/// Expects that what the owner does with that message is a panic, and that a
/// client would be told as little as possible.
async fn panics<S: State>(pool: &Pool<S>, act: fn(&mut S)) {
    let fault = pool.send(Act(act)).await.unwrap_err();
    assert!(matches!(fault, Fault::Panicked(_)), "{fault}");
    let error = sydent::error::Error::from(fault);
    let told = (error.status().as_u16(), error.message());
    assert_eq!(told, (500, "Internal Server Error"));
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
