//! Who may have an account: lists of homeservers, blocks by command, and tokens that
//! nobody uses any more.

use awc::http::Method;
use serde_json::json;

use crate::harness::{
    Api, CommandOutput, Homeserver, Listener, Needs, Route, TestServer, V2, routes_of,
};
use crate::pepper::configured;
use crate::person::found_in;

const DAY: i64 = 24 * 3_600_000;

/// Each route of v2 that needs an account, with its method, apart from logout.
fn calls() -> impl Iterator<Item = (&'static Route, &'static str)> {
    routes_of(Listener::Client)
        .filter(|route| route.path.starts_with(V2) && !route.path.ends_with("/logout"))
        .flat_map(|route| route.methods.iter().map(move |method| (route, *method)))
        .filter(|(route, method)| route.needs(method) != Needs::Nothing)
}

async fn expect_refused_everywhere(api: &Api, errcode: &str) {
    let mut count = 0;
    for (route, method) in calls() {
        let body = if method == "GET" { "" } else { "{}" };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = api.send(method, route.path, &[], body.into()).await;
        answer.refused(403, errcode);
        count += 1;
    }
    assert!(count > 10, "{count}");
}

fn accounts(server: &TestServer, arguments: &str) -> CommandOutput {
    let folder = configured(&server.database.url);
    let command = format!("accounts {arguments} --config sydent.toml");
    CommandOutput::run(folder.path(), &command)
}

/// AUTH-21
#[actix_web::test]
async fn lists_of_homeservers_hold_on_every_call() {
    let server = TestServer::start(|_| {});
    let denied = server.account("@a:denied.example:8448").await;
    let other = server.account("@a:other.example").await;
    denied.account().await.ok();
    let server = server.start_again(|settings| {
        settings.federation.deny_homeservers = vec!["denied.example".parse().unwrap()];
    });
    let again = |api: &Api| server.api().with_token(api.token().to_owned());
    expect_refused_everywhere(&again(&denied), "M_UNAUTHORIZED").await;
    again(&other).account().await.ok();

    let server = server.start_again(|settings| {
        settings.federation.allow_homeservers = vec!["*.example:8448".parse().unwrap()];
        settings.v1.enabled = false;
    });
    let again = |api: &Api| server.api().with_token(api.token().to_owned());
    expect_refused_everywhere(&again(&other), "M_UNAUTHORIZED").await;
    again(&denied).account().await.ok();
    // A refused user can still end the token.
    again(&other).logout().await.ok();
}

/// AUTH-21
#[actix_web::test]
async fn blocks_hold_at_once_and_end() {
    let server = TestServer::start(|_| {});
    let alice = server.account("@alice:one.example").await;
    let bob = server.account("@bob:one.example:8448").await;
    let carol = server.account("@carol:two.example").await;

    let blocked = accounts(&server, "block @alice:one.example");
    assert_eq!(blocked.code, 0, "{}", blocked.err);
    assert_eq!(
        blocked.out,
        "@alice:one.example is blocked. Access tokens revoked: 1.\n"
    );
    alice.account().await.refused(401, "M_UNAUTHORIZED");
    bob.account().await.ok();
    assert_eq!(accounts(&server, "block @alice:one.example").code, 1);

    assert_eq!(accounts(&server, "block One.example").code, 0);
    bob.account().await.refused(401, "M_UNAUTHORIZED");
    carol.account().await.ok();

    // A token that was opened at the same moment is refused, too.
    assert_eq!(accounts(&server, "unblock @alice:one.example").code, 0);
    assert_eq!(accounts(&server, "unblock one.example").code, 0);
    assert_eq!(accounts(&server, "unblock one.example").code, 1);
    let alice = server.account("@alice:one.example").await;
    server
        .database
        .execute("INSERT INTO blocked_accounts VALUES ('one.example', 0)");
    expect_refused_everywhere(&alice, "M_FORBIDDEN").await;
}

