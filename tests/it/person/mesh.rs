//! Erasure of a person whose bindings the peers of a mesh have as well.

use crate::harness::mesh::wait_until_found;
use crate::harness::{CommandOutput, Node, TestDatabase, TestServer, configured, wait_until};

use super::found_in;

const USER: &str = "@erased-in-mesh:example.org";
const NEEDLE: &str = "erased-in-mesh";

fn address() -> String {
    format!("{NEEDLE}@example.com")
}

fn erase(server: &TestServer, node: &Node, peers: &[&Node], arguments: &str) -> CommandOutput {
    let folder = configured(&TestDatabase::existing(&server.database.url), |settings| {
        node.configure(peers, settings);
    });
    let command =
        format!("person erase {NEEDLE}@example.com --yes --config sydent.toml {arguments}");
    CommandOutput::run(folder.path(), &command)
}

/// Binds the address at two servers of a mesh, which then have two statements of it.
async fn bind_at_both(one: &TestServer, two: &TestServer) {
    for server in [two, one] {
        let internal = server.internal();
        internal.internal_bind("email", &address(), USER).await.ok();
        wait_until_found(&one.api(), &[(&address(), Some(USER))]).await;
        wait_until_found(&two.api(), &[(&address(), Some(USER))]).await;
    }
}

/// PRS-02, PRS-04
#[actix_web::test]
async fn erasure_reaches_peers_and_stays() {
    let [a, b] = ["a.mesh.test", "b.mesh.test"].map(Node::new);
    let one = TestServer::start(|settings| a.configure(&[&b], settings));
    let two = TestServer::start(|settings| b.configure(&[&a], settings));
    bind_at_both(&one, &two).await;
    let output = erase(&one, &a, &[&b], "");
    assert_eq!(output.code, 0, "{} {}", output.out, output.err);
    wait_until_found(&two.api(), &[(&address(), None)]).await;
    assert_eq!(found_in(&one.database, &[NEEDLE]), [""; 0]);
    // The peer pushes everything again, its old binding among it.
    two.database.execute(
        "UPDATE replication_peers SET sent_id = 0; UPDATE replication_peers SET received_at = NULL",
    );
    wait_until("the peer has pushed again", || {
        two.database.count("replication_peers WHERE sent_id > 0") == 1
    })
    .await;
    wait_until_found(&one.api(), &[(&address(), None)]).await;
    let rows = [
        "associations",
        "association_removals",
        "association_journal",
    ];
    assert_eq!(rows.map(|table| one.database.count(table)), [0, 0, 0]);
    // A later binding is a new decision.
    let internal = two.internal();
    internal.internal_bind("email", &address(), USER).await.ok();
    wait_until_found(&one.api(), &[(&address(), Some(USER))]).await;
}

/// PRS-04
#[actix_web::test]
async fn peer_that_erases_too_leaves_nothing_behind() {
    let [a, b, c] = ["a.mesh.test", "b.mesh.test", "c.mesh.test"].map(Node::new);
    // The third one never answers.
    let one = TestServer::start(|settings| a.configure(&[&b, &c], settings));
    let two = TestServer::start(|settings| b.configure(&[&a], settings));
    bind_at_both(&one, &two).await;
    let output = erase(&one, &a, &[&b, &c], "--wait 0");
    assert_eq!(output.code, 3, "{} {}", output.out, output.err);
    wait_until_found(&two.api(), &[(&address(), None)]).await;
    let output = erase(&two, &b, &[&a], "");
    assert_eq!(output.code, 0, "{} {}", output.out, output.err);
    assert_eq!(found_in(&two.database, &[NEEDLE]), [""; 0]);

    one.database
        .execute("UPDATE erasures SET erased_at = erased_at - 2678400000");
    let one = one.start_again(|settings| a.configure(&[&b, &c], settings));
    wait_until("the erasure is finished", || {
        one.database.count("erasures WHERE journal_id IS NOT NULL") == 0
    })
    .await;
    let rows = [
        "associations",
        "association_removals",
        "association_journal",
    ];
    assert_eq!(rows.map(|table| one.database.count(table)), [0, 0, 0]);
    wait_until("the address is gone", || {
        found_in(&one.database, &[NEEDLE]).is_empty()
    })
    .await;
}

/// PRS-04
#[actix_web::test]
async fn unknown_bindings_of_erased_users_stay_out() {
    let [a, b] = ["a.mesh.test", "b.mesh.test"].map(Node::new);
    let one = TestServer::start(|settings| a.configure(&[&b], settings));
    let two = TestServer::start(|settings| b.configure(&[], settings));
    let (other, internal) = ("erased-elsewhere@example.com".to_owned(), two.internal());
    internal.internal_bind("email", &other, USER).await.ok();
    // The user has an account here, and no binding.
    one.account(USER).await;
    let folder = configured(&TestDatabase::existing(&one.database.url), |settings| {
        a.configure(&[&b], settings);
    });
    let command = format!("person erase {USER} --yes --config sydent.toml --wait 0");
    let output = CommandOutput::run(folder.path(), &command);
    assert_eq!(output.code, 0, "{} {}", output.out, output.err);
    let two = two.start_again(|settings| b.configure(&[&a], settings));
    wait_until("the peer has pushed", || {
        two.database.count("replication_peers WHERE sent_id > 0") == 1
    })
    .await;
    assert_eq!(one.database.count("associations"), 0);
}

/// PRS-04
#[actix_web::test]
async fn unreachable_peer_delays_the_end_of_an_erasure() {
    let [a, b] = ["a.mesh.test", "b.mesh.test"].map(Node::new);
    let one = TestServer::start(|settings| a.configure(&[&b], settings));
    let internal = one.internal();
    internal.internal_bind("email", &address(), USER).await.ok();
    let output = erase(&one, &a, &[&b], "--wait 0");
    assert_eq!(output.code, 3, "{} {}", output.out, output.err);
    assert!(
        output.err.contains("1 erased addresses stay"),
        "{}",
        output.err
    );
    let left = [
        one.database.count("associations"),
        one.database.count("association_journal"),
        one.database.count("erasures WHERE journal_id IS NOT NULL"),
    ];
    assert_eq!(left, [0, 1, 1]);
    wait_until_found(&one.api(), &[(&address(), None)]).await;
    let erased_at = "UPDATE erasures SET erased_at = erased_at - ";
    one.database.execute(&format!("{erased_at}1"));
    let before = "erasures WHERE journal_id IS NOT NULL";
    let again = erase(&one, &a, &[&b], "--wait 0");
    assert_eq!(again.code, 3, "{} {}", again.out, again.err);
    assert_eq!(one.database.count(before), 1);
    // Its journal ends when the peer is back, or when it is given up.
    one.database.execute(&format!("{erased_at}2678400000"));
    let one = one.start_again(|settings| a.configure(&[&b], settings));
    wait_until("the address is gone", || {
        found_in(&one.database, &[NEEDLE]).is_empty()
    })
    .await;
    // The hashes of the address and of the user.
    assert_eq!(one.database.count("erasures WHERE journal_id IS NULL"), 2);
}
