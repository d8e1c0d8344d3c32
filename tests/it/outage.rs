//! The database goes away and comes back.

use std::time::{Duration, Instant};

use serde_json::json;
use sydent::config::Settings;

use crate::harness::{
    Answer, Api, InterruptibleDatabase, SmtpServer, TestProcess, Tls, fresh_address, wait_for,
    wait_until,
};

const MXID: &str = "@alice:example.org";

/// Nothing is waited for long.
fn brief(settings: &mut Settings) {
    settings.database.busy_timeout = Duration::from_millis(100);
    settings.http.request_timeout = Duration::from_secs(2);
    settings.delivery.answer_within = Duration::from_secs(1);
}

/// The same, but that the server waits for its database for ever, if need be.
fn patient_with_the_database(settings: &mut Settings) {
    brief(settings);
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
    async fn of(server: &TestProcess) -> Self {
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

    async fn ask(&self, request: &str) -> Answer {
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
            _ => panic!("{request} is no request"),
        }
    }

    /// Asks everything; answers how many requests failed.
    async fn ask_all_during(&self, outage: &InterruptibleDatabase) -> usize {
        let mut failed = 0;
        for (request, reads) in REQUESTS {
            let begun = Instant::now();
            let answer = self.ask(request).await;
            assert!(begun.elapsed() < Duration::from_secs(15), "{request}");
            if reads && outage.is_readable() {
                answer.ok();
                continue;
            }
            failed += 1;
            turned_away(&answer, request);
        }
        failed
    }

    async fn ask_all(&self) {
        for (request, _) in REQUESTS {
            self.ask(request).await.ok();
        }
    }
}

/// Expects a 503 that tells nothing of the database.
#[track_caller]
fn turned_away(answer: &Answer, request: &str) {
    let body = answer.refused(503, "M_UNKNOWN");
    assert_eq!(answer.header("retry-after"), Some("1"), "{request}");
    let text = body.to_string();
    for leaked in ["127.0.0.1", "sqlite", "locked", "query", "connection"] {
        assert!(!text.contains(leaked), "{request}: {text}");
    }
}

/// The state that monitoring sees, and the database's word in it.
async fn ready(server: &TestProcess) -> (u16, String) {
    let answer = server.operations().get("/ready").await;
    let word = answer.json()["database"].as_str().unwrap().to_owned();
    (answer.status, word)
}

/// Waits longer than a connection is used without a look at whether it lives.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

#[actix_web::test]
async fn without_the_database_answers_are_503_and_with_it_the_first_request_works() {
    let mut outage = InterruptibleDatabase::fresh();
    let server = TestProcess::start(&outage.database, brief);
    let client = Client::of(&server).await;
    client.ask_all().await;
    assert_eq!(ready(&server).await, (200, "ok".to_owned()));

    idle().await;
    outage.cut();
    let failed = client.ask_all_during(&outage).await;
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
    client.ask_all().await;
    wait_for("the queue", async || {
        (lines("mail worker: due tasks can be read again") == 1).then_some(())
    })
    .await;
    assert_eq!(ready(&server).await, (200, "ok".to_owned()));
    // A line for each failed request, and one for the queue however often it
    // was looked at.
    wait_until("the last line", || lines("request failed: ") >= failed).await;
    assert_eq!(lines("request failed: "), failed, "{}", server.log());
    assert_eq!(lines("mail worker: cannot read due tasks"), 1);
    let url = url::Url::parse(&outage.database.url).unwrap();
    if let Some(password) = url.password() {
        assert_eq!(lines(password), 0);
    }
}

#[actix_web::test]
async fn a_silent_database_keeps_nobody_waiting_for_ever() {
    let mut outage = InterruptibleDatabase::fresh();
    let server = TestProcess::start(&outage.database, patient_with_the_database);
    let client = Client::of(&server).await;
    client.ask_all().await;

    outage.silence();
    client.ask_all_during(&outage).await;
    server.operations().get("/health").await.ok();

    outage.restore();
    // What waited for the database comes first.
    wait_for("the database", async || {
        let (status, _) = ready(&server).await;
        (status == 200).then_some(())
    })
    .await;
    client.ask_all().await;
}

#[actix_web::test]
async fn who_was_in_the_middle_when_the_line_was_cut_gets_an_answer() {
    let mut outage = InterruptibleDatabase::fresh();
    let server = TestProcess::start(&outage.database, patient_with_the_database);
    let client = Client::of(&server).await;

    // Where there is no line to cut, it ends when the server has waited for
    // long enough.
    outage.silence();
    let cut = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if !outage.is_readable() {
            outage.cut();
        }
    };
    let (answer, ()) = tokio::join!(client.ask("internal bind"), cut);
    turned_away(&answer, "internal bind");
    idle().await;
    outage.restore();
    client.ask_all().await;
}

#[actix_web::test]
async fn mail_that_was_on_its_way_is_delivered_and_tried_again_after_the_outage() {
    let mut outage = InterruptibleDatabase::fresh();
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    let server = TestProcess::start(&outage.database, |settings| {
        brief(settings);
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_millis(100);
    });
    let api = server.api();
    let waiting = async || outage.direct.count("outbox");
    // One is taken and one is refused for the moment, both during the outage.
    let (taken, refused) = (fresh_address("taken"), fresh_address("refused"));
    relay.behave(&json!({"delay_ms": 5000}));
    api.request_token(&taken, "secret", 1).await.ok();
    relay.behave(&json!({"delay_ms": 5000, "data": "451 4.3.0 later"}));
    api.request_token(&refused, "secret", 1).await.ok();
    assert_eq!(waiting().await, 2);

    outage.cut();
    relay.behave(&json!({}));
    let first = relay.mail_to(&taken).await;
    wait_for("the refusal", async || {
        server.log().contains("mail not delivered").then_some(())
    })
    .await;
    assert_eq!(relay.mails_to(&refused).len(), 0);
    outage.restore();

    let second = relay.mail_to(&refused).await;
    wait_for("an empty queue", async || {
        (outage.direct.count("outbox") == 0).then_some(())
    })
    .await;
    assert_eq!(relay.mails_to(&taken).len(), 1, "it is sent only once");
    for mail in [first, second] {
        let sid = mail.parameter("sid");
        api.submit_token(&sid, "secret", &mail.token()).await.ok();
    }
}

#[test]
fn a_start_without_the_database_ends_with_a_sentence() {
    let mut outage = InterruptibleDatabase::fresh();
    for silent in [false, true] {
        if silent {
            outage.silence();
        } else {
            outage.cut();
        }
        let told = TestProcess::start_failing(&outage.database, brief);
        outage.restore();
        assert_eq!(told.code, 1, "{}", told.err);
        let sentence = "cannot open the database: ";
        assert!(told.err.contains(sentence), "{}", told.err);
    }
}
