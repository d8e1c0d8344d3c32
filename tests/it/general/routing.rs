//! Which path leads to which route, in every spelling.

use crate::harness::{ROUTES, TestServer, V1, V2};

#[test]
fn route_table_lists_every_route() {
    let document = sydent::http::openapi::document();
    let mut served: Vec<String> = document
        .paths
        .paths
        .keys()
        .map(|path| path.replace("{keyId}", "ed25519:0"))
        .collect();
    // The tests of the mesh have this one.
    served.retain(|path| path != "/_matrix/identity/replicate/v1/push");
    served.sort_unstable();
    let mut known: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    known.sort_unstable();
    assert_eq!(served, known);
}

/// GEN-19
#[actix_web::test]
async fn trailing_slash_works_after_the_version_only() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for version in [V1, V2] {
        assert_eq!(
            api.get(&format!("{version}/")).await.ok(),
            api.get(version).await.ok()
        );
    }
    for path in ["/_matrix/identity/versions/", &format!("{V1}/lookup/")] {
        api.get(path).await.refused(404, "M_UNRECOGNIZED");
    }
}

/// GEN-20, SEC-10
#[actix_web::test]
async fn encoded_path_is_the_same_route_or_404() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for (path, same_as) in [
        ("/_matrix/identity/%76%32", V2),
        (
            "/_matrix/identity/%76%65rsions",
            "/_matrix/identity/versions",
        ),
        ("/%5fmatrix/identity/api/%761", V1),
        (
            "/_matrix/identity/v2/pubkey/ed25519%3A0",
            "/_matrix/identity/v2/pubkey/ed25519:0",
        ),
        (
            "/_matrix/identity/api/v1/pubkey/%65d25519%3a0",
            "/_matrix/identity/v2/pubkey/ed25519:0",
        ),
        ("//_matrix/identity/v2", "/_matrix/identity/v2"),
        ("/_matrix//identity///v2//", "/_matrix/identity/v2/"),
        (
            "//_matrix/identity/v2/pubkey//ed25519%3A0",
            "/_matrix/identity/v2/pubkey/ed25519:0",
        ),
        (
            "//_matrix/identity/v2/pubkey/isvalid?public_key=a//b",
            "/_matrix/identity/v2/pubkey/isvalid?public_key=a//b",
        ),
    ] {
        assert_eq!(
            api.get(path).await.ok(),
            api.get(same_as).await.ok(),
            "{path}"
        );
    }
    for path in [
        "/_matrix/identity%2Fv2",
        "/_matrix%2fidentity/v2",
        "/_matrix/identity/v1/../v2",
        "/_matrix/identity/v2/.",
        "/_matrix/identity/v2/%2e%2e/v2",
        "/_matrix/identity/v2%00",
        "/_matrix/identity/v2%ff",
        "/_matrix/identity/v2;x=1",
        "/_matrix/identity/%2576%2532",
        "/_MATRIX/identity/V2",
        "/_matrix/identity/api%2fv1/lookup?medium=email&address=a",
        "/_matrix/identity/v2/pubkey%2Fisvalid?public_key=a",
    ] {
        api.get(path).await.refused(404, "M_UNRECOGNIZED");
    }
    api.get("/_matrix/identity/v2/pubkey/ephemeral%2Fisvalid?public_key=a")
        .await
        .refused(404, "M_NOT_FOUND");
}
