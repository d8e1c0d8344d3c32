//! Lookups from a standby. Only on PostgreSQL, with a primary and a standby of its own for
//! each test.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sydent::config::{PersonalData, Settings};

use crate::harness::{
    Answer, Api, ClosedPort, CommandOutput, Proxy, ReplicatedPostgres, TermsFile, TestDatabase,
    TestProcess, TestServer, configured, fresh_address, mxid_of, wait_for, wait_until,
};

const MXID: &str = "@alice:example.org";

/// So long that a standby is fresh during the whole test once it was.
const LONG: Duration = Duration::from_mins(5);
const SHORT: Duration = Duration::from_secs(1);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A server with a standby that it uses.
struct Replicated {
    server: TestServer,
    postgres: ReplicatedPostgres,
}

impl Replicated {
    async fn start(max_staleness: Duration) -> Option<Self> {
        Self::start_with(max_staleness, |_settings| ()).await
    }

    async fn start_with(
        max_staleness: Duration,
        change: impl FnOnce(&mut Settings),
    ) -> Option<Self> {
        let postgres = ReplicatedPostgres::start().await?;
        let server = TestServer::start_on(postgres.database(), |settings| {
            settings.database.replica_url = Some(postgres.standby.clone().into());
            settings.database.replica_max_staleness = max_staleness;
            settings.lookup.allow_none = true;
            settings.http.request_timeout = Duration::from_secs(8);
            settings.delivery.answer_within = Duration::from_secs(4);
            change(settings);
        });
        let replicated = Self { server, postgres };
        replicated.wait_for_source("standby").await;
        Some(replicated)
    }

    async fn wait_for_source(&self, source: &str) {
        wait_for(source, async || {
            let ready = self.ready().await;
            (ready.json()["lookups_from"] == source).then_some(())
        })
        .await;
    }

    async fn ready(&self) -> Answer {
        self.server.operations().get("/ready").await
    }

    async fn bind(&self, address: &str) {
        let internal = self.server.internal();
        internal.internal_bind("email", address, MXID).await.ok();
    }

    async fn user_of(&self, address: &str) -> Value {
        let found = self.server.api().lookup("email", address).await.ok();
        found["mxid"].clone()
    }

    /// From now on the standby gets no changes.
    fn pause(&self) {
        self.postgres.copy().execute("SELECT pg_wal_replay_pause()");
    }

    fn resume(&self) {
        self.postgres
            .copy()
            .execute("SELECT pg_wal_replay_resume()");
    }
}

/// OPS-18
#[actix_web::test]
async fn lookups_come_from_a_fresh_standby() {
    let Some(replicated) = Replicated::start(LONG).await else {
        return;
    };
    let (known, new) = (fresh_address("known"), fresh_address("new"));
    replicated.bind(&known).await;
    wait_for("the standby", async || {
        (replicated.user_of(&known).await == MXID).then_some(())
    })
    .await;
    replicated.pause();
    replicated.bind(&new).await;
    assert_eq!(mxid_of(&replicated.server, &new).await, None);
    assert_eq!(
        mxid_of(&replicated.server, &known).await.as_deref(),
        Some(MXID)
    );
    let internal = replicated.server.internal();
    let path = format!("/_matrix/identity/internal/lookup?medium=email&address={new}");
    assert_eq!(internal.get(&path).await.ok()["mxid"], MXID);
    replicated.resume();
    wait_for("the new one", async || {
        (replicated.user_of(&new).await == MXID).then_some(())
    })
    .await;
    let metrics = replicated.server.operations().get("/metrics").await.text();
    let counted = "sydent_replica_lookups_total{source=\"standby\"} ";
    assert!(metrics.contains(counted), "{metrics}");
    let staleness = metrics.lines().find_map(|line| {
        let number = line.strip_prefix("sydent_replica_staleness_seconds ")?;
        number.parse::<f64>().ok()
    });
    assert!(
        staleness.is_some_and(|staleness| staleness > 0.0),
        "{metrics}"
    );
}

