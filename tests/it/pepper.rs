//! Rotation of the lookup pepper (LKP-11).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use sydent::actor::rotation::{RotatePepper, RotationStart, RotationStep};
use sydent::config::Settings;
use sydent::domain::lookup::{self, Pepper};
use tempfile::TempDir;

use crate::harness::{Api, CommandOutput, TestDatabase, TestServer, test_settings, wait_for};

/// A folder with the configuration of a server on this database.
pub fn configured(url: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let settings = test_settings(&folder, &TestDatabase::existing(url));
    let text = unmasked(&settings, url);
    std::fs::write(folder.path().join("sydent.toml"), text).unwrap();
    folder
}

/// Settings as text. Serialization masks values that may contain a password.
pub fn unmasked(settings: &Settings, url: &str) -> String {
    let text = toml::to_string(settings).unwrap();
    let section = text.find("[database]").unwrap();
    let (before, database) = text.split_at(section);
    let masked = database.lines().find(|line| line.starts_with("url = "));
    let database = database.replacen(masked.unwrap(), &format!("url = {url:?}"), 1);
    format!("{before}{database}")
}

fn rotate(url: &str, arguments: &str) -> CommandOutput {
    let command = format!("pepper rotate --config sydent.toml {arguments}");
    CommandOutput::run(configured(url).path(), &command)
}

async fn pepper_of(api: &Api) -> String {
    let details = api.hash_details().await.ok();
    details["lookup_pepper"].as_str().unwrap().to_owned()
}

/// A hashed lookup with the current pepper.
async fn look_up(api: &Api, addresses: &[String]) -> Value {
    wait_for("a lookup between two rotations", async || {
        let pepper = pepper_of(api).await;
        let parsed = Pepper::parse(&pepper).unwrap();
        let hash = |address: &String| lookup::hash(address, "email", &parsed);
        let hashes: Vec<String> = addresses.iter().map(hash).collect();
        let fields = json!({"algorithm": "sha256", "pepper": pepper, "addresses": hashes});
        let answer = api.hashed_lookup(fields).await;
        if answer.status == 400 {
            answer.refused(400, "M_INVALID_PEPPER");
            return None;
        }
        Some(answer.ok()["mappings"].clone())
    })
    .await
}

/// What a lookup with that pepper finds.
async fn look_up_with(api: &Api, pepper: &str, addresses: &[String]) -> Map<String, Value> {
    let parsed = Pepper::parse(pepper).unwrap();
    let hash = |address: &String| lookup::hash(address, "email", &parsed);
    let hashes: Vec<String> = addresses.iter().map(hash).collect();
    let fields = json!({"algorithm": "sha256", "pepper": pepper, "addresses": hashes});
    let found = api.hashed_lookup(fields).await.ok()["mappings"].clone();
    found.as_object().unwrap().clone()
}

async fn expect_refused(api: &Api, pepper: &str, current: &str) {
    for algorithm in ["sha256", "none"] {
        let fields = json!({"algorithm": algorithm, "pepper": pepper, "addresses": []});
        let refused = api.hashed_lookup(fields).await;
        let refused = refused.refused(400, "M_INVALID_PEPPER");
        assert_eq!(refused["lookup_pepper"], current);
    }
}

/// One step of a rotation.
async fn step(server: &TestServer, pepper: &str, start: RotationStart) -> RotationStep {
    let step = RotatePepper {
        pepper: Pepper::parse(pepper).unwrap(),
        start,
        now: server.now(),
    };
    server.app.associations.send(step).await.unwrap()
}

/// Creates `count` associations, of the addresses `N@example.com`.
async fn fill(server: &TestServer, count: usize) {
    let first = server
        .internal()
        .internal_bind("email", "0@example.com", "@a:example.org")
        .await;
    first.ok();
    server.database.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
         INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
         lookup_hash, signed) SELECT medium, n.i || '@example.com', origin, mxid, ts, not_before, \
         not_after, 'x' || n.i, signed FROM associations, n",
        count - 1
    ));
}

