//! `3pid/unbind` (section 14) with a homeserver's signature, as Synapse makes it and
//! as the specification defines it.

mod limits;
mod odd;
mod session;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::harness::{
    Api, BASE_URL, Behaviour, Homeserver, SERVER_KEYS, SERVER_NAME, TestServer, V1, V2,
};

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

/// UNB-12
#[actix_web::test]
async fn destination_key_of_the_spec_is_accepted() {
    let (server, homeserver) = bound().await;
    let body = body(&homeserver.user("alice"));
    let uri = format!("{V2}/3pid/unbind");
    let header = homeserver.authorization("POST", &uri, HERE, Some(&body));
    v2(&server)
        .unbind(&[("authorization", &header)], &body)
        .await
        .ok();
    assert_eq!(bound_user(&server).await, None);
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

/// UNB-13
#[actix_web::test]
async fn every_name_of_this_server_is_accepted() {
    let homeserver = Homeserver::start();
    let server = TestServer::start(|settings| {
        homeserver.configure(settings);
        settings.server.public_base_url = Some("https://id.public.test:8443/identity".to_owned());
        settings.server.aliases = vec!["alias.test/x".to_owned()];
    });
    let alice = homeserver.user("alice");
    let body = body(&alice);
    for name in [
        SERVER_NAME,
        "id.public.test",
        "id.public.test:8443",
        "id.public.test/identity",
        "id.public.test:8443/identity",
        "alias.test/x",
    ] {
        let signing = Signing::to(name);
        for header in [
            signing.header(&homeserver, &body),
            signing.short_header(&homeserver, &body),
        ] {
            bind(&server, &alice).await;
            let answer = v2(&server)
                .unbind(&[("authorization", &header)], &body)
                .await;
            assert_eq!(answer.ok(), json!({}), "{name}");
            assert_eq!(bound_user(&server).await, None, "{name}");
        }
    }
}

/// UNB-13, UNB-15
#[actix_web::test]
async fn slash_at_the_end_is_no_other_name() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    let single = format!("{V2}/3pid/unbind");
    let doubled = format!("/{single}");
    let host = BASE_URL.strip_prefix("https://").unwrap();
    for name in [
        format!("{host}/"),
        format!("{SERVER_NAME}/"),
        host.to_uppercase(),
        format!("{host}:443/"),
        format!("{BASE_URL}/"),
        format!("{host}/_matrix/identity"),
    ] {
        // Synapse signs the path without the slash that it sends, others sign both,
        // and a proxy may merge the two.
        for (signed, sent) in [
            (&single, &doubled),
            (&doubled, &doubled),
            (&doubled, &single),
        ] {
            bind(&server, &alice).await;
            let signing = Signing {
                uri: signed,
                ..Signing::to(&name)
            };
            let header = signing.header(&homeserver, &body);
            let headers = [
                ("authorization", header.as_str()),
                ("content-type", "application/json"),
            ];
            let sent_body = body.to_string().into_bytes();
            let answer = server
                .api()
                .send(Method::POST, sent, &headers, sent_body)
                .await;
            assert_eq!(answer.ok(), json!({}), "{name} {signed} {sent}");
            assert_eq!(bound_user(&server).await, None, "{name}");
        }
    }
    bind(&server, &alice).await;
    let slash = format!("{SERVER_NAME}/");
    let header = Signing::to(&slash).short_header(&homeserver, &body);
    v2(&server)
        .unbind(&[("authorization", &header)], &body)
        .await
        .ok();
    assert_eq!(bound_user(&server).await, None);
}

/// UNB-13, UNB-14, SEC-19
#[actix_web::test]
async fn signature_for_another_server_is_401() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    for name in [
        "other.test",
        "",
        "alias.test",
        &format!("{SERVER_NAME}/x"),
        &format!("{BASE_URL}/x"),
        &format!("{BASE_URL}:8443"),
    ] {
        let signing = Signing::to(name);
        let with_destination = signing.header(&homeserver, &body);
        let refused = v2(&server)
            .unbind(&[("authorization", &with_destination)], &body)
            .await;
        refused.refused(401, "M_UNAUTHORIZED");
        let without_destination = signing.short_header(&homeserver, &body);
        let refused = v2(&server)
            .unbind(&[("authorization", &without_destination)], &body)
            .await;
        refused.refused(403, "M_FORBIDDEN");
        // Signed for another server, with a header that names this one.
        let mismatched = format!("{without_destination},destination=\"{HERE}\"");
        let refused = v2(&server)
            .unbind(&[("authorization", &mismatched)], &body)
            .await;
        refused.refused(403, "M_FORBIDDEN");
    }
    assert_eq!(bound_user(&server).await, Some(alice));
}

