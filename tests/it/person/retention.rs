//! What the janitor removes.

use std::time::Duration;

use crate::harness::{TestDatabase, TestServer, wait_for};

const DAY: i64 = 24 * 3_600_000;
/// When the clocks of the servers start.
const NOW: i64 = 1_800_000_000_000;

/// Rows of each table, one of them just not old enough, with the ages of the others.
fn fill(database: &TestDatabase) {
    let rows = |count: i64, age_days: i64| {
        (0..count)
            .map(move |n| (n, NOW - age_days * DAY - n - 1))
            .chain([(count, NOW - age_days * DAY + 60_000)])
    };
    let mut sql = String::new();
    let mut add = |statement: String| sql.push_str(&(statement + ";\n"));
    for (n, at) in rows(1200, 365) {
        add(format!(
            "INSERT INTO invites (token, medium, address, room_id, sender, key_id, ephemeral_key, \
             created_at) VALUES ('p{n}', 'email', 'p{n}@example.com', '!r:hs', '@s:hs', \
             'ed25519:0', 'pk{n}', {at})"
        ));
        add(format!("INSERT INTO ephemeral_keys VALUES ('pk{n}', {at})"));
    }
    for (n, at) in rows(2, 30) {
        add(format!(
            "INSERT INTO invites (token, medium, address, room_id, sender, key_id, ephemeral_key, \
             created_at, delivered_at) VALUES ('d{n}', 'email', 'd{n}@example.com', '!r:hs', \
             '@s:hs', 'ed25519:0', 'dk{n}', {at}, {at})"
        ));
    }
    for (n, at) in rows(3, 730) {
        add(format!("INSERT INTO ephemeral_keys VALUES ('k{n}', {at})"));
    }
    for (n, at) in rows(4, 365) {
        add(format!(
            "INSERT INTO accounts VALUES ('@unused{n}:hs', {at})"
        ));
        add(format!(
            "INSERT INTO accepted_terms VALUES ('@unused{n}:hs', 'https://a', {at})"
        ));
    }
    let old = NOW - 4000 * DAY;
    add(format!("INSERT INTO accounts VALUES ('@used:hs', {old})"));
    add(format!(
        "INSERT INTO access_tokens (token_hash, user_id, created_at) VALUES ('h', '@used:hs', {old})"
    ));
    for (n, at) in rows(5, 1095) {
        add(format!(
            "INSERT INTO person_audit (at, action, subject, affected) VALUES ({at}, 'x', '{n}', '')"
        ));
    }
    for (n, at) in rows(6, 180) {
        for (table, column) in [
            ("association_removals", "ts"),
            ("association_journal", "removed_at"),
        ] {
            let (origin, value) = match table {
                "association_removals" => (", origin, number", ", 'id.example.test', 0"),
                _ => ("", ""),
            };
            add(format!(
                "INSERT INTO {table} (medium, address{origin}, {column}) \
                 VALUES ('email', 'removed{n}@example.com'{value}, {at})"
            ));
        }
    }
    database.execute(&sql);
}

/// PRS-06, PRS-07
#[actix_web::test]
async fn rows_are_removed_when_they_are_old() {
    let database = TestDatabase::fresh();
    let url = database.url.clone();
    drop(TestServer::start_with_clock_on(database_of(&url), |_| {}));
    fill(&database);
    let server = TestServer::start_with_clock_on(database_of(&url), |_| {});
    let left = || {
        [
            "invites",
            "ephemeral_keys",
            "accounts",
            "accepted_terms",
            "access_tokens",
            "person_audit",
            "association_removals",
            "association_journal",
            "erasures",
        ]
        .map(|table| database.count(table))
    };
    let expected = [2, 2, 2, 1, 1, 1, 1, 1, 6];
    let done = async || (left() == expected).then_some(());
    let reached = tokio::time::timeout(Duration::from_secs(20), wait_for("old rows", done)).await;
    assert!(reached.is_ok(), "{:?}", left());
    let metrics = server.operations().get("/metrics").await.text();
    for (table, rows) in [
        ("invites", 1202),
        ("ephemeral_keys", 3),
        ("accounts", 4),
        ("person_audit", 5),
        ("association_removals", 6),
    ] {
        let line = format!("sydent_retention_removed_total{{table=\"{table}\"}} {rows}\n");
        assert!(metrics.contains(&line), "{line} not in {metrics}");
    }
}

fn database_of(url: &str) -> TestDatabase {
    TestDatabase::existing(url)
}

/// PRS-06
#[actix_web::test]
async fn zero_keeps_rows_for_ever() {
    let database = TestDatabase::fresh();
    let url = database.url.clone();
    let start = || {
        TestServer::start_with_clock_on(database_of(&url), |settings| {
            let retention = &mut settings.retention;
            for period in [
                &mut retention.pending_invites,
                &mut retention.delivered_invites,
                &mut retention.ephemeral_keys,
                &mut retention.unused_accounts,
                &mut retention.removals,
            ] {
                *period = Duration::ZERO;
            }
        })
    };
    drop(start());
    fill(&database);
    let _server = start();
    // The record of exports comes after most of them, and is not kept.
    wait_for("the cleaning", async || {
        (database.count("person_audit") == 1).then_some(())
    })
    .await;
    let tables = [
        "invites",
        "ephemeral_keys",
        "accounts",
        "association_removals",
    ];
    let kept = tables.map(|table| database.count(table));
    assert_eq!(kept, [1204, 1205, 6, 7]);
}
