//! A server with the deprecated v1 switched off.

use awc::http::Method;

use crate::harness::{Listener, TestDatabase, TestServer, V1, fresh_address, routes_of};

/// GEN-31
#[actix_web::test]
async fn disabled_v1_routes_are_403_with_cors() {
    let server = TestServer::start(|settings| settings.v1.enabled = false);
    let unknown = [
        "/_matrix/identity/api/v1/account",
        "/_matrix/identity/api/%76%31/lookup",
        "/_matrix/identity/%61pi/v1/3pid/bind",
    ];
    let known = routes_of(Listener::Client).filter(|route| route.is_v1_only());
    for path in known.map(|route| route.path).chain(unknown) {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = server.api().send(method, path, &[], Vec::new()).await;
            answer.refused(403, "M_FORBIDDEN");
            answer.has_cors_headers();
        }
        let answer = server
            .api()
            .send(Method::OPTIONS, path, &[], Vec::new())
            .await;
        answer.ok();
        answer.has_cors_headers();
    }
}

/// GEN-32, PUB-11
#[actix_web::test]
async fn mailed_links_and_key_urls_work_without_v1() {
    let with_v1 = TestServer::start(|_| {});
    let address = fresh_address("alice");
    let (sid, mail) = with_v1.request_mail(&address, "secret").await;

    let same = TestDatabase::existing(&with_v1.database.url);
    let without_v1 = TestServer::start_on(same, |settings| settings.v1.enabled = false);
    let page = without_v1.api().open_link(&mail.link()).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let validated = with_v1.api().get_validated(&sid, "secret").await.ok();
    assert_eq!(validated["address"], address);

    for path in [
        "ed25519:0",
        "isvalid?public_key=x",
        "ephemeral/isvalid?public_key=x",
    ] {
        let answer = without_v1.api().get(&format!("{V1}/pubkey/{path}")).await;
        answer.ok();
    }
}
