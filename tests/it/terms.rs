//! `/v2/terms`, and what is refused before they are accepted (section 5).

use serde_json::{Value, json};
use sydent::actor::accounts::FindAccount;
use sydent::domain::secret::TokenHash;

use crate::harness::{Api, Signal, TermsFile, TestDatabase, TestProcess, TestServer, wait_for};

const ALICE: &str = "@alice:example.org";

async fn has_access(api: &Api) -> bool {
    let answer = api.account().await;
    if answer.status == 403 {
        answer.refused(403, "M_TERMS_NOT_SIGNED");
        return false;
    }
    answer.ok();
    true
}

/// TOS-01, AUTH-12
#[actix_web::test]
async fn policies_are_public_even_with_a_bad_token() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let expected = json!({ "policies": {
        "privacy": {
            "version": "1.2",
            "en": { "name": "The privacy in en", "url": "https://a/p-en" },
            "fr": { "name": "The privacy in fr", "url": "https://a/p-fr" },
        },
        "terms": {
            "version": "5",
            "en": { "name": "The terms in en", "url": "https://a/t-en" },
        },
    } });
    assert_eq!(server.api().terms().await.ok(), expected);
    let stranger = server.api().with_token("nonsense");
    assert_eq!(stranger.terms().await.ok(), expected);
    assert_eq!(server.account(ALICE).await.terms().await.ok(), expected);
}

/// TOS-01, TOS-11
#[actix_web::test]
async fn no_policies_need_no_acceptance() {
    let server = TestServer::start(|_| {});
    let alice = server.account(ALICE).await;
    assert_eq!(alice.terms().await.ok(), json!({ "policies": {} }));
    assert!(has_access(&alice).await);
    assert_eq!(alice.accept(json!([])).await.ok(), json!({}));
    assert!(has_access(&alice).await);
}

/// TOS-03, TOS-04, TOS-05, TOS-06, TOS-07, AUTH-09
#[actix_web::test]
async fn acceptance_accumulates_across_languages() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let alice = server.account(ALICE).await;
    assert!(!has_access(&alice).await);
    assert_eq!(
        alice.accept(json!(["https://a/p-fr"])).await.ok(),
        json!({})
    );
    assert!(!has_access(&alice).await);
    alice.accept(json!(["https://a/p-en"])).await.ok();
    assert!(!has_access(&alice).await);
    alice.accept(json!([])).await.ok();
    assert!(!has_access(&alice).await);
    alice.accept(json!(["https://a/t-en"])).await.ok();
    assert!(has_access(&alice).await);
    assert!(!has_access(&server.account("@bob:example.org").await).await);
}

/// AUTH-16
#[actix_web::test]
async fn acceptance_belongs_to_the_user_not_the_token() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let first = server.account(ALICE).await;
    let urls = json!(["https://a/p-en", "https://a/t-en"]);
    first.accept(urls).await.ok();
    first.logout().await.ok();
    assert!(has_access(&server.account(ALICE).await).await);
}

/// TOS-09
#[actix_web::test]
async fn unknown_urls_are_not_stored() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let alice = server.account(ALICE).await;
    for unknown in [json!(["https://evil/"]), json!(["", "x", "https://a/P-en"])] {
        alice.accept(unknown).await.refused(400, "M_INVALID_PARAM");
    }
    assert_eq!(server.database.count("accepted_terms"), 0);
    let mixed = json!(["https://evil/", "https://a/p-en", "https://a/p-en"]);
    alice.accept(mixed).await.ok();
    let account = FindAccount {
        unused_since: None,
        token_hash: TokenHash::new(alice.token()),
        with_terms: true,
    };
    let account = server.app.accounts.send(account).await.unwrap().unwrap();
    assert_eq!(account.accepted, ["https://a/p-en"]);
}

/// TOS-10
#[actix_web::test]
async fn user_accepts_must_be_a_list_of_strings() {
    let file = TermsFile::two();
    let server = TestServer::start(|settings| file.configure(settings));
    let alice = server.account(ALICE).await;
    for wrong in [
        json!("https://a/p-en"),
        json!(1),
        json!({ "https://a/p-en": true }),
        json!([1]),
        json!(["https://a/p-en", null]),
        json!([["https://a/p-en"]]),
    ] {
        alice.accept(wrong).await.refused(400, "M_INVALID_PARAM");
    }
    alice
        .accept(Value::Null)
        .await
        .refused(400, "M_MISSING_PARAMS");
    assert_eq!(server.database.count("accepted_terms"), 0);
    alice.accept(json!([])).await.ok();
}

