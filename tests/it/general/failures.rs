//! Internal errors: the client does not learn the cause.

use std::panic::panic_any;

use actix_web::dev::Service as _;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, test, web};
use serde_json::json;
use sydent::actor::lookups::Lookups;
use sydent::actor::pool::{Fault, Operation};
use sydent::actor::sessions::Sessions;
use sydent::error::Error;
use sydent::http::{allow_all_origins, catch_panic, envelope};

use crate::harness::{Answer, TestServer};

const SECRET: &str = "what nobody may read";

struct PanickingLookup;

impl Operation for PanickingLookup {
    type State = Lookups;
    type Output = ();

    fn run(self, _state: &mut Lookups) -> Result<(), Fault> {
        panic_any(SECRET)
    }
}

struct PanickingSubmission;

impl Operation for PanickingSubmission {
    type State = Sessions;
    type Output = ();

    fn run(self, state: &mut Sessions) -> Result<(), Fault> {
        state
            .store
            .write(sydent::db::LockKey::Job("key"), |_connection| {
                panic_any(SECRET)
            })
    }
}

type SharedApp = web::Data<sydent::app::App>;

async fn lookup(app: SharedApp) -> Result<HttpResponse, Error> {
    app.lookups.send(PanickingLookup).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn submission(app: SharedApp) -> Result<HttpResponse, Error> {
    app.sessions.send(PanickingSubmission).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn detached(app: SharedApp) -> Result<HttpResponse, Error> {
    app.detached.run(async { panic_any(SECRET) }).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn handler() -> Result<HttpResponse, Error> {
    panic_any(SECRET)
}

/// Calls handlers that panic, wrapped like those of the server.
async fn call(server: &TestServer, path: &str) -> Answer {
    let route = |path: &str| web::resource(path.to_owned()).wrap(from_fn(catch_panic));
    let service = test::init_service(
        App::new()
            .app_data(web::Data::from(server.app.clone()))
            .service(route("/lookup").to(lookup))
            .service(route("/submission").to(submission))
            .service(route("/detached").to(detached))
            .service(route("/handler").to(handler))
            .wrap(from_fn(envelope))
            .wrap(from_fn(allow_all_origins)),
    )
    .await;
    let request = test::TestRequest::get().uri(path).to_request();
    let response = service.call(request).await.unwrap();
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    Answer {
        status: response.status().as_u16(),
        headers,
        body: test::read_body(response).await.to_vec(),
    }
}

/// GEN-25, GEN-14
#[actix_web::test]
async fn panic_is_a_500_without_details() {
    let server = TestServer::start(|_| {});
    // More often than any actor has threads.
    for _ in 0..3 {
        for path in ["/lookup", "/submission", "/detached", "/handler"] {
            let answer = call(&server, path).await;
            answer.is_internal_error();
            answer.has_cors_headers();
        }
    }
    let (api, address) = (server.api(), "alice@example.com");
    let bound = server
        .internal()
        .internal_bind("email", address, "@alice:example.org")
        .await;
    assert_eq!(api.lookup("email", address).await.ok(), bound.ok());
    api.get_validated("x", "secret")
        .await
        .refused(404, "M_NO_VALID_SESSION");
    let metrics = server.operations().get("/metrics").await.text();
    for actor in ["lookups", "sessions"] {
        let line = format!("sydent_actor_panics_total{{actor=\"{actor}\"}} 3");
        assert!(metrics.contains(&line), "{line} not in {metrics}");
    }
}

/// GEN-25, GEN-14
#[actix_web::test]
async fn rejected_write_is_a_500_without_details() {
    let server = TestServer::start(|_| {});
    let internal = server.internal();
    internal
        .internal_bind("email", "a@example.com", "@alice:example.org")
        .await
        .ok();
    server
        .database
        .execute("CREATE UNIQUE INDEX leaked ON associations (mxid)");
    let answer = internal
        .internal_bind("email", "b@example.com", "@alice:example.org")
        .await;
    answer.is_internal_error();

    let found = server.api().lookup("email", "a@example.com").await.ok();
    assert_eq!(found["mxid"], "@alice:example.org");
    assert_eq!(
        server.api().lookup("email", "b@example.com").await.ok(),
        json!({})
    );
}

/// GEN-25, GEN-14
#[actix_web::test]
async fn unavailable_database_is_a_503_without_details() {
    let server = TestServer::start(|_| {});
    server
        .database
        .execute("ALTER TABLE associations RENAME TO elsewhere");
    let answer = server.api().lookup("email", "a@example.com").await;
    let refused = answer.refused(503, "M_UNKNOWN");
    assert_eq!(
        refused["error"],
        "The database is unavailable; try again later"
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    answer.has_cors_headers();

    server
        .database
        .execute("ALTER TABLE elsewhere RENAME TO associations");
    assert_eq!(
        server.api().lookup("email", "a@example.com").await.ok(),
        json!({})
    );
}
