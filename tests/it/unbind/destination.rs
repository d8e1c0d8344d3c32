//! The server that a homeserver signs a request for.

use actix_web::http::Method;
use serde_json::json;

use super::{HERE, Signing, bind, body, bound, bound_user, v2};
use crate::harness::{BASE_URL, Homeserver, SERVER_NAME, TestServer, V2};

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
