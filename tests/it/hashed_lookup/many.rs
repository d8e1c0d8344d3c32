//! Lookups of many entries.

use super::*;

/// LKP-12, GEN-21
#[actix_web::test]
async fn lookup_is_limited_to_10000_addresses() {
    let (server, alice) = server().await;
    bind(&server, "email", &n_th(9_999), "@last:example.org").await;
    let hashes = many(10_000);
    let mappings = found(&alice, "sha256", hashes.clone()).await;
    let last = hashes[9_999].as_str().unwrap();
    assert_eq!(mappings, json!({ last: "@last:example.org" }));
    let fields = lookup_fields("sha256", &many(10_001));
    alice
        .hashed_lookup(fields)
        .await
        .refused(400, "M_TOO_LARGE");
}

/// LKP-12
#[actix_web::test]
async fn address_limit_is_configurable() {
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 100_000;
        let limits = &mut settings.limits;
        limits.lookup_per_client.burst = 0;
        limits.lookup_per_account.burst = 0;
        limits.new_addresses_per_client.burst = 0;
        limits.new_addresses_per_homeserver.burst = 0;
        limits.new_addresses_per_account.burst = 0;
        settings.http.max_body_bytes = 8 << 20;
    });
    server
        .database
        .execute("UPDATE lookup_peppers SET pepper = 'matrixrocks'");
    let alice = server.account("@alice:example.org").await;
    for n in [0, 69_999] {
        bind(&server, "email", &n_th(n), "@a:example.org").await;
    }
    let mappings = found(&alice, "sha256", many(70_000)).await;
    assert_eq!(mappings.as_object().unwrap().len(), 2);
    let entry = |n| format!("{} email", n_th(n));
    let mappings = found(&alice, "none", (0..70_000).map(entry).collect()).await;
    assert_eq!(mappings.as_object().unwrap().len(), 2);
}

/// LKP-18
#[actix_web::test]
async fn entries_per_account_are_limited() {
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 10;
        settings.limits.lookup_per_account.burst = 10;
        settings.limits.lookup_per_account.every = std::time::Duration::from_hours(1);
    });
    server
        .database
        .execute("UPDATE lookup_peppers SET pepper = 'matrixrocks'");
    let alice = server.account("@alice:example.org").await;
    let again = server.account("@alice:example.org").await;
    found(&alice, "sha256", many(7)).await;
    let refused = again.hashed_lookup(lookup_fields("sha256", &many(4))).await;
    let body = refused.refused(429, "M_LIMIT_EXCEEDED");
    assert!(
        body["retry_after_ms"].as_i64().unwrap() > 50 * 60_000,
        "{body}"
    );
    assert!(refused.header("retry-after").is_some());
    found(&again, "none", many(3)).await;
    let refused = alice.hashed_lookup(lookup_fields("sha256", &many(1))).await;
    refused.refused(429, "M_LIMIT_EXCEEDED");
    found(
        &server.account("@bob:example.org").await,
        "sha256",
        many(10),
    )
    .await;
    alice.hash_details().await.ok();
}

/// LKP-05, LKP-06, LKP-16
#[actix_web::test]
async fn many_entries_are_found_as_each_alone() {
    let (server, alice) = server().await;
    let pepper = Pepper::parse("matrixrocks").unwrap();
    let mut forms = Vec::new();
    for number in 0..20 {
        // Every fifth has another form, which is stored in another column.
        let domain = if number % 5 == 0 {
            "xn--bcher-kva.example"
        } else {
            "example.org"
        };
        let address = format!("u{number}@{domain}");
        bind(
            &server,
            "email",
            &address,
            &format!("@old{number}:example.org"),
        )
        .await;
        if number % 3 == 0 {
            bind(
                &server,
                "email",
                &address,
                &format!("@new{number}:example.org"),
            )
            .await;
        }
        if number % 7 == 1 {
            let mxid = format!("@old{number}:example.org");
            let internal = server.internal();
            internal
                .internal_unbind("email", &address, &mxid)
                .await
                .ok();
        }
        forms.push(address.replace("xn--bcher-kva", "bücher"));
        forms.push(address);
    }
    let hash = |form: &String| lookup::hash(form, "email", &pepper);
    let entries: Vec<String> = forms.iter().map(hash).collect();
    let mut alone = serde_json::Map::new();
    for entry in &entries {
        let one = found(&alice, "sha256", json!([entry])).await;
        alone.extend(one.as_object().unwrap().clone());
    }
    assert!(alone.len() >= 17, "{alone:?}");
    // In several parts, most of them unknown.
    let unknown = (0..2500).map(|number| lookup::hash(&number.to_string(), "email", &pepper));
    let many: Vec<String> = entries.iter().cloned().chain(unknown).collect();
    assert_eq!(
        found(&alice, "sha256", json!(many)).await,
        Value::Object(alone)
    );
}
