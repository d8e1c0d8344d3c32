//! The internal listener requires no password, so it refuses the web pages of other
//! sites: those with a foreign `Origin`, and those that have pointed a name of their
//! own to this machine's address.

use awc::http::Method;
use serde_json::json;
use sydent::config::{Settings, TransportKind};

use crate::harness::{Answer, Api, TestServer, fresh_address};

const INTERNAL: &str = "/_matrix/identity/internal";
const ALICE: &str = "@alice:example.org";
const MALLORY: &str = "@mallory:example.org";

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn change(api: &Api, what: &str, address: &str, mxid: &str, headers: Headers<'_>) -> Answer {
    // A page of another site can send this without a preflight.
    let mut all = vec![("content-type", "text/plain")];
    all.extend(headers);
    let body = json!({"medium": "email", "address": address, "mxid": mxid});
    let path = format!("{INTERNAL}/{what}");
    api.send(Method::POST, &path, &all, body.to_string().into_bytes())
        .await
}

async fn get(api: &Api, path: &str, headers: Headers<'_>) -> Answer {
    api.send(Method::GET, path, headers, Vec::new()).await
}

fn lookup_path(address: &str) -> String {
    format!("{INTERNAL}/lookup?medium=email&address={address}")
}

/// Host and port of a listener.
fn authority(api: &Api) -> String {
    api.base.strip_prefix("http://").unwrap().to_owned()
}

/// Adds pages to the internal listener.
fn with_pages(folder: &tempfile::TempDir) -> impl FnOnce(&mut Settings) {
    let dir = folder.path().to_owned();
    move |settings| {
        settings.email.transport = TransportKind::File;
        settings.email.file.dir = dir;
    }
}

/// INT-01
#[actix_web::test]
async fn cross_site_pages_cannot_change_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(with_pages(&folder));
    let (api, address) = (server.internal(), fresh_address("alice"));
    let bound = api.internal_bind("email", &address, ALICE).await.ok();
    let port = server.addresses.internal[0].port();
    let client = server.api().base;
    let rebound = format!("evil.example:{port}");
    let rebound_page = format!("http://{rebound}");
    let look_alike = format!("http://127.0.0.1:{port}.evil.example");
    let by_another_name = format!("http://localhost:{port}");

    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", client.as_str())],
        &[("origin", look_alike.as_str())],
        &[("origin", by_another_name.as_str())],
        &[("host", rebound.as_str())],
        &[
            ("host", rebound.as_str()),
            ("origin", rebound_page.as_str()),
        ],
        &[("host", "id.example.test")],
    ] {
        for answer in [
            change(&api, "bind", &address, MALLORY, headers).await,
            change(&api, "unbind", &address, ALICE, headers).await,
            get(&api, &lookup_path(&address), headers).await,
            get(&api, "/mail", headers).await,
            get(&api, "/mail/newest/text", headers).await,
            get(&api, "/nothing", headers).await,
        ] {
            let body = answer.refused(403, "M_FORBIDDEN");
            assert!(!body.to_string().contains(ALICE), "{body}");
        }
    }
    let found = get(&api, &lookup_path(&address), &[]).await.ok();
    assert_eq!(found, bound, "the refused requests changed nothing");
    assert_eq!(server.database.count("associations"), 1);
}

#[actix_web::test]
async fn own_pages_and_local_programs_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(with_pages(&folder));
    let api = server.internal();
    let (host, port) = (authority(&api), server.addresses.internal[0].port());
    let own = format!("http://{host}");
    let (by_name, by_name_page) = (
        format!("localhost:{port}"),
        format!("http://localhost:{port}"),
    );

    for headers in [
        &[][..],
        &[("origin", own.as_str())],
        &[("host", by_name.as_str())],
        &[
            ("host", by_name.as_str()),
            ("origin", by_name_page.as_str()),
        ],
        &[("host", "[::1]:8091")],
    ] {
        let address = fresh_address("own");
        change(&api, "bind", &address, ALICE, headers).await.ok();
        let found = get(&api, &lookup_path(&address), headers).await.ok();
        assert_eq!(found["mxid"], ALICE);
        change(&api, "unbind", &address, ALICE, headers).await.ok();
        let removed = get(&api, &lookup_path(&address), headers).await.ok();
        assert_eq!(removed, json!({}));
        assert_eq!(get(&api, "/mail", headers).await.status, 200);
    }
}

/// INT-01
#[actix_web::test]
async fn allowed_hosts_are_served_same_origin_only() {
    let server = TestServer::start(|settings| {
        settings.internal.allowed_hosts = vec!["id.internal".to_owned()];
    });
    let (api, address) = (server.internal(), fresh_address("network"));
    let name = ("host", "id.internal:8091");
    for headers in [
        &[name][..],
        &[name, ("origin", "http://id.internal:8091")],
        &[name, ("origin", "https://id.internal:8091")],
    ] {
        change(&api, "bind", &address, ALICE, headers).await.ok();
    }
    for origin in ["https://evil.example", "http://id.internal", "null"] {
        let headers = [name, ("origin", origin)];
        for what in ["bind", "unbind"] {
            change(&api, what, &address, MALLORY, &headers)
                .await
                .refused(403, "M_FORBIDDEN");
        }
        get(&api, &lookup_path(&address), &headers)
            .await
            .refused(403, "M_FORBIDDEN");
    }
    let found = get(&api, &lookup_path(&address), &[]).await.ok();
    assert_eq!(found["mxid"], ALICE);
}

#[actix_web::test]
async fn public_listener_accepts_any_host_and_origin() {
    let server = TestServer::start(|_| {});
    let headers = [
        ("host", "id.example.test"),
        ("origin", "https://app.example"),
    ];
    get(&server.api(), "/_matrix/identity/v2", &headers)
        .await
        .ok();
}
