//! A mesh of three of these servers. The target `sydent` has one with a Python
//! Sydent.

use crate::harness::mesh::{Load, wait_until_found};
use crate::harness::{
    Node, PUSH, Peer, TestDatabase, TestServer, fresh_address, self_signed_authority,
};

const MINUTE: i64 = 60_000;

/// INT-03, UNB-18
#[actix_web::test]
async fn bindings_and_removals_reach_every_member() {
    let [a, b, c] = ["a.mesh.test", "b.mesh.test", "c.mesh.test"].map(Node::new);
    let one = TestServer::start_with_clock_at_now(|settings| a.configure(&[&b, &c], settings));
    let mut two = TestServer::start(|settings| b.configure(&[&a, &c], settings));
    let three = TestServer::start(|settings| c.configure(&[&a, &b], settings));

    let addresses = ["a", "b", "c"].map(fresh_address);
    let users = ["@a:example.org", "@b:example.org", "@c:example.org"];
    let at = [one.internal(), two.internal(), three.internal()];
    for ((address, user), member) in addresses.iter().zip(users).zip(&at) {
        member.internal_bind("email", address, user).await.ok();
    }
    let [of_a, of_b, of_c] = &addresses;
    let bound = [
        (of_a, Some(users[0])),
        (of_b, Some(users[1])),
        (of_c, Some(users[2])),
    ];
    for member in [one.api(), two.api(), three.api()] {
        wait_until_found(&member, &bound).await;
    }

    // The others continue while one member is down for an hour.
    let database = TestDatabase::existing(&two.database.url);
    two.stop();
    one.advance(1000);
    let late = fresh_address("late");
    at[0].internal_bind("email", &late, users[0]).await.ok();
    at[0].internal_unbind("email", of_a, users[0]).await.ok();
    at[2].internal_unbind("email", of_c, users[2]).await.ok();
    let meanwhile = [(&late, Some(users[0])), (of_a, None), (of_c, None)];
    wait_until_found(&one.api(), &meanwhile).await;
    wait_until_found(&three.api(), &meanwhile).await;

    let two = TestServer::start_on(database, |settings| b.configure(&[&a, &c], settings));
    one.advance(60 * MINUTE);
    wait_until_found(&two.api(), &meanwhile).await;
    let back = two.internal();
    back.internal_unbind("email", of_b, users[1]).await.ok();
    for member in [one.api(), two.api(), three.api()] {
        wait_until_found(&member, &[(of_b, None), (&late, Some(users[0]))]).await;
    }
}

/// INT-03, UNB-18
#[actix_web::test]
async fn members_answer_alike_after_random_changes() {
    const SEED: u64 = 20_261_128;
    let nodes = ["a.mesh.test", "b.mesh.test", "c.mesh.test"].map(Node::new);
    let others = |own: usize| -> Vec<&Node> {
        let others = nodes.iter().enumerate();
        others
            .filter(|(index, _)| *index != own)
            .map(|(_, node)| node)
            .collect()
    };
    // The clocks are up to five minutes apart, and are set forth and back.
    let mut members: Vec<TestServer> = [0, 150_000, -150_000]
        .into_iter()
        .enumerate()
        .map(|(index, apart)| {
            let start = 1_800_000_000_000 + apart;
            TestServer::start_with_clock_at(start, |settings| {
                nodes[index].configure(&others(index), settings);
            })
        })
        .collect();
    let mut load = Load::new(SEED, 12);
    for round in 0..120 {
        let member = load.random.below(3);
        load.change(&members[member].internal()).await;
        for server in &members {
            server.advance(i64::try_from(load.random.below(2000)).unwrap());
        }
        if load.random.one_in(20) {
            let step = load.random.within(100_000);
            members[load.random.below(3)].advance(step);
        }
        if load.random.one_in(30) {
            // A peer gets everything again.
            let again = "UPDATE replication_peers SET sent_id = 0";
            members[load.random.below(3)].database.execute(again);
        }
        if round % 50 == 30 {
            let index = load.random.below(3);
            let server = members.remove(index);
            let now = server.now();
            let server = server.start_again_at(now, |settings| {
                nodes[index].configure(&others(index), settings);
            });
            members.insert(index, server);
        }
    }
    let apis: Vec<_> = members.iter().map(TestServer::api).collect();
    let advance = || members.iter().for_each(|server| server.advance(60_000));
    let differences = load.settle(&apis, 30, advance).await;
    assert_eq!(differences, [], "seed {SEED}");
}

