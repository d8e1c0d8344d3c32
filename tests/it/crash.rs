//! kill -9 and a restart: everything that was acknowledged is kept.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use awc::http::Method;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use sydent::domain::ids::KeyId;
use sydent::domain::public_key::PublicKey;
use sydent::domain::signing;

use crate::harness::{
    Api, SERVER_NAME, SmtpServer, TestDatabase, TestProcess, Tls, fresh_address, wait_until,
};

const MXID: &str = "@alice:example.org";
const PUBLIC_KEY: &str = "/_matrix/identity/v2/pubkey/ed25519:0";

#[actix_web::test]
async fn crash_after_each_response_loses_nothing() {
    let database = TestDatabase::fresh();
    let address = fresh_address("crash");

    let process = TestProcess::start(&database, |_| {});
    let requested = process
        .api()
        .request_token(&address, "secret", 1)
        .await
        .ok();
    let process = process.restart();
    let (sid, relay) = (requested["sid"].as_str().unwrap(), SmtpServer::shared());
    let token = relay.mail_to(&address).await.token();
    process.api().submit_token(sid, "secret", &token).await.ok();
    let process = process.restart();
    let validated = process.api().get_validated(sid, "secret").await.ok();
    assert_eq!(validated["address"], address);
    let bound = process.api().bind(sid, "secret", MXID).await.ok();
    let process = process.restart();
    assert_eq!(process.api().lookup("email", &address).await.ok(), bound);
    let internal = process.internal();
    internal.internal_unbind("email", &address, MXID).await.ok();
    let process = process.restart();
    let found = process.api().lookup("email", &address).await.ok();
    assert_eq!(found, json!({}));
    assert_eq!(relay.mails_to(&address).len(), 1);
}

#[actix_web::test]
async fn pepper_and_key_survive_a_crash() {
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, |_| {});
    let key = process.api().get(PUBLIC_KEY).await.ok();
    let address = fresh_address("key");
    let internal = process.internal();
    let signed = internal.internal_bind("email", &address, MXID).await.ok();
    database.execute("CREATE TABLE before_the_crash AS SELECT * FROM lookup_peppers");

    let process = process.restart();
    assert_eq!(process.api().get(PUBLIC_KEY).await.ok(), key);
    let key = PublicKey::from_base64(key["public_key"].as_str().unwrap()).unwrap();
    let id = KeyId::parse("ed25519:0").unwrap();
    let signed = signed.as_object().unwrap();
    assert!(signing::verify(signed, SERVER_NAME, &id, &key));
    assert_eq!(database.count("lookup_peppers"), 1);
    let same = "lookup_peppers JOIN before_the_crash USING (id, pepper, created_at)";
    assert_eq!(database.count(same), 1);
}

#[actix_web::test]
async fn acknowledged_mail_is_sent_after_a_crash() {
    let relay = SmtpServer::start(Tls::None, "localhost", &[]);
    relay.behave(&json!({"delay_ms": 60_000}));
    let (database, address) = (TestDatabase::fresh(), fresh_address("promised"));
    let mut process = TestProcess::start(&database, |settings| {
        relay.configure(settings);
        settings.delivery.answer_within = Duration::from_millis(300);
        settings.delivery.lease = Duration::from_secs(10);
    });
    let api = process.api();
    api.request_token(&address, "secret", 1).await.ok();
    process.kill();
    assert_eq!(relay.mails_to(&address).len(), 0);

    relay.behave(&json!({}));
    let _process = process.restart();
    wait_until("an empty queue", || database.count("outbox") == 0).await;
    assert_eq!(relay.mails_to(&address).len(), 1);
}

/// Binds one address after the other until the server stops answering.
async fn bind_until_killed(api: &Api, acknowledged: &RefCell<Vec<String>>) {
    loop {
        let address = fresh_address("burst");
        let body = json!({"medium": "email", "address": address, "mxid": MXID});
        let path = "/_matrix/identity/internal/bind";
        let json = [("content-type", "application/json")];
        let body = body.to_string().into_bytes();
        match api.try_send(Method::POST, path, &json, body).await {
            Ok(answer) => answer.ok(),
            Err(_closed) => return,
        };
        acknowledged.borrow_mut().push(address);
    }
}