/// AUTH-21, PRS-02
#[actix_web::test]
async fn erasure_does_not_end_a_block() {
    let server = TestServer::start(|_| {});
    let user = "@blocked-needle:one.example";
    server.account(user).await;
    assert_eq!(accounts(&server, &format!("block {user}")).code, 0);
    let folder = configured(&server.database.url);
    let command = format!("person erase {user} --yes --config sydent.toml");
    let erased = CommandOutput::run(folder.path(), &command);
    assert_eq!(erased.code, 0, "{} {}", erased.out, erased.err);
    assert_eq!(found_in(&server.database, &["blocked-needle"]), [""; 0]);

    let again = server.account(user).await;
    again.account().await.refused(401, "M_UNAUTHORIZED");
    let other = server.account("@other:one.example").await;
    other.account().await.ok();
    let list = accounts(&server, "list two.example");
    assert_eq!((list.code, list.out.as_str()), (1, ""));
    let list = accounts(&server, "list");
    assert!(
        list.out.contains("(an erased user)  blocked since 20"),
        "{}",
        list.out
    );
    let list = accounts(&server, &format!("list {user}"));
    assert!(
        list.out.contains(&format!("{user}  blocked since 20")),
        "{}",
        list.out
    );
    assert_eq!(accounts(&server, &format!("block {user}")).code, 1);
    assert_eq!(accounts(&server, &format!("unblock {user}")).code, 0);
    server.account(user).await.account().await.ok();
    // A block alone is a result of the list.
    assert_eq!(accounts(&server, "block three.example").code, 0);
    let list = accounts(&server, "list three.example");
    assert_eq!((list.code, list.err.as_str()), (0, ""));
}

/// AUTH-21
#[actix_web::test]
async fn blocked_user_cannot_register() {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| homeserver.configure(settings));
    let user = homeserver.user("alice");
    let open_id = homeserver.open_id("alice");
    server.api().register(open_id.clone()).await.ok();
    assert_eq!(accounts(&server, &format!("block {user}")).code, 0);
    server
        .api()
        .register(open_id.clone())
        .await
        .refused(403, "M_FORBIDDEN");
    assert_eq!(accounts(&server, &format!("unblock {user}")).code, 0);
    server.api().register(open_id).await.ok();
}

/// AUTH-21
#[actix_web::test]
async fn accounts_are_listed_shown_and_revoked() {
    let server = TestServer::start(|_| {});
    let none = accounts(&server, "list");
    assert_eq!((none.code, none.out.as_str()), (1, ""));
    let alice = server.account("@alice:one.example").await;
    let second = server.account("@alice:one.example").await;
    let bob = server.account("@bob:two.example").await;

    let list = accounts(&server, "list");
    assert_eq!(list.code, 0, "{}", list.err);
    let lines: Vec<&str> = list.out.lines().collect();
    assert!(lines[0].starts_with("@alice:one.example  2 tokens, opened 20"));
    assert!(lines[1].starts_with("@bob:two.example  1 token, opened 20"));
    assert_eq!(lines.len(), 2);
    let one = accounts(&server, "list one.example");
    assert_eq!(one.out.lines().count(), 1);
    assert_eq!(accounts(&server, "list three.example").code, 1);

    let shown = accounts(&server, "show @alice:one.example");
    assert_eq!(shown.out.matches("  token  ").count(), 2, "{}", shown.out);
    assert!(!shown.out.contains(alice.token()));
    assert_eq!(accounts(&server, "show @nobody:one.example").code, 1);
    assert_eq!(accounts(&server, "show nonsense:").code, 2);

    let revoked = accounts(&server, "revoke @alice:one.example");
    assert_eq!(revoked.out, "Access tokens revoked: 2.\n");
    assert_eq!(accounts(&server, "revoke @alice:one.example").code, 1);
    for api in [&alice, &second] {
        api.account().await.refused(401, "M_UNAUTHORIZED");
    }
    bob.account().await.ok();
    // Nothing stops its user from registering again.
    let again = server.account("@alice:one.example").await;
    again.account().await.ok();
}