/// OPS-18
#[actix_web::test]
async fn standby_beyond_the_bound_is_not_asked() {
    let Some(replicated) = Replicated::start(SHORT).await else {
        return;
    };
    let address = fresh_address("lagging");
    replicated.pause();
    replicated.bind(&address).await;
    replicated.wait_for_source("database").await;
    assert_eq!(replicated.user_of(&address).await, MXID);
    assert_eq!(replicated.ready().await.status, 200);
    replicated.resume();
    replicated.wait_for_source("standby").await;
    assert_eq!(replicated.user_of(&address).await, MXID);
}

/// OPS-18
#[actix_web::test]
async fn role_at_the_standby_needs_only_select() {
    let Some(postgres) = ReplicatedPostgres::start().await else {
        return;
    };
    let primary = postgres.database();
    primary.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'");
    let mut url = url::Url::parse(&postgres.standby).unwrap();
    url.set_username("reader").unwrap();
    url.set_password(Some("secret")).unwrap();
    let server = TestServer::start_on(postgres.database(), |settings| {
        settings.database.replica_url = Some(url.to_string().into());
    });
    let replicated = Replicated { server, postgres };
    replicated.wait_for_source("database").await;
    let address = fresh_address("reader");
    replicated.bind(&address).await;
    assert_eq!(replicated.user_of(&address).await, MXID);
    primary.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    replicated.wait_for_source("standby").await;
    assert_eq!(replicated.user_of(&address).await, MXID);
}

/// OPS-19
#[actix_web::test]
async fn lookups_go_on_while_the_primary_is_away() {
    let Some(mut replicated) = Replicated::start(Duration::from_secs(10)).await else {
        return;
    };
    let address = fresh_address("away");
    let proven = replicated.server.validate(&address).await;
    replicated.bind(&address).await;
    let user = replicated.server.account(MXID).await;
    let pepper = user.hash_details().await.ok()["lookup_pepper"].clone();
    let asked = json!({
        "algorithm": "none", "pepper": pepper, "addresses": [format!("{address} email")],
    });
    wait_for("the standby", async || {
        let copy = replicated.postgres.copy();
        let tokens = copy.count("access_tokens WHERE last_used_at IS NOT NULL");
        (tokens == 1 && copy.count("associations") == 1).then_some(())
    })
    .await;

    replicated.postgres.order("stop primary");
    let stopped = Instant::now();
    let (api, internal) = (replicated.server.api(), replicated.server.internal());
    while stopped.elapsed() < Duration::from_secs(12) {
        assert_eq!(replicated.user_of(&address).await, MXID);
        let new = fresh_address("other");
        assert_eq!(replicated.user_of(&new).await, Value::Null, "lent");
        let bulk = api.bulk_lookup(json!([["email", address]])).await.ok();
        assert_eq!(bulk["threepids"][0][2], MXID);
        assert_eq!(user.hash_details().await.ok()["lookup_pepper"], pepper);
        let found = user.hashed_lookup(asked.clone()).await.ok();
        assert_eq!(found["mappings"].as_object().unwrap().len(), 1);
        actix_web::rt::time::sleep(Duration::from_millis(200)).await;
    }
    let ready = replicated.ready().await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["database"], "unavailable");
    assert_eq!(ready.json()["writes"], "unavailable");
    assert_eq!(ready.json()["lookups_from"], "standby");
    for answer in [
        internal.internal_bind("email", &address, MXID).await,
        user.bind(&proven.sid, &proven.client_secret, MXID).await,
        user.logout().await,
        // Known to neither: only the database could say that it is not valid.
        api.with_token("unknown").hash_details().await,
    ] {
        answer.refused(503, "M_UNKNOWN");
    }

    replicated.postgres.order("stop standby");
    replicated.wait_for_source("nowhere").await;
    let answer = replicated.server.api().lookup("email", &address).await;
    answer.refused(503, "M_UNKNOWN");
    assert_eq!(replicated.ready().await.status, 503);
    replicated.postgres.order("start standby");
    replicated.wait_for_source("standby").await;
    assert_eq!(replicated.ready().await.status, 200);
    assert_eq!(replicated.user_of(&address).await, MXID);

    replicated.postgres.order("start primary");
    wait_for("writes", async || {
        let bound = user.bind(&proven.sid, &proven.client_secret, MXID).await;
        (bound.status == 200).then_some(())
    })
    .await;
    wait_for("writes in the readiness", async || {
        let ready = replicated.ready().await.json();
        (ready["writes"] == "ok" && ready["lookups_from"] == "standby").then_some(())
    })
    .await;
}