#[actix_web::test]
async fn acknowledged_binds_survive_a_crash() {
    let database = TestDatabase::fresh();
    let mut process = TestProcess::start(&database, |_| {});
    let (api, acknowledged) = (process.internal(), RefCell::default());
    let binders = join_all((0..32).map(|_| bind_until_killed(&api, &acknowledged)));
    let crash = async {
        wait_until("100 binds", || acknowledged.borrow().len() >= 100).await;
        process.kill();
    };
    join(binders, crash).await;

    let process = process.restart();
    let api = process.api();
    for address in acknowledged.into_inner() {
        let found = api.lookup("email", &address).await.ok();
        assert_eq!(found["mxid"], MXID, "{address}");
    }
}

/// Validates one address after the other until the server stops answering.
async fn validate_until_killed(api: &Api, acknowledged: &RefCell<Vec<(String, String)>>) {
    let json = [("content-type", "application/json")];
    let post = async |path: &str, body: Value| {
        let path = format!("/_matrix/identity/api/v1/validate/email/{path}");
        let body = body.to_string().into_bytes();
        let sent = api.try_send(Method::POST, &path, &json, body).await;
        sent.ok().map(|answer| answer.ok())
    };
    loop {
        let address = fresh_address("session");
        let request = json!({"client_secret": "secret", "email": address, "send_attempt": 1});
        let Some(requested) = post("requestToken", request).await else {
            return;
        };
        let sid = requested["sid"].as_str().unwrap().to_owned();
        let token = SmtpServer::shared().mail_to(&address).await.token();
        let submit = json!({"sid": sid, "client_secret": "secret", "token": token});
        let Some(submitted) = post("submitToken", submit).await else {
            return;
        };
        assert_eq!(submitted["success"], true);
        acknowledged.borrow_mut().push((sid, address));
    }
}

/// OPS-06
#[actix_web::test]
async fn sessions_of_many_clients_survive_a_crash() {
    let database = TestDatabase::fresh();
    let mut process = TestProcess::start(&database, |_| {});
    let (api, acknowledged) = (process.api(), RefCell::default());
    let clients = join_all((0..32).map(|_| validate_until_killed(&api, &acknowledged)));
    let crash = async {
        wait_until("100 sessions", || acknowledged.borrow().len() >= 100).await;
        process.kill();
    };
    join(clients, crash).await;

    let process = process.restart();
    let api = process.api();
    for (sid, address) in acknowledged.into_inner() {
        let validated = api.get_validated(&sid, "secret").await.ok();
        assert_eq!(validated["address"], address);
    }
}

/// Which binds succeeded, and how many failed.
#[derive(Default)]
struct Binds {
    acknowledged: RefCell<Vec<String>>,
    failed: Cell<usize>,
}

impl Binds {
    /// Binds one address after the other.
    async fn bind_until(&self, api: &Api, is_over: &Cell<bool>) {
        while !is_over.get() {
            let address = fresh_address("full");
            let answer = api.internal_bind("email", &address, MXID).await;
            match answer.status {
                200 => self.acknowledged.borrow_mut().push(address),
                500 | 503 => self.failed.set(self.failed.get() + 1),
                other => panic!("{other}"),
            }
        }
    }

    async fn until_acknowledged(&self, more: usize) {
        let before = self.acknowledged.borrow().len();
        let are_there = || self.acknowledged.borrow().len() >= before + more;
        wait_until("acknowledged binds", are_there).await;
    }
}

/// What is committed together fails together when the disk is full.
#[cfg(target_os = "linux")]
#[actix_web::test]
async fn full_disk_loses_no_acknowledged_bind() {
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, |_| {});
    let (api, binds, is_over) = (process.internal(), Binds::default(), Cell::new(false));
    let clients = join_all((0..16).map(|_| binds.bind_until(&api, &is_over)));
    let disk = async {
        for _ in 0..3 {
            binds.until_acknowledged(50).await;
            if let Some(log) = database.write_ahead_log() {
                process.limit_files(Some(log.metadata().unwrap().len() + 10_000));
                let before = binds.failed.get();
                wait_until("failed binds", || binds.failed.get() >= before + 20).await;
                process.limit_files(None);
            }
        }
        binds.until_acknowledged(20).await;
        is_over.set(true);
    };
    join(clients, disk).await;

    let process = process.restart();
    let api = process.api();
    for address in binds.acknowledged.into_inner() {
        let found = api.lookup("email", &address).await.ok();
        assert_eq!(found["mxid"], MXID, "{address}");
    }
}
