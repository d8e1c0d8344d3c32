//! Commits to the database: how many a flow needs, and that clients share them.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::{TestServer, fresh_address, wait_until};

const MXID: &str = "@alice:denied.example";

/// How many commits there were, and how many operations they ended.
async fn commits(server: &TestServer) -> (u64, u64) {
    let metrics = server.operations().get("/metrics").await.text();
    let count = |name: &str| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().parse().unwrap()
    };
    (
        count("sydent_database_commit_duration_seconds_count"),
        count("sydent_database_committed_operations_total"),
    )
}

fn start() -> TestServer {
    TestServer::start(|settings| {
        settings.delivery.poll_every = Duration::from_mins(1);
        settings.federation.deny_homeservers = vec!["denied.example".parse().unwrap()];
    })
}

#[actix_web::test]
async fn flow_needs_few_commits() {
    const FLOWS: u64 = 5;
    let server = start();
    let flow = async || {
        let session = server.validate(&fresh_address("commits")).await;
        server.api().bind(&session.sid, "secret", MXID).await.ok();
        wait_until("an empty queue", || server.database.count("outbox") == 0).await;
    };
    // Meanwhile the jobs run that start with the server.
    flow().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (before, _) = commits(&server).await;
    for _ in 0..FLOWS {
        flow().await;
    }
    let (after, _) = commits(&server).await;
    // The session, its validation and the association; to take and to remove a message for
    // both of the first and the last. A few more look for messages in vain.
    let needed = after - before;
    assert!(
        (3 * FLOWS..=7 * FLOWS + 4).contains(&needed),
        "{needed} for {FLOWS}"
    );
}

#[actix_web::test]
async fn clients_share_commits() {
    let server = start();
    let internal = server.internal();
    let (commits_before, operations_before) = commits(&server).await;
    let binds = join_all((0..64).map(|_| async {
        let address = fresh_address("shared");
        internal.internal_bind("email", &address, MXID).await.ok();
    }));
    binds.await;
    let (commits, operations) = commits(&server).await;
    let (commits, operations) = (commits - commits_before, operations - operations_before);
    assert!(operations >= 64, "{operations}");
    if server.database.is_postgres() {
        // It commits the transactions of several connections together by itself.
        assert_eq!(commits, operations);
    } else {
        assert!(commits < operations, "{commits} for {operations}");
    }
}