/// LKP-11
#[actix_web::test]
async fn rotate_command_affects_every_instance() {
    let one = TestServer::start(|_| {});
    let url = one.database.url.clone();
    let other = TestServer::start(|settings| settings.database.url = Some(url.clone().into()));
    let addresses = ["a@example.com", "b@example.com"].map(str::to_owned);
    for address in &addresses {
        one.internal()
            .internal_bind("email", address, "@a:example.org")
            .await
            .ok();
    }
    let alice = one.account("@alice:example.org").await;
    let bob = other.account("@bob:example.org").await;
    let old = pepper_of(&alice).await;
    let output = rotate(&url, "");
    assert_eq!((output.code, output.err.as_str()), (0, ""));
    assert!(output.out.contains(": 2."), "{}", output.out);
    let new = pepper_of(&alice).await;
    assert_ne!(old, new);
    for api in [&alice, &bob] {
        assert_eq!(pepper_of(api).await, new);
        assert_eq!(look_up(api, &addresses).await.as_object().unwrap().len(), 2);
        assert_eq!(look_up_with(api, &old, &addresses).await.len(), 2);
        let details = api.hash_details().await.ok();
        assert_eq!(details["alt_lookup_peppers"], json!([old]));
        expect_refused(api, "never", &new).await;
    }
    let output = rotate(&url, "--to matrixrocks");
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(pepper_of(&bob).await, "matrixrocks");
    expect_refused(&bob, &old, "matrixrocks").await;
    assert_eq!(look_up_with(&alice, &new, &addresses).await.len(), 2);
    let again = rotate(&url, "--to matrixrocks");
    assert_eq!((again.code, again.out.as_str()), (1, ""));
    assert!(again.err.contains("nothing was changed"), "{}", again.err);
    assert_eq!(
        look_up(&bob, &addresses).await.as_object().unwrap().len(),
        2
    );
    assert_eq!(
        one.database.count("lookup_peppers"),
        2,
        "the current and the previous one"
    );
}

/// LKP-02
#[test]
fn rotate_rejects_an_invalid_pepper_or_database() {
    let database = TestDatabase::fresh();
    for bad in ["a-b", "é", &"x".repeat(256)] {
        let output = rotate(&database.url, &format!("--to {bad}"));
        assert_eq!(output.code, 2, "{}", output.err);
        assert!(output.err.contains("letters and digits"), "{}", output.err);
    }
    let output = rotate(&database.url, "");
    assert_eq!((output.code, output.out.as_str()), (1, ""));
    assert!(
        output.err.contains("cannot open the database"),
        "{}",
        output.err
    );
    if let Some(file) = database.url.strip_prefix("sqlite:") {
        assert!(
            !std::path::Path::new(file).exists(),
            "the file is not created either"
        );
    }
}

/// LKP-11
#[actix_web::test]
async fn binds_during_a_rotation_are_found() {
    let server = TestServer::start(|_| {});
    let url = server.database.url.clone();
    // Enough for a rotation to take a while.
    fill(&server, 5000).await;
    let alice = server.account("@alice:example.org").await;
    let (rotations, enough) = (Arc::new(AtomicUsize::new(0)), 5);
    let rotated = Arc::clone(&rotations);
    let rotating = std::thread::spawn(move || {
        while rotated.load(Ordering::SeqCst) < enough {
            let output = rotate(&url, "");
            assert_eq!(output.code, 0, "{}", output.err);
            rotated.fetch_add(1, Ordering::SeqCst);
        }
    });
    // Some bind new addresses, and some rebind those that a rotation has hashed.
    let binder = async |binder: usize| {
        let mut bound = Vec::new();
        while !rotating.is_finished() {
            let n = bound.len();
            let address = match binder % 2 {
                0 => format!("{n}@example.com"),
                _ => format!("user-{binder}-{n}@example.com"),
            };
            let answer = server
                .internal()
                .internal_bind("email", &address, "@b:example.org")
                .await;
            answer.ok();
            // A binding is found as soon as it is acknowledged.
            let found = look_up(&alice, std::slice::from_ref(&address)).await;
            assert_eq!(found.as_object().unwrap().len(), 1, "{address}");
            bound.push(address);
        }
        bound
    };
    let bound: HashSet<String> = join_all((0..4).map(binder))
        .await
        .concat()
        .into_iter()
        .collect();
    rotating.join().unwrap();
    let bound: Vec<String> = bound.into_iter().collect();
    assert!(!bound.is_empty());
    let found = look_up(&alice, &bound).await;
    assert_eq!(found.as_object().unwrap().len(), bound.len());
    let owned = |mxid: &Value| mxid == "@b:example.org";
    assert!(found.as_object().unwrap().values().all(owned));
}

