//! Hostile values in fields.

use serde_json::json;

use crate::harness::{SmtpServer, TestServer, V1, fresh_address};

/// SEC-05
#[actix_web::test]
async fn invalid_or_huge_client_secret_is_rejected() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for secret in [
        "",
        &"x".repeat(256),
        "with space",
        "nul\0",
        "new\nline",
        "é",
    ] {
        api.request_token("a@example.com", secret, 1)
            .await
            .refused(400, "M_INVALID_PARAM");
        api.submit_token("x", secret, "t")
            .await
            .refused(400, "M_INVALID_PARAM");
        api.get_validated("x", secret)
            .await
            .refused(400, "M_INVALID_PARAM");
        api.bind("x", secret, "@a:example.org")
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    let endless = json!({"client_secret": "x".repeat(10_000_000)}).to_string();
    // The server does not read this body to its end, so the answer may be cut off.
    let _ = api
        .try_send(
            awc::http::Method::POST,
            &format!("{V1}/validate/email/requestToken"),
            &[("content-type", "application/json")],
            endless.into(),
        )
        .await;
    api.get(V1).await.ok();
}

/// SEC-05
#[actix_web::test]
async fn too_long_address_is_rejected() {
    let server = TestServer::start(|_| {});
    for address in [
        format!("{}@example.com", "a".repeat(501)),
        format!("a@{}com", "a.".repeat(250)),
        "@".repeat(501),
        format!("{}@example.com", ".".repeat(30_000)),
    ] {
        let answer = server.api().request_token(&address, "secret", 1).await;
        answer.refused(400, "M_INVALID_EMAIL");
        assert_eq!(
            server
                .api()
                .bulk_lookup(json!([["email", address]]))
                .await
                .ok(),
            json!({"threepids": []})
        );
    }
}

/// SEC-20
#[actix_web::test]
async fn links_and_brands_cannot_inject_headers() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    let path = format!("{V1}/validate/email/requestToken");
    for link in [
        "https://a.example/\r\nSet-Cookie: x=1",
        "https://a.example/\nX: y",
        "https://a.example/\u{2028}x",
        "\r\nhttps://a.example/",
        "https://a.example/\0",
    ] {
        let fields = [
            ("client_secret", "s"),
            ("email", "a@example.com"),
            ("send_attempt", "1"),
            ("next_link", link),
        ];
        api.post_form(&path, &fields)
            .await
            .refused(400, "M_INVALID_PARAM");
        let body: serde_json::Map<_, _> = fields
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.into()))
            .collect();
        api.post(&path, body.into())
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    for brand in [
        "default\r\nBcc: b@example.com",
        "../../../etc/passwd",
        "/etc",
        "\0",
        "default/..",
    ] {
        let address = fresh_address("brand");
        let body =
            json!({"client_secret": "s", "email": address, "send_attempt": 1, "brand": brand});
        api.post(&path, body).await.ok();
        let mail = SmtpServer::shared().mail_to(&address).await;
        assert_eq!(mail.header("bcc"), "");
        assert_eq!(mail.received["rcpt_tos"], json!([address]));
        let page = api.open_link(&mail.link()).await;
        assert_eq!(page.status, 200, "{}", page.text());
    }
}

/// SEC-21
#[actix_web::test]
async fn sql_in_any_field_is_plain_text() {
    let server = TestServer::start(|_| {});
    let (api, internal) = (server.api(), server.internal());
    let bound = internal
        .internal_bind("email", "a@example.com", "@alice:example.org")
        .await
        .ok();
    for sql in [
        "' OR '1'='1",
        "'; DROP TABLE associations; --",
        "\" OR \"\"=\"",
        "x' UNION SELECT token FROM validation_sessions --",
        "$1",
        "%",
        "\\'; DELETE FROM associations; --",
    ] {
        let address = format!(
            "{}@example.com",
            sql.replace([' ', ';', '"', '\\', '(', ')'], "'")
        );
        for address in [sql, &address] {
            assert_eq!(
                api.lookup("email", address).await.ok(),
                json!({}),
                "{address}"
            );
            assert_eq!(api.lookup(address, "a@example.com").await.ok(), json!({}));
            let found = api
                .bulk_lookup(json!([["email", address], [address, "a@example.com"]]))
                .await;
            assert_eq!(found.ok(), json!({"threepids": []}));
        }
        api.get_validated(sql, "secret")
            .await
            .refused(400, "M_INVALID_PARAM");
        api.get_validated("x", sql)
            .await
            .refused(400, "M_INVALID_PARAM");
        api.submit_token("x", "secret", sql)
            .await
            .refused(400, "M_INVALID_PARAM");
        api.bind("x", "secret", sql)
            .await
            .refused(400, "M_INVALID_PARAM");
        let refused = internal
            .internal_unbind("email", "a@example.com", sql)
            .await;
        refused.refused(400, "M_INVALID_PARAM");
        let query = crate::harness::encode(&[("public_key", sql)]);
        let valid = api
            .get(&format!("{V1}/pubkey/ephemeral/isvalid?{query}"))
            .await;
        assert_eq!(valid.ok(), json!({"valid": false}));
    }
    // A Matrix ID and an address may contain quotes.
    let quoted = "@x'--:example.org";
    internal
        .internal_bind("email", "o'--@example.com", quoted)
        .await
        .ok();
    assert_eq!(
        api.lookup("email", "O'--@example.com").await.ok()["mxid"],
        quoted
    );
    assert_eq!(api.lookup("email", "a@example.com").await.ok(), bound);
}

/// SEC-22
#[actix_web::test]
async fn request_token_does_not_reveal_bindings() {
    let server = TestServer::start(|_| {});
    let (bound, free) = (fresh_address("bound"), fresh_address("free"));
    server
        .internal()
        .internal_bind("email", &bound, "@alice:example.org")
        .await
        .ok();
    let mut shapes = Vec::new();
    for address in [&bound, &free] {
        let answer = server.api().request_token(address, "secret", 1).await;
        let body = answer.ok();
        let keys: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        let mut headers: Vec<_> = answer
            .headers
            .into_iter()
            .filter(|(name, _)| name != "date")
            .collect();
        headers.sort();
        shapes.push((keys, body["sid"].as_str().unwrap().len(), headers));
        SmtpServer::shared().mail_to(address).await;
    }
    assert_eq!(shapes[0], shapes[1]);
}
