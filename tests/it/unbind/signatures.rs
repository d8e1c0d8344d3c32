//! Whose signature counts, and for what.

use actix_web::http::Method;
use serde_json::json;

use super::{HERE, Signing, body, bound, bound_user, v2};
use crate::harness::{Behaviour, Homeserver, SERVER_KEYS, V1, V2};

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
