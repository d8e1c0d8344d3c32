//! A mesh of a Python Sydent and two of these servers: every binding and removal
//! reaches every member (INT-03, UNB-18).

use crate::harness::mesh::wait_until_found;
use crate::harness::{Node, TestDatabase, TestServer, fresh_address, wait_for};
use crate::python::RealSydent;

const MINUTE: i64 = 60_000;

/// INT-03, UNB-18
#[actix_web::test]
async fn bindings_and_removals_reach_all_peers() {
    let (a, b, c) = (
        Node::new("a.mesh.test"),
        Node::new("b.mesh.test"),
        Node::new("c.mesh.test"),
    );
    let one = TestServer::start_with_clock_at_now(|settings| a.configure(&[&b, &c], settings));
    let mut two = TestServer::start(|settings| b.configure(&[&a, &c], settings));
    let mut sydent = RealSydent::start(|conf| c.configure_sydent(&[&a, &b], conf)).await;
    a.introduce_to(&sydent);
    b.introduce_to(&sydent);

    let addresses = ["a", "b", "c"].map(fresh_address);
    let users = ["@a:example.org", "@b:example.org", "@c:example.org"];
    let at = [one.internal(), two.internal(), sydent.internal()];
    for ((address, user), member) in addresses.iter().zip(users).zip(&at) {
        member.internal_bind("email", address, user).await.ok();
    }
    let [of_a, of_b, of_c] = &addresses;
    let bound = [
        (of_a, Some(users[0])),
        (of_b, Some(users[1])),
        (of_c, Some(users[2])),
    ];
    for member in [one.api(), two.api(), sydent.api()] {
        wait_until_found(&member, &bound).await;
    }

    // One member is down for an hour, and the others go on.
    let database = TestDatabase::existing(&two.database.url);
    two.stop();
    one.advance(1000);
    let late = fresh_address("late");
    at[0].internal_bind("email", &late, users[0]).await.ok();
    at[0].internal_unbind("email", of_a, users[0]).await.ok();
    at[2].internal_unbind("email", of_c, users[2]).await.ok();
    for _ in 0..12 {
        one.advance(5 * MINUTE);
        let tried = format!("name = 'b.mesh.test' AND due_at > {}", one.now());
        wait_for("a try", async || {
            let count = one
                .database
                .count(&format!("replication_peers WHERE {tried}"));
            (count > 0).then_some(())
        })
        .await;
    }
    let meanwhile = [(&late, Some(users[0])), (of_a, None), (of_c, None)];
    wait_until_found(&one.api(), &meanwhile).await;
    wait_until_found(&sydent.api(), &meanwhile).await;

    // It comes back, and the Sydent is restarted too.
    sydent.restart().await;
    let two = TestServer::start_on(database, |settings| b.configure(&[&a, &c], settings));
    one.advance(5 * MINUTE);
    wait_until_found(&two.api(), &meanwhile).await;
    two.internal()
        .internal_unbind("email", of_b, users[1])
        .await
        .ok();
    sydent
        .internal()
        .internal_bind("email", of_c, users[0])
        .await
        .ok();
    let last = [
        (&late, Some(users[0])),
        (of_b, None),
        (of_c, Some(users[0])),
    ];
    for member in [one.api(), two.api(), sydent.api()] {
        wait_until_found(&member, &last).await;
    }
}