/// OPS-19
#[actix_web::test]
async fn lookups_do_not_wait_for_a_silent_primary() {
    let Some(postgres) = ReplicatedPostgres::start().await else {
        return;
    };
    let mut url = url::Url::parse(&postgres.primary).unwrap();
    let proxy = Proxy::to(format!("127.0.0.1:{}", url.port().unwrap()));
    url.set_port(Some(proxy.address.port())).unwrap();
    let database = TestDatabase::existing(url.as_str());
    let server = TestServer::start_with_clock_on(database, |settings| {
        settings.database.replica_url = Some(postgres.standby.clone().into());
        settings.database.replica_max_staleness = Duration::from_secs(2);
        settings.log.personal_data = PersonalData::Pseudonym;
        settings.lookup.allow_none = true;
        settings.http.request_timeout = Duration::from_secs(8);
        settings.delivery.answer_within = Duration::from_secs(4);
    });
    let replicated = Replicated { server, postgres };
    replicated.wait_for_source("standby").await;
    let address = fresh_address("silent");
    let user = replicated.server.account(MXID).await;
    replicated.bind(&address).await;
    wait_for("the standby", async || {
        (replicated.user_of(&address).await == MXID).then_some(())
    })
    .await;
    let pepper = user.hash_details().await.ok()["lookup_pepper"].clone();
    let asked = |pepper: &Value| {
        json!({
            "algorithm": "none", "pepper": pepper, "addresses": [format!("{address} email")],
        })
    };

    // Something is committed up to the last moment, and a new day begins: the log needs
    // another key, and the use of the token is to be recorded.
    let internal = replicated.server.internal();
    let others = fresh_address("others");
    let changes = tokio::task::spawn_local(async move {
        loop {
            internal.internal_bind("email", &others, MXID).await.ok();
        }
    });
    actix_web::rt::time::sleep(Duration::from_secs(1)).await;
    replicated.server.advance(2 * DAY_MS);
    proxy.silence();
    changes.abort();
    let silent_since = Instant::now();
    while silent_since.elapsed() < Duration::from_secs(8) {
        let started = Instant::now();
        // Until the primary is known to be away it gets a second for each of these.
        let limit = if silent_since.elapsed() < Duration::from_secs(3) {
            4
        } else {
            1
        };
        assert_eq!(replicated.user_of(&address).await, MXID);
        assert!(started.elapsed() < Duration::from_secs(limit));
        let started = Instant::now();
        let found = user.hashed_lookup(asked(&pepper)).await.ok();
        assert_eq!(found["mappings"].as_object().unwrap().len(), 1);
        assert!(started.elapsed() < Duration::from_secs(limit));
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
    // A client that needs a lease does not wait for it either.
    let started = Instant::now();
    let many: Vec<Value> = (0..40)
        .map(|_| json!(["email", fresh_address("many")]))
        .collect();
    let api = replicated.server.api();
    let found = api.bulk_lookup(many.into()).await.ok();
    assert_eq!(found, json!({"threepids": []}));
    let other = user.hashed_lookup(asked(&json!("other"))).await;
    let refused = other.refused(400, "M_INVALID_PEPPER");
    assert_eq!(refused["lookup_pepper"], pepper);
    assert!(started.elapsed() < Duration::from_secs(1));
    let started = Instant::now();
    let unknown = api.with_token("unknown").hash_details().await;
    unknown.refused(503, "M_UNKNOWN");
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(replicated.ready().await.status, 200);
    proxy.restore();
    wait_for("writes", async || {
        let internal = replicated.server.internal();
        let bound = internal.internal_bind("email", &address, MXID).await;
        (bound.status == 200).then_some(())
    })
    .await;
}

/// OPS-18
#[actix_web::test]
async fn stale_standby_does_not_replace_the_primary() {
    let Some(mut replicated) = Replicated::start(SHORT).await else {
        return;
    };
    let address = fresh_address("stale");
    replicated.pause();
    replicated.bind(&address).await;
    replicated.wait_for_source("database").await;
    // It must be too old when the primary was last reached.
    actix_web::rt::time::sleep(SHORT).await;
    replicated.postgres.order("stop primary");
    replicated.wait_for_source("nowhere").await;
    let answer = replicated.server.api().lookup("email", &address).await;
    answer.refused(503, "M_UNKNOWN");
    assert_eq!(replicated.ready().await.status, 503);
}

/// OPS-19
#[actix_web::test]
async fn lookups_do_not_notice_a_lost_standby() {
    let Some(mut replicated) = Replicated::start(LONG).await else {
        return;
    };
    let address = fresh_address("standby");
    replicated.bind(&address).await;
    wait_for("the standby", async || {
        (replicated.user_of(&address).await == MXID).then_some(())
    })
    .await;
    replicated.postgres.order("stop standby");
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        let started = Instant::now();
        assert_eq!(replicated.user_of(&address).await, MXID);
        longest = longest.max(started.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    replicated.wait_for_source("database").await;
    assert_eq!(replicated.user_of(&address).await, MXID);
    replicated.postgres.order("start standby");
    replicated.wait_for_source("standby").await;
    assert_eq!(replicated.user_of(&address).await, MXID);
}

/// OPS-20
#[actix_web::test]
async fn what_a_client_just_did_is_known() {
    let terms = TermsFile::with(&[("a", "1", &[("en", "https://a")])]);
    let started = Replicated::start_with(LONG, |settings| terms.configure(settings)).await;
    let Some(replicated) = started else {
        return;
    };
    let address = fresh_address("new");
    replicated.bind(&address).await;
    wait_until("the standby", || {
        replicated.postgres.copy().count("associations") == 1
    })
    .await;
    replicated.pause();

    let user = replicated.server.account(MXID).await;
    user.hash_details().await.refused(403, "M_TERMS_NOT_SIGNED");
    user.accept(json!(["https://a"])).await.ok();
    let old = user.hash_details().await.ok()["lookup_pepper"].clone();
    let rotated = rotate(&replicated, "pepperofthetest");
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    for pepper in [old.as_str().unwrap(), "pepperofthetest"] {
        let fields = json!({
            "algorithm": "none", "pepper": pepper, "addresses": [format!("{address} email")],
        });
        let found = user.hashed_lookup(fields).await.ok();
        assert_eq!(found["mappings"].as_object().unwrap().len(), 1, "{pepper}");
    }
    let fields = json!({"algorithm": "none", "pepper": "wrong", "addresses": []});
    let refused = user
        .hashed_lookup(fields)
        .await
        .refused(400, "M_INVALID_PEPPER");
    assert_eq!(refused["lookup_pepper"], "pepperofthetest");
    user.logout().await.ok();
    user.hash_details().await.refused(401, "M_UNAUTHORIZED");
    let invite = json!({
        "medium": "email", "address": fresh_address("invited"), "room_id": "!a:example.org",
        "sender": "@bob:example.org",
    });
    let bob = replicated.server.account("@bob:example.org").await;
    bob.accept(json!(["https://a"])).await.ok();
    let stored = bob.store_invite(invite).await.ok();
    let key = stored["public_keys"][1]["public_key"].as_str().unwrap();
    let path = format!("/_matrix/identity/v2/pubkey/ephemeral/isvalid?public_key={key}");
    let valid = replicated.server.api().get(&path).await.ok();
    assert_eq!(valid, json!({"valid": true}));
}

/// `sydent pepper rotate`, while the server runs.
fn rotate(replicated: &Replicated, pepper: &str) -> CommandOutput {
    let folder = configured(&replicated.postgres.database(), |_settings| ());
    let command = format!("pepper rotate --config sydent.toml --to {pepper}");
    CommandOutput::run(folder.path(), &command)
}

/// OPS-18
#[actix_web::test]
async fn promoted_standby_is_not_used() {
    let Some(replicated) = Replicated::start(LONG).await else {
        return;
    };
    let address = fresh_address("promoted");
    replicated.postgres.copy().execute("SELECT pg_promote()");
    replicated.wait_for_source("database").await;
    replicated
        .postgres
        .copy()
        .execute("DELETE FROM associations");
    replicated.bind(&address).await;
    assert_eq!(replicated.user_of(&address).await, MXID);
}

/// OPS-19
#[actix_web::test]
async fn standby_with_a_locked_table_is_left() {
    let Some(replicated) = Replicated::start(LONG).await else {
        return;
    };
    let address = fresh_address("locked");
    replicated.bind(&address).await;
    let primary = replicated.postgres.database();
    let locker = lock_associations(&primary.url);
    let copy = replicated.postgres.copy();
    let locks =
        "pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'associations'::regclass";
    wait_until("the lock on the standby", || copy.count(locks) == 1).await;
    replicated.pause();
    drop(locker);
    let started = Instant::now();
    assert_eq!(replicated.user_of(&address).await, MXID);
    assert!(started.elapsed() < Duration::from_secs(4));
    for _ in 0..50 {
        let started = Instant::now();
        assert_eq!(replicated.user_of(&address).await, MXID);
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    replicated.wait_for_source("database").await;
    replicated.resume();
    replicated.wait_for_source("standby").await;
}

/// A connection that has the table to itself until it is dropped.
fn lock_associations(url: &str) -> diesel::PgConnection {
    use diesel::connection::SimpleConnection as _;
    let mut connection = crate::harness::database::connect(url);
    let statements = "BEGIN; LOCK TABLE associations IN ACCESS EXCLUSIVE MODE";
    connection.batch_execute(statements).unwrap();
    connection
}

/// OPS-18
#[actix_web::test]
async fn changes_of_the_source_are_logged_once() {
    let Some(mut postgres) = ReplicatedPostgres::start().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("replica.url");
    std::fs::write(&file, &postgres.standby).unwrap();
    let server = TestProcess::start(&postgres.database(), |settings| {
        settings.database.replica_url_file = Some(file);
    });
    let from_standby = "lookups are answered from the standby";
    server.log_containing(from_standby).await;
    postgres.order("stop standby");
    let lost = "lookups are answered from the database and not from its standby, which does not \
                answer: ";
    server.log_containing(lost).await;
    let api: Api = server.api();
    for _ in 0..30 {
        api.lookup("email", "a@example.org").await.ok();
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
    let log = server.log();
    assert_eq!(log.matches(lost).count(), 1, "{log}");
    assert_eq!(log.matches("request failed: ").count(), 0, "{log}");
    let url = url::Url::parse(&postgres.standby).unwrap();
    assert!(!log.contains(url.password().unwrap()));
    postgres.order("start standby");
    wait_until("the standby", || {
        server.log().matches(from_standby).count() == 2
    })
    .await;
    // It is part of the orderly stop.
    let (log, stopping) = (std::sync::Arc::clone(&server.log), Instant::now());
    server.stop();
    assert!(stopping.elapsed() < Duration::from_secs(10));
    let log = log.lock().unwrap().clone();
    assert!(log.contains("shutdown complete"), "{log}");
}

/// OPS-18, OPS-08
#[actix_web::test]
async fn check_refuses_a_standby_of_another_server() {
    let Some(postgres) = ReplicatedPostgres::start().await else {
        return;
    };
    let check = |replica: &str| {
        let folder = configured(&postgres.database(), |settings| {
            settings.database.replica_url_file = Some("replica.url".into());
        });
        std::fs::write(folder.path().join("replica.url"), replica).unwrap();
        CommandOutput::run(folder.path(), "config check --config sydent.toml")
    };
    let fine = check(&postgres.standby);
    assert_eq!(fine.code, 0, "{}", fine.err);
    let other_database = postgres.standby.replace("/sydent", "/postgres");
    let other_server = TestDatabase::fresh();
    for foreign in [other_server.url.clone(), other_database] {
        let refused = check(&foreign);
        assert_eq!(refused.code, 1, "{}", refused.err);
        let line = "database.replica_url_file: is not a standby of the same database";
        assert!(refused.err.contains(line), "{}", refused.err);
        assert!(refused.err.contains("sydent.toml:"), "{}", refused.err);
    }
    let mut unreachable = url::Url::parse(&postgres.standby).unwrap();
    unreachable
        .set_port(Some(ClosedPort::new().number))
        .unwrap();
    for (url, warning) in [
        (
            unreachable.to_string(),
            "could not be checked, because it did not answer",
        ),
        (
            postgres.primary.replace("127.0.0.1", "localhost"),
            "is not a standby: it accepts changes of its own",
        ),
    ] {
        let warned = check(&url);
        assert_eq!(warned.code, 0, "{}", warned.err);
        assert!(warned.err.contains(warning), "{}", warned.err);
    }
}
