//! Outages of the database, and the recovery from them.

use std::time::{Duration, Instant};

use serde_json::json;
use sydent::config::Settings;

use crate::harness::{
    Answer, Api, InterruptibleDatabase, SmtpServer, TestProcess, Tls, fresh_address, wait_for,
    wait_until,
};

const MXID: &str = "@alice:example.org";

/// Short timeouts everywhere.
fn short_timeouts(settings: &mut Settings) {
    settings.database.busy_timeout = Duration::from_millis(100);
    settings.http.request_timeout = Duration::from_secs(2);
    settings.delivery.answer_within = Duration::from_secs(1);
}

/// The same, but the server waits for its database for an hour.
fn long_database_timeout(settings: &mut Settings) {
    short_timeouts(settings);
    settings.database.busy_timeout = Duration::from_hours(1);
}

/// A request, and whether it only reads.
const REQUESTS: [(&str, bool); 5] = [
    ("bind", false),
    ("internal bind", false),
    ("requestToken", false),
    ("getValidated3pid", true),
    ("lookup", true),
];

struct Client {
    api: Api,
    internal: Api,
    sid: String,
    address: String,
}

impl Client {
    /// A client with a validated session.
    async fn with_session(server: &TestProcess) -> Self {
        let (api, address) = (server.api(), fresh_address("outage"));
        let sid = api.request_token(&address, "secret", 1).await.ok();
        let sid = sid["sid"].as_str().unwrap().to_owned();
        let mail = SmtpServer::shared().mail_to(&address).await;
        api.submit_token(&sid, "secret", &mail.token()).await.ok();
        let internal = server.internal();
        Self {
            api,
            internal,
            sid,
            address,
        }
    }

    async fn send(&self, request: &str) -> Answer {
        let (sid, address) = (&self.sid, &self.address);
        match request {
            "bind" => self.api.bind(sid, "secret", MXID).await,
            "internal bind" => self.internal.internal_bind("email", address, MXID).await,
            "requestToken" => {
                let address = fresh_address("outage");
                self.api.request_token(&address, "secret", 1).await
            }
            "getValidated3pid" => self.api.get_validated(sid, "secret").await,
            "lookup" => self.api.lookup("email", address).await,
            _ => panic!("unknown request {request}"),
        }
    }

    /// Sends every request; returns how many failed.
    async fn send_all_during(&self, outage: &InterruptibleDatabase) -> usize {
        let mut failed = 0;
        for (request, reads) in REQUESTS {
            let started = Instant::now();
            let answer = self.send(request).await;
            assert!(started.elapsed() < Duration::from_secs(15), "{request}");
            if reads && outage.is_readable() {
                answer.ok();
                continue;
            }
            failed += 1;
            expect_unavailable(&answer, request);
        }
        failed
    }

    async fn send_all(&self) {
        for (request, _) in REQUESTS {
            self.send(request).await.ok();
        }
    }
}

/// Expects a 503 that reveals nothing about the database.
#[track_caller]
fn expect_unavailable(answer: &Answer, request: &str) {
    let body = answer.refused(503, "M_UNKNOWN");
    assert_eq!(answer.header("retry-after"), Some("1"), "{request}");
    let text = body.to_string();
    for leaked in ["127.0.0.1", "sqlite", "locked", "query", "connection"] {
        assert!(!text.contains(leaked), "{request}: {text}");
    }
}

/// The status of the readiness check, and the state of the database in it.
async fn ready(server: &TestProcess) -> (u16, String) {
    let answer = server.operations().get("/ready").await;
    let state = answer.json()["database"].as_str().unwrap().to_owned();
    (answer.status, state)
}

/// Waits longer than an idle connection is reused without a check.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

