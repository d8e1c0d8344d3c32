//! A mesh of three of these servers. The target `sydent` has one with a Python
//! Sydent.

use crate::harness::{Api, Node, TestDatabase, TestServer, fresh_address, wait_for};

const MINUTE: i64 = 60_000;

/// Waits until a member agrees with what is bound, by address and user.
async fn wait_until_found(member: &Api, bound: &[(&String, Option<&str>)]) {
    for (address, mxid) in bound {
        wait_for("the same binding everywhere", async || {
            let found = member.lookup("email", address).await.ok();
            (found["mxid"].as_str() == *mxid).then_some(())
        })
        .await;
    }
}

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