/// LKP-11
#[actix_web::test]
async fn rotation_hashes_more_than_one_batch() {
    let server = TestServer::start(|_| {});
    fill(&server, 5000).await;
    let output = rotate(&server.database.url, "");
    assert!(
        output.out.contains(": 5000."),
        "{} {}",
        output.out,
        output.err
    );
    let addresses: Vec<String> = (0..5000).map(|n| format!("{n}@example.com")).collect();
    let alice = server.account("@alice:example.org").await;
    let found = look_up(&alice, &addresses).await;
    assert_eq!(found.as_object().unwrap().len(), 5000);
}

/// LKP-11
#[actix_web::test]
async fn old_pepper_is_rotated_by_one_instance() {
    let server = TestServer::start_with_clock(|_| {});
    let url = server.database.url.clone();
    server
        .internal()
        .internal_bind("email", "a@example.com", "@a:example.org")
        .await
        .ok();
    let alice = server.account("@alice:example.org").await;
    let old = pepper_of(&alice).await;
    let start = |hours: u64| {
        TestServer::start_with_clock_on(TestDatabase::existing(&url), move |settings| {
            settings.lookup.rotate_pepper_every = std::time::Duration::from_hours(hours);
        })
    };
    let instance = start(2);
    // Stopping it waits for the check that it makes at the start.
    drop(instance);
    assert_eq!(pepper_of(&alice).await, old, "the pepper is not old enough");
    server
        .database
        .execute("UPDATE lookup_peppers SET created_at = created_at - 7200000");
    let instances: Vec<_> = (0..3).map(|_| start(2)).collect();
    let new = wait_for("another pepper", async || {
        Some(pepper_of(&alice).await).filter(|pepper| *pepper != old)
    })
    .await;
    assert_eq!(
        look_up(&alice, &["a@example.com".to_owned()])
            .await
            .as_object()
            .unwrap()
            .len(),
        1
    );
    drop(instances);
    assert_eq!(pepper_of(&alice).await, new, "only one of them rotated it");
}