/// SEC-28
#[actix_web::test]
async fn users_cannot_write_to_the_terminal() {
    let server = TestServer::start(|_| {});
    let (evil, shown) = (
        "@evil\u{1b}]2;x\u{7}\n\u{9b}2J\u{202e}:one.example",
        "@evil\\u001b]2;x\\u0007\\u000a\\u009b2J\\u202e:one.example",
    );
    let address = "evil@example.com";
    server
        .internal()
        .internal_bind("email", address, evil)
        .await
        .ok();
    let now = server.now();
    let evil_account = format!(
        "INSERT INTO accounts VALUES ('{evil}', {now}); \
         INSERT INTO accepted_terms VALUES ('{evil}', 'https://a/\u{1b}[1m', 0); \
         INSERT INTO blocked_accounts VALUES ('{evil}', 0); \
         INSERT INTO replication_peers (name, sent_id, tries, last_error, due_at, lease_owner, \
         lease_until, skipped, skipped_number) \
         VALUES ('p\u{1b}[1m.example', 0, 1, 'E\u{1b}[1m', 0, '', 0, 0, '')"
    );
    server.database.execute(&evil_account);
    let folder = configured(&server.database.url);
    for (command, contains) in [
        ("accounts list".to_owned(), shown),
        ("accounts show one.example".to_owned(), shown),
        (format!("person erase {address}"), shown),
        (format!("person export {address}"), "\\u009b2J"),
        (format!("unbind email {address} @b:c --internal"), shown),
        (format!("lookup email {address} --internal"), "\\u009b2J"),
        ("peers".to_owned(), "p\\u001b[1m.example"),
    ] {
        let command = if command.ends_with("--internal") {
            format!("{command} http://{}", server.addresses.internal[0])
        } else {
            format!("{command} --config sydent.toml")
        };
        let output = CommandOutput::run(folder.path(), &command);
        let text = output.out + &output.err;
        assert!(text.contains(contains), "{command}: {text}");
        let is_dangerous = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(is_dangerous), "{command}: {text:?}");
    }
}

/// AUTH-20
#[actix_web::test]
async fn unused_tokens_end() {
    let server = TestServer::start_with_clock(|_| {});
    let (used, unused) = (
        server.account("@a:example.org").await,
        server.account("@b:example.org").await,
    );
    for _ in 0..3 {
        server.advance(40 * DAY);
        used.account().await.ok();
    }
    unused.account().await.refused(401, "M_UNAUTHORIZED");
    used.account().await.ok();
    let server = server.start_again_at(1_800_000_000_000 + 120 * DAY, |_| {});
    let removed = async || (server.database.count("access_tokens") == 1).then_some(());
    crate::harness::wait_for("the unused token to be removed", removed).await;
    let forever = server.start_again_at(1_800_000_000_000 + 900 * DAY, |settings| {
        settings.accounts.keep_unused_tokens = std::time::Duration::ZERO;
    });
    let used = forever.api().with_token(used.token().to_owned());
    used.account().await.ok();
}

/// AUTH-20
#[actix_web::test]
async fn use_is_recorded_once_a_day() {
    let server = TestServer::start_with_clock(|_| {});
    let api = server.account("@a:example.org").await;
    let opened = server.now();
    let recorded = |at: i64| {
        let row = format!("access_tokens WHERE last_used_at = {at}");
        server.database.count(&row) == 1
    };
    server.advance(DAY - 1);
    api.account().await.ok();
    assert!(recorded(opened));
    server.advance(1);
    api.account().await.ok();
    assert!(recorded(opened + DAY));
    server.advance(DAY / 2);
    api.account().await.ok();
    assert!(recorded(opened + DAY));

    // A token of an earlier version is used from now on.
    server
        .database
        .execute("UPDATE access_tokens SET last_used_at = NULL");
    let later = server.now() + 900 * DAY;
    let server = server.start_again_at(later, |_| {});
    let api = server.api().with_token(api.token().to_owned());
    let answer = api.account().await.ok();
    assert_eq!(answer, json!({"user_id": "@a:example.org"}));
    let row = format!("access_tokens WHERE last_used_at = {later}");
    assert_eq!(server.database.count(&row), 1);
}
