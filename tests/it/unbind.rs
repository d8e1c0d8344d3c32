//! `3pid/unbind` (section 14) with a homeserver's signature, as Synapse makes it and
//! as the specification defines it.

mod destination;
mod limits;
mod odd;
mod session;
mod signatures;

use serde_json::{Value, json};

use crate::harness::{Api, Homeserver, SERVER_KEYS, SERVER_NAME, TestServer, V1, V2};

const ADDRESS: &str = "alice@example.com";

/// The destination in the header.
const HERE: &str = SERVER_NAME;

/// A server, and a homeserver whose Alice has bound an address.
async fn bound() -> (TestServer, Homeserver) {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| homeserver.configure(settings));
    bind(&server, &homeserver.user("alice")).await;
    (server, homeserver)
}

async fn bind(server: &TestServer, mxid: &str) {
    server
        .internal()
        .internal_bind("email", ADDRESS, mxid)
        .await
        .ok();
}

/// The user that the address is bound to, by every kind of lookup.
async fn bound_user(server: &TestServer) -> Option<String> {
    let found = server.api().lookup("email", ADDRESS).await.ok();
    let bound_user = found["mxid"].as_str().map(str::to_owned);
    let account = server.account("@looker:example.org").await;
    let pepper = account.hash_details().await.ok()["lookup_pepper"].clone();
    let entry = format!("{ADDRESS} email");
    let fields = json!({"algorithm": "none", "pepper": pepper, "addresses": [entry]});
    let found = account.hashed_lookup(fields).await.ok();
    assert_eq!(found["mappings"][&entry].as_str(), bound_user.as_deref());
    bound_user
}

fn body(mxid: &str) -> Value {
    json!({"mxid": mxid, "threepid": {"medium": "email", "address": ADDRESS}})
}

/// What a homeserver signs: Synapse names the destination `destination_is`.
struct Signing<'a> {
    method: &'a str,
    uri: &'a str,
    name: &'a str,
    destination: &'a str,
}

impl<'a> Signing<'a> {
    fn to(destination: &'a str) -> Self {
        Self {
            method: "POST",
            uri: "/_matrix/identity/v2/3pid/unbind",
            name: "destination_is",
            destination,
        }
    }

    /// The header, as Synapse writes it.
    fn header(&self, homeserver: &Homeserver, content: &Value) -> String {
        let destination = format!(",destination=\"{}\"", self.destination);
        self.short_header(homeserver, content) + &destination
    }

    /// The header of a homeserver that does not name the destination.
    fn short_header(&self, homeserver: &Homeserver, content: &Value) -> String {
        let signed = homeserver.signed(json!({
            "method": self.method,
            "uri": self.uri,
            "origin": homeserver.name,
            self.name: self.destination,
            "content": content,
        }));
        let (id, _) = homeserver.key();
        let signature = &signed["signatures"][homeserver.name.as_str()][id.as_str()];
        let origin = &homeserver.name;
        format!("X-Matrix origin=\"{origin}\",key=\"{id}\",sig={signature}")
    }
}

/// v2, as a homeserver calls it: without a token.
fn v2(server: &TestServer) -> Api {
    server.api().on(V2)
}

/// UNB-01, UNB-02, UNB-09, UNB-10, UNB-12
#[actix_web::test]
async fn homeserver_unbinds_like_synapse() {
    let (server, homeserver) = bound().await;
    let body = body(&homeserver.user("alice"));
    let header = Signing::to(HERE).header(&homeserver, &body);
    for _ in 0..2 {
        let answer = v2(&server)
            .unbind(&[("authorization", &header)], &body)
            .await;
        assert_eq!(answer.ok(), json!({}));
        answer.has_cors_headers();
        assert_eq!(bound_user(&server).await, None);
    }
    assert_eq!(server.database.count("associations"), 0);
    let requests = homeserver.requests_to(SERVER_KEYS).len();
    assert_eq!(requests, 1, "its keys are fetched once");
}

/// UNB-02
#[actix_web::test]
async fn homeserver_unbinds_on_v1() {
    let (server, homeserver) = bound().await;
    let body = body(&homeserver.user("alice"));
    let uri = format!("{V1}/3pid/unbind");
    let signing = Signing {
        uri: &uri,
        ..Signing::to(HERE)
    };
    let header = signing.header(&homeserver, &body);
    server
        .api()
        .unbind(&[("authorization", &header)], &body)
        .await
        .ok();
    assert_eq!(bound_user(&server).await, None);
}

/// UNB-01, IDN-07
#[actix_web::test]
async fn historical_users_unbind() {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| homeserver.configure(settings));
    for localpart in ["", "Old Name", "a\n\"/%2F"] {
        let user = homeserver.user(localpart);
        bind(&server, &user).await;
        assert_eq!(bound_user(&server).await.as_ref(), Some(&user));
        let body = body(&user);
        let header = Signing::to(HERE).header(&homeserver, &body);
        v2(&server)
            .unbind(&[("authorization", &header)], &body)
            .await
            .ok();
        assert_eq!(bound_user(&server).await, None);
    }
}

/// UNB-09
#[actix_web::test]
async fn binding_of_another_user_is_kept() {
    let (server, homeserver) = bound().await;
    bind(&server, "@zoe:elsewhere.example").await;
    let body = body(&homeserver.user("alice"));
    let header = Signing::to(HERE).header(&homeserver, &body);
    let answer = v2(&server)
        .unbind(&[("authorization", &header)], &body)
        .await;
    assert_eq!(answer.ok(), json!({}));
    assert_eq!(
        bound_user(&server).await.as_deref(),
        Some("@zoe:elsewhere.example")
    );
}

/// UNB-11, UNB-16
#[actix_web::test]
async fn address_is_folded_and_whole_body_is_signed() {
    let (server, homeserver) = bound().await;
    let body = json!({
        "mxid": homeserver.user("alice"),
        "threepid": {"medium": "email", "address": "ALICE@Example.com", "x": [1, {"é": null}]},
        "signatures": {"a": {"b": "c"}},
        "unsigned": 7,
    });
    let header = Signing::to(HERE).header(&homeserver, &body);
    let mut other = body.clone();
    other["unsigned"] = json!(8);
    let refused = v2(&server)
        .unbind(&[("authorization", &header)], &other)
        .await;
    refused.refused(403, "M_FORBIDDEN");
    v2(&server)
        .unbind(&[("authorization", &header)], &body)
        .await
        .ok();
    assert_eq!(bound_user(&server).await, None);
}