#[actix_web::test]
async fn requests_are_503_and_recover_after_an_outage() {
    let mut outage = InterruptibleDatabase::fresh();
    let server = TestProcess::start(&outage.database, short_timeouts);
    let client = Client::with_session(&server).await;
    client.send_all().await;
    assert_eq!(ready(&server).await, (200, "ok".to_owned()));

    idle().await;
    outage.cut();
    let failed = client.send_all_during(&outage).await;
    let during = if outage.is_readable() {
        (200, "ok".to_owned())
    } else {
        (503, "unavailable".to_owned())
    };
    assert_eq!(ready(&server).await, during);
    server.operations().get("/health").await.ok();
    let lines = |text| server.log().matches(text).count();
    wait_for("a line of the mail worker", async || {
        (lines("mail worker: cannot read due tasks") > 0).then_some(())
    })
    .await;

    outage.restore();
    client.send_all().await;
    wait_for("the queue", async || {
        (lines("mail worker: due tasks can be read again") == 1).then_some(())
    })
    .await;
    assert_eq!(ready(&server).await, (200, "ok".to_owned()));
    // One line for each failed request, and one for the queue however often it was
    // polled.
    wait_until("the last line", || lines("request failed: ") >= failed).await;
    assert_eq!(lines("request failed: "), failed, "{}", server.log());
    assert_eq!(lines("mail worker: cannot read due tasks"), 1);
    let url = url::Url::parse(&outage.database.url).unwrap();
    if let Some(password) = url.password() {
        assert_eq!(lines(password), 0);
    }
}

#[actix_web::test]
async fn silent_database_times_out() {
    let mut outage = InterruptibleDatabase::fresh();
    let server = TestProcess::start(&outage.database, long_database_timeout);
    let client = Client::with_session(&server).await;
    client.send_all().await;

    outage.silence();
    client.send_all_during(&outage).await;
    server.operations().get("/health").await.ok();

    outage.restore();
    // Requests that waited for the database are handled first.
    wait_for("the database", async || {
        let (status, _) = ready(&server).await;
        (status == 200).then_some(())
    })
    .await;
    client.send_all().await;
}

#[actix_web::test]
async fn request_cut_off_midway_gets_a_response() {
    let mut outage = InterruptibleDatabase::fresh();
    let server = TestProcess::start(&outage.database, long_database_timeout);
    let client = Client::with_session(&server).await;

    // Without a connection to cut, the request ends by the server's own timeout.
    outage.silence();
    let cut = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if !outage.is_readable() {
            outage.cut();
        }
    };
    let (answer, ()) = tokio::join!(client.send("internal bind"), cut);
    expect_unavailable(&answer, "internal bind");
    idle().await;
    outage.restore();
    client.send_all().await;
}

#[actix_web::test]
async fn mail_in_transit_survives_a_database_outage() {
    let mut outage = InterruptibleDatabase::fresh();
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestProcess::start(&outage.database, |settings| {
        short_timeouts(settings);
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_millis(100);
    });
    let api = server.api();
    let waiting = async || outage.direct.count("outbox");
    // One mail is accepted and one is deferred, both during the outage.
    let (accepted, deferred) = (fresh_address("taken"), fresh_address("refused"));
    relay.behave(&json!({"delay_ms": 5000}));
    api.request_token(&accepted, "secret", 1).await.ok();
    relay.behave(&json!({"delay_ms": 5000, "data": "451 4.3.0 later"}));
    api.request_token(&deferred, "secret", 1).await.ok();
    assert_eq!(waiting().await, 2);

    outage.cut();
    relay.behave(&json!({}));
    let first = relay.mail_to(&accepted).await;
    wait_for("the refusal", async || {
        server.log().contains("mail not delivered").then_some(())
    })
    .await;
    assert_eq!(relay.mails_to(&deferred).len(), 0);
    outage.restore();

    let second = relay.mail_to(&deferred).await;
    wait_for("an empty queue", async || {
        (outage.direct.count("outbox") == 0).then_some(())
    })
    .await;
    assert_eq!(relay.mails_to(&accepted).len(), 1, "it is sent only once");
    for mail in [first, second] {
        let sid = mail.parameter("sid");
        api.submit_token(&sid, "secret", &mail.token()).await.ok();
    }
}

#[test]
fn startup_without_the_database_fails() {
    let mut outage = InterruptibleDatabase::fresh();
    for silent in [false, true] {
        if silent {
            outage.silence();
        } else {
            outage.cut();
        }
        let output = TestProcess::start_failing(&outage.database, short_timeouts);
        outage.restore();
        assert_eq!(output.code, 1, "{}", output.err);
        let sentence = "cannot open the database: ";
        assert!(output.err.contains(sentence), "{}", output.err);
    }
}