/// UNB-15, SEC-19
#[actix_web::test]
async fn signature_is_accepted_for_one_request_only() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    let v1_uri = format!("{V1}/3pid/unbind");
    for signing in [
        Signing {
            method: "PUT",
            ..Signing::to(HERE)
        },
        Signing {
            uri: &v1_uri,
            ..Signing::to(HERE)
        },
        Signing {
            uri: "/_matrix/identity/v2/3pid/unbind?a=b",
            ..Signing::to(HERE)
        },
        Signing {
            uri: "/identity/_matrix/identity/v2/3pid/unbind",
            ..Signing::to(HERE)
        },
    ] {
        let header = signing.header(&homeserver, &body);
        let refused = v2(&server)
            .unbind(&[("authorization", &header)], &body)
            .await;
        refused.refused(403, "M_FORBIDDEN");
    }
    let good = Signing::to(HERE).header(&homeserver, &body);
    let headers = [("authorization", good.as_str())];
    let path = format!("{V2}/3pid/unbind?a=b");
    let sent = body.to_string().into_bytes();
    let api = v2(&server);
    let refused = api.send(Method::POST, &path, &headers, sent).await;
    refused.refused(403, "M_FORBIDDEN");
    let mut other = body.clone();
    other["mxid"] = json!(homeserver.user("bob"));
    api.unbind(&headers, &other)
        .await
        .refused(403, "M_FORBIDDEN");
    assert_eq!(bound_user(&server).await, Some(alice));

    let with_query = Signing {
        uri: &path,
        ..Signing::to(HERE)
    };
    let header = with_query.header(&homeserver, &body);
    let sent = body.to_string().into_bytes();
    api.send(Method::POST, &path, &[("authorization", &header)], sent)
        .await
        .ok();
    assert_eq!(bound_user(&server).await, None);
}

/// UNB-02, UNB-06, SEC-12
#[actix_web::test]
async fn other_homeserver_unbinds_nothing() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let stranger = Homeserver::start();
    for mxid in [
        alice.clone(),
        format!("@alice:{}:{}", homeserver.name, stranger.name),
        format!("@alice:{}", homeserver.name.as_str().to_uppercase()),
    ] {
        let body = body(&mxid);
        let header = Signing::to(HERE).header(&stranger, &body);
        let refused = v2(&server)
            .unbind(&[("authorization", &header)], &body)
            .await;
        assert!(
            matches!(refused.status, 400 | 403),
            "{mxid}: {}",
            refused.text()
        );
        assert_eq!(bound_user(&server).await.as_ref(), Some(&alice), "{mxid}");
    }
    assert!(
        stranger.requests().is_empty(),
        "no request is sent to other homeservers"
    );
    assert_eq!(server.database.count("associations"), 1);
}

/// UNB-06, UNB-08
#[actix_web::test]
async fn bad_signature_is_403_and_missing_keys_are_5xx() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    let good = Signing::to(HERE).header(&homeserver, &body);
    let api = v2(&server);
    homeserver.behave(SERVER_KEYS, Behaviour::HangUp);
    let failed = api.unbind(&[("authorization", &good)], &body).await;
    failed.refused(504, "M_UNKNOWN");
    homeserver.behave(SERVER_KEYS, Behaviour::json(200, &json!({})));
    let failed = api.unbind(&[("authorization", &good)], &body).await;
    assert!(matches!(failed.status, 502 | 504), "{}", failed.text());
    homeserver.behave_normally(SERVER_KEYS);
    for (from, to) in [("sig=\"", "sig=\"A"), ("ed25519:hs", "ed25519:other")] {
        let bad = good.replace(from, to);
        let refused = api.unbind(&[("authorization", &bad)], &body).await;
        assert!(matches!(refused.status, 403 | 504), "{}", refused.text());
    }
    assert_eq!(bound_user(&server).await, Some(alice));
}

/// UNB-17
#[actix_web::test]
async fn one_valid_signature_of_one_origin_suffices() {
    let (server, homeserver) = bound().await;
    let alice = homeserver.user("alice");
    let body = body(&alice);
    let good = Signing::to(HERE).header(&homeserver, &body);
    let bad = good.replace("sig=\"", "sig=\"A");
    let from_another = Signing::to(HERE).header(&Homeserver::start(), &body);
    let send = async |headers: &[&str]| {
        let lines = headers
            .iter()
            .map(|header| format!("Authorization: {header}\r\n"));
        let (lines, body) = (lines.collect::<String>(), body.to_string());
        let text = format!(
            "POST {V2}/3pid/unbind HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             {lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        server.api().raw(text.as_bytes()).await.unwrap()
    };
    send(&[&good, &from_another])
        .await
        .refused(403, "M_FORBIDDEN");
    send(&[&from_another, &good])
        .await
        .refused(403, "M_FORBIDDEN");
    send(&[&good, "X-Matrix nonsense"])
        .await
        .refused(403, "M_FORBIDDEN");
    send(&[bad.as_str(); 3]).await.refused(403, "M_FORBIDDEN");
    send(&[good.as_str(); 5]).await.refused(403, "M_FORBIDDEN");
    assert_eq!(bound_user(&server).await, Some(alice));
    send(&[&bad, &good]).await.ok();
    assert_eq!(bound_user(&server).await, None);
}