/// LKP-11, LKP-23
#[actix_web::test]
async fn former_pepper_is_answered_for_ten_minutes() {
    const MINUTE: i64 = 60_000;
    let server = TestServer::start_with_clock(|_| {});
    let internal = server.internal();
    let alice = server.account("@alice:example.org").await;
    let bind = async |address: &str, user: &str| {
        internal.internal_bind("email", address, user).await.ok();
        // Two bindings at the same time are one after the other.
        server.advance(1);
    };
    bind("a@example.com", "@a:example.org").await;
    bind("b@example.com", "@b:example.org").await;
    let old = pepper_of(&alice).await;
    let details = alice.hash_details().await.ok();
    assert_eq!(details.get("alt_lookup_peppers"), None);
    let new = "new";
    step(&server, new, RotationStart::Now).await;
    step(&server, new, RotationStart::Never).await;
    assert_eq!(pepper_of(&alice).await, new);
    // Changes after the rotation are found with both.
    bind("a@example.com", "@other:example.org").await;
    bind("c@example.com", "@c:example.org").await;
    let unbound = internal.internal_unbind("email", "b@example.com", "@b:example.org");
    unbound.await.ok();
    let addresses = ["a", "b", "c"].map(|name| format!("{name}@example.com"));
    server.advance(10 * MINUTE - 5000);
    for pepper in [&old, new] {
        let found = look_up_with(&alice, pepper, &addresses).await;
        let mut users: Vec<_> = found.values().map(|user| user.as_str().unwrap()).collect();
        users.sort_unstable();
        assert_eq!(users, ["@c:example.org", "@other:example.org"], "{pepper}");
    }
    server.advance(5001);
    expect_refused(&alice, &old, new).await;
    let details = alice.hash_details().await.ok();
    assert_eq!(details.get("alt_lookup_peppers"), None);
    assert_eq!(look_up_with(&alice, new, &addresses).await.len(), 2);
    // The next rotation takes the place of the former one.
    assert_eq!(
        step(&server, new, RotationStart::Never).await,
        RotationStep::Idle
    );
    assert_eq!(server.database.count("lookup_peppers"), 1);
    step(&server, "third", RotationStart::Now).await;
    step(&server, "third", RotationStart::Never).await;
    for pepper in [new, "third"] {
        assert_eq!(look_up_with(&alice, pepper, &addresses).await.len(), 2);
    }
}

/// LKP-11
#[actix_web::test]
async fn interrupted_rotation_is_completed() {
    let server = TestServer::start(|_| {});
    fill(&server, 1200).await;
    let alice = server.account("@alice:example.org").await;
    let old = pepper_of(&alice).await;
    let start = step(&server, "next", RotationStart::Now).await;
    assert_eq!(start, RotationStep::Hashed(0));
    let first = step(&server, "unused", RotationStart::Never).await;
    assert_eq!(first, RotationStep::Hashed(500));
    // Until it is complete, lookups know nothing of it.
    let details = alice.hash_details().await.ok();
    assert_eq!(details["lookup_pepper"], old);
    assert_eq!(details.get("alt_lookup_peppers"), None);
    expect_refused(&alice, "next", &old).await;
    let internal = server.internal();
    for address in ["late@example.com", "3@example.com", "1100@example.com"] {
        let bound = internal.internal_bind("email", address, "@late:example.org");
        bound.await.ok();
        let found = look_up_with(&alice, &old, &[address.to_owned()]).await;
        assert_eq!(found.len(), 1, "{address}");
    }
    // Another instance goes on with it when it starts.
    let url = server.database.url.clone();
    let other = TestServer::start_on(TestDatabase::existing(&url), |settings| {
        settings.lookup.rotate_pepper_every = std::time::Duration::ZERO;
    });
    wait_for("the next pepper", async || {
        (pepper_of(&alice).await == "next").then_some(())
    })
    .await;
    drop(other);
    let mut addresses: Vec<String> = (0..1200).map(|n| format!("{n}@example.com")).collect();
    addresses.push("late@example.com".to_owned());
    let found = look_up_with(&alice, "next", &addresses).await;
    assert_eq!(found.len(), 1201);
}

/// LKP-11
#[actix_web::test]
async fn pepper_is_rotated_monthly_by_default() {
    const DAY: i64 = 24 * 3_600_000;
    let server = TestServer::start_with_clock(|_| {});
    let url = server.database.url.clone();
    let alice = server.account("@alice:example.org").await;
    let old = pepper_of(&alice).await;
    for (age, is_rotated) in [(30 * DAY - 1, false), (30 * DAY, true)] {
        server.database.execute(&format!(
            "UPDATE lookup_peppers SET created_at = {}",
            server.now() - age
        ));
        let database = TestDatabase::existing(&url);
        let instance = TestServer::start_with_clock_on(database, |_| {});
        if is_rotated {
            wait_for("another pepper", async || {
                (pepper_of(&alice).await != old).then_some(())
            })
            .await;
        }
        // Stopping it waits for what it does at the start.
        drop(instance);
        assert_eq!(pepper_of(&alice).await != old, is_rotated, "{age}");
    }
}