/// TOS-08
#[actix_web::test]
async fn accepted_terms_may_be_accepted_again() {
    let file = TermsFile::two();
    file.write_text(&format!("master_version: '1'\n{ONE}"));
    let server = TestServer::start(|settings| file.configure(settings));
    let alice = server.account(ALICE).await;
    for _ in 0..2 {
        alice.accept(json!(["https://a/t-en"])).await.ok();
        assert!(has_access(&alice).await);
    }
    // A new master version requires acceptance again, though no URL has changed.
    file.write_text(&format!("master_version: '2'\n{ONE}"));
    server.reload_terms();
    assert!(!has_access(&alice).await);
    alice.accept(json!(["https://a/t-en"])).await.ok();
    assert!(has_access(&alice).await);
}

const ONE: &str =
    "docs: { terms: { version: '1', langs: { en: { name: T, url: 'https://a/t-en' } } } }";

/// TOS-12
#[actix_web::test]
async fn sighup_reloads_the_terms_and_keeps_accounts() {
    let file = TermsFile::with(&[("terms", "1", &[("en", "https://a/1")])]);
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, |settings| file.configure(settings));
    let token = registered(&database);
    let alice = process.api().with_token(token);
    alice.accept(json!(["https://a/1"])).await.ok();
    assert!(has_access(&alice).await);

    file.write(&[("terms", "2", &[("en", "https://a/2")])]);
    assert!(has_access(&alice).await, "the file was not reloaded yet");
    process.signal(Signal::HUP);
    wait_for("the new terms", async || {
        (!has_access(&alice).await).then_some(())
    })
    .await;
    alice.accept(json!(["https://a/2"])).await.ok();
    assert!(has_access(&alice).await);

    file.write_text("docs: [");
    process.signal(Signal::HUP);
    wait_for("a line in the log", async || {
        process
            .log()
            .contains("cannot reload the terms")
            .then_some(())
    })
    .await;
    assert!(has_access(&alice).await);
    assert_eq!(
        alice.terms().await.ok()["policies"]["terms"]["version"],
        "2"
    );

    // Back to the first version: its acceptance is still stored.
    file.write(&[("terms", "1", &[("en", "https://a/1")])]);
    process.signal(Signal::HUP);
    wait_for("the old terms", async || {
        let terms = alice.terms().await.ok();
        (terms["policies"]["terms"]["version"] == "1").then_some(())
    })
    .await;
    assert!(has_access(&alice).await);
}

/// Inserts an account into the database of a process; returns its token.
fn registered(database: &TestDatabase) -> &'static str {
    let token = "a-token-of-alice";
    let hash = TokenHash::new(token);
    let hash = hash.as_str();
    database.execute(&format!(
        "INSERT INTO accounts (user_id, created_at) VALUES ('{ALICE}', 0);
        INSERT INTO access_tokens (token_hash, user_id, created_at) VALUES ('{hash}', '{ALICE}', 0)"
    ));
    token
}

/// OPS-08
#[test]
fn invalid_terms_are_reported_with_their_line() {
    let file = TermsFile::with(&[("terms", "1", &[("en", "https://a/1"), ("fr", "nowhere")])]);
    let output = TestProcess::start_failing(&TestDatabase::fresh(), |settings| {
        file.configure(settings);
    });
    assert_ne!(output.code, 0);
    let named =
        output.err.contains("terms.file: ") && output.err.contains(".yaml:6: is not a valid terms");
    assert!(named, "{}", output.err);
}

/// TOS-02
#[test]
fn url_shared_by_two_policies_causes_a_warning() {
    let shared = ("en", "https://a/1");
    let file = TermsFile::with(&[("privacy", "1", &[shared]), ("terms", "1", &[shared])]);
    let process = TestProcess::start(&TestDatabase::fresh(), |settings| file.configure(settings));
    let warned = "terms.file: https://a/1 is the URL of privacy, terms: accepting";
    assert!(process.log().contains(warned), "{}", process.log());
}