/// INT-03
#[actix_web::test]
async fn self_signed_authorities_authenticate_peers() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = ["a.mesh.test", "b.mesh.test"].map(Node::new);
    let files =
        ["a.mesh.test", "b.mesh.test"].map(|name| self_signed_authority(folder.path(), name));
    let start = |own: usize, other: usize| {
        TestServer::start(|settings| {
            nodes[own].configure(&[&nodes[other]], settings);
            let trusted = Some(files[other].0.clone());
            let replication = &mut settings.replication;
            replication.certificate = Some(files[own].0.clone());
            replication.private_key = Some(files[own].1.clone());
            replication.client_ca.clone_from(&trusted);
            for peer in replication.peers.values_mut() {
                peer.ca_file.clone_from(&trusted);
            }
        })
    };
    let (one, two) = (start(0, 1), start(1, 0));
    let address = fresh_address("pinned");
    let bound = |user: &'static str| [(&address, Some(user))];
    for (at, other, user) in [(&one, &two, "@a:hs"), (&two, &one, "@b:hs")] {
        at.internal()
            .internal_bind("email", &address, user)
            .await
            .ok();
        wait_until_found(&other.api(), &bound(user)).await;
    }
    // Others with the same name are refused.
    let stranger = Peer::new("b.mesh.test");
    let refused = stranger.post(&one, PUSH, "application/json", b"{}").await;
    assert!(refused.is_none(), "{refused:?}");
}

/// INT-03
#[actix_web::test]
async fn first_sync_of_two_servers_repeats_nothing() {
    const SHARED: i64 = 1000;
    let nodes = ["a.mesh.test", "b.mesh.test"].map(Node::new);
    let [a, b] = &nodes;
    // Both have what was bound at one Sydent before, and know nothing of each other.
    let databases = nodes.each_ref().map(|node| {
        let server = TestServer::start(|settings| node.configure(&[], settings));
        let url = server.database.url.clone();
        let (name, now) = (&node.peer.name, server.now());
        server.database.execute(&format!(
            "INSERT INTO associations (medium, address, origin, mxid, ts, not_before, not_after, \
             lookup_hash, signed) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {SHARED}) \
             SELECT 'email', 'a' || i || '@example.com', '{name}', '@u' || i || ':example.org', \
             {now} - i, {now} - i, {now} + 9000000, '', '{{}}' FROM n; \
             INSERT INTO association_journal (medium, address) \
             SELECT medium, address FROM associations ORDER BY id"
        ));
        (server, TestDatabase::existing(&url))
    });
    let members = databases.map(|(mut server, database)| {
        server.stop();
        (server, database)
    });
    let [one, two] = members;
    let one_again = TestServer::start_on(one.1, |settings| a.configure(&[b], settings));
    let two_again = TestServer::start_on(two.1, |settings| b.configure(&[a], settings));
    let members = [(&one_again, b), (&two_again, a)];
    for _ in 0..2400 {
        let has_all = members.iter().all(|(server, other)| {
            let heard = format!("associations WHERE origin = '{}'", other.peer.name);
            server.database.count(&heard) == SHARED
        });
        if has_all {
            break;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for (server, other) in members {
        let database = &server.database;
        let heard = format!("associations WHERE origin = '{}'", other.peer.name);
        assert_eq!(database.count(&heard), SHARED);
        let repeated = format!("association_journal WHERE id > {SHARED}");
        assert_eq!(database.count(&repeated), 0, "changes were pushed again");
        // A peer that is added later gets the answer of all.
        let restated = database.count("association_journal WHERE restates");
        assert_eq!(restated, SHARED);
    }
}
