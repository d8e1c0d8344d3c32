//! The same through `/account/register`, where the client chooses the homeserver.

use serde_json::json;

use super::{homeserver_at, on_the_internet, public_ip, reaching};
use crate::harness::{
    Answer, Behaviour, Homeserver, TestDns, TestServer, USER_INFO, V2, WELL_KNOWN,
    listen_everywhere,
};

async fn register(id: &TestServer, server: &str) -> Answer {
    let body = json!({
        "access_token": "hunter2",
        "token_type": "Bearer",
        "matrix_server_name": server,
        "expires_in": 3600,
    });
    id.api().post(&format!("{V2}/account/register"), body).await
}

/// ACC-04, ACC-08
#[actix_web::test]
async fn homeserver_decides_who_may_register() {
    let hs = Homeserver::start();
    let id = reaching(&hs);
    let path = format!("{V2}/account/register");
    let answer = id.api().post(&path, hs.open_id("alice")).await;
    assert!(answer.ok()["token"].is_string());
    for (behaviour, status, errcode) in [
        (
            Behaviour::json(401, &json!({"errcode": "M_UNKNOWN_TOKEN"})),
            401,
            "M_UNAUTHORIZED",
        ),
        (
            Behaviour::json(200, &json!({"sub": "@alice:elsewhere.test"})),
            403,
            "M_UNAUTHORIZED",
        ),
        (
            Behaviour::json(500, &json!({"sub": hs.user("alice")})),
            502,
            "M_UNKNOWN",
        ),
        (Behaviour::text(200, "{"), 502, "M_UNKNOWN"),
        (Behaviour::Endless, 504, "M_UNKNOWN"),
        (Behaviour::HangUp, 504, "M_UNKNOWN"),
    ] {
        hs.behave(USER_INFO, behaviour.clone());
        let answer = id.api().post(&path, hs.open_id("alice")).await;
        let error = answer.json();
        let found = (answer.status, error["errcode"].as_str());
        assert_eq!(found, (status, Some(errcode)), "{behaviour:?}");
    }
}

/// ACC-07, SEC-02
#[actix_web::test]
async fn invalid_server_name_is_not_resolved() {
    let dns = TestDns::start();
    let id = TestServer::start(|settings| dns.configure(settings));
    let long = "a".repeat(5000);
    for name in [
        "",
        "example.com#",
        "example.com/x",
        "example.com?x",
        "user@example.com",
        "example.com:99999",
        "example.com:80:80",
        "exa mple.com",
        "example.com\r\nX: y",
        "https://example.com",
        "127.1",
        "[::1",
        "::1",
        &long,
    ] {
        let answer = register(&id, name).await;
        let errcode = answer.json()["errcode"].clone();
        assert_eq!(
            (answer.status, errcode),
            (400, json!("M_INVALID_PARAM")),
            "{name}"
        );
    }
    assert_eq!(dns.queries(), Vec::<String>::new());
}

/// NET-13, SEC-02, SEC-03
#[actix_web::test]
async fn register_reaches_no_internal_host() {
    let service = listen_everywhere();
    service.set_nonblocking(true).unwrap();
    let port = service.local_addr().unwrap().port();
    let (dns, ip) = (TestDns::start(), public_ip());
    dns.address("inside.test", "127.0.0.1");
    dns.service("_matrix._tcp.srv.test", 0, port, "inside.test");
    let hs = homeserver_at(&format!("{ip}:0"), "moved.test", "moved.test");
    hs.behave(
        WELL_KNOWN,
        Behaviour::redirect(&format!("https://127.0.0.1:{port}/")),
    );
    let id = TestServer::start(|settings| {
        on_the_internet(settings, &dns);
        let hosts = &mut settings.federation.hosts;
        hosts.insert("moved.test:443".to_owned(), hs.address);
    });
    let mut texts = Vec::new();
    for server in [
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("inside.test:{port}"),
        format!("localhost:{port}"),
        "169.254.169.254:80".to_owned(),
        "srv.test".to_owned(),
        "moved.test".to_owned(),
        // A name that does not exist.
        "missing.test".to_owned(),
    ] {
        let answer = register(&id, &server).await;
        assert_eq!(answer.status, 504, "{server}");
        texts.push(answer.text());
    }
    // The errors do not reveal which internal addresses exist.
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    let connection = service.accept().map_err(|error| error.kind());
    assert_eq!(connection.err(), Some(std::io::ErrorKind::WouldBlock));
}

/// AUTH-14
#[actix_web::test]
async fn unlisted_homeserver_is_refused() {
    let hs = Homeserver::start();
    let id = TestServer::start(|settings| {
        hs.configure(settings);
        settings.v1.enabled = false;
        settings.federation.allow_homeservers = vec!["*.example".parse().unwrap()];
    });
    assert_eq!(register(&id, hs.name.as_str()).await.status, 403);
    assert!(hs.requests().is_empty());
}
