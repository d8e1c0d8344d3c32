//! Bodies that are too large, too deep, too slow, or not a JSON object.

use std::time::{Duration, Instant};

use awc::http::Method;

use crate::harness::{Answer, Listener, RawConnection, Route, TestServer, V1, V2, posts};

async fn post(server: &TestServer, route: &Route, body: impl Into<Vec<u8>>) -> Answer {
    let json = [("content-type", "application/json")];
    let api = server.api_with_access(route.listener).await;
    api.send(Method::POST, route.path, &json, body.into()).await
}

fn megabyte() -> String {
    megabytes(1)
}

fn megabytes(count: usize) -> String {
    format!(r#"{{"client_secret": "{}"}}"#, "x".repeat(count << 20))
}

/// More than the route takes: a lookup may be as large as its addresses are.
fn oversize(route: &Route) -> String {
    megabytes(if route.path.ends_with("lookup") { 9 } else { 1 })
}

/// GEN-21, SEC-01
#[actix_web::test]
async fn oversized_body_is_413_on_every_route() {
    let server = TestServer::start(|_| {});
    for route in posts() {
        let answer = post(&server, route, oversize(route)).await;
        answer.refused(413, "M_TOO_LARGE");
        if route.listener == Listener::Client {
            answer.has_cors_headers();
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let api = server.api_with_access(route.listener).await;
        api.send(Method::POST, route.path, &form, oversize(route).into())
            .await
            .refused(413, "M_TOO_LARGE");
    }
}

/// GEN-21
#[actix_web::test]
async fn chunked_body_has_the_same_limit() {
    let server = TestServer::start(|_| {});
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let request = format!(
        "POST {V1}/3pid/bind HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(9)
    );
    let answer = server.api().raw(request.as_bytes()).await.unwrap();
    answer.refused(413, "M_TOO_LARGE");
}

/// GEN-21
#[actix_web::test]
async fn body_limit_is_configurable() {
    let server = TestServer::start(|settings| settings.http.max_body_bytes = 2000);
    let route = posts()
        .find(|route| route.path.ends_with("/3pid/bind"))
        .unwrap();
    let largest = format!("{{}}{}", " ".repeat(1998));
    post(&server, route, largest.clone())
        .await
        .refused(400, "M_MISSING_PARAMS");
    post(&server, route, format!("{largest} "))
        .await
        .refused(413, "M_TOO_LARGE");
}

/// GEN-10, GEN-11, GEN-13
#[actix_web::test]
async fn unread_large_body_is_answered() {
    let server = TestServer::start(|_| {});
    let api = server.api();
    for (method, path, status) in [
        (Method::POST, "/nowhere", 404),
        (Method::POST, V2, 405),
        (Method::PUT, V1, 405),
        (Method::OPTIONS, V2, 200),
        (Method::GET, V2, 200),
    ] {
        let answer = api.send(method, path, &[], megabyte().into()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        answer.has_cors_headers();
    }
}

/// GEN-21: the body of a caller without access is not waited for.
#[actix_web::test]
async fn body_of_a_refused_caller_is_not_read() {
    let server = TestServer::start(|settings| {
        settings.http.max_body_bytes = 2000;
        settings.http.request_timeout = Duration::from_secs(3);
        settings.delivery.answer_within = Duration::from_secs(1);
    });
    let request = |length: usize, token: &str| {
        format!(
            "POST {V2}/lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{{"
        )
    };
    let head_of_answer = async |request: String| {
        let mut connection = RawConnection::connect(server.addresses.client[0]).await;
        let started = Instant::now();
        connection.send(&request).await;
        let answer = connection.read_response().await;
        (answer, started.elapsed())
    };
    // What has been announced never comes.
    for length in [2001, 1 << 20, 2000] {
        let (answer, took) = head_of_answer(request(length, "wrong")).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{length}: {answer}");
        assert!(took < Duration::from_secs(3), "{length}: {took:?}");
    }
    let account = server.account("@a:example.org").await;
    let (answer, _) = head_of_answer(request(1 << 20, account.token())).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

/// GEN-21
#[actix_web::test]
async fn incomplete_body_times_out() {
    let server = TestServer::start(|settings| {
        settings.http.request_timeout = Duration::from_secs(2);
        settings.delivery.answer_within = Duration::from_secs(1);
    });
    let request = format!(
        "POST {V1}/3pid/bind HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let answer = server.api().raw(request.as_bytes()).await.unwrap();
    answer.refused(408, "M_UNKNOWN");
    answer.has_cors_headers();
}

/// GEN-22
#[actix_web::test]
async fn deeply_nested_json_is_rejected() {
    let server = TestServer::start(|_| {});
    let arrays = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
    for route in posts() {
        for body in [
            arrays.clone(),
            objects.clone(),
            format!(r#"{{"client_secret": {arrays}}}"#),
            "[".repeat(5000),
        ] {
            post(&server, route, body).await.refused(400, "M_BAD_JSON");
        }
    }
    server.api().get(V2).await.ok();
}

/// GEN-05, GEN-06
#[actix_web::test]
async fn invalid_json_is_rejected() {
    let server = TestServer::start(|_| {});
    for route in posts() {
        for body in [
            &b"{"[..],
            b"hello",
            b"{'sid': 'x'}",
            br#"{"sid": NaN}"#,
            br#"{"sid": Infinity}"#,
            br#"{"sid": -Infinity}"#,
            br#"{"sid": 01}"#,
            br#"{"sid": 1,}"#,
            br#"{"sid": 1} x"#,
            br#"{"sid": "x" /* y */}"#,
            b"{\"sid\": \"\n\"}",
            b"\xef\xbb\xbf{}",
            b"{\"sid\": \"\xff\"}",
            b"{\"\xc3\x28\": 1}",
            br#"{"sid": "\ud800"}"#,
            b"\0",
        ] {
            post(&server, route, body).await.refused(400, "M_BAD_JSON");
        }
    }
}

/// GEN-05, GEN-06, GEN-22
#[actix_web::test]
async fn fields_that_nobody_reads_must_be_json_too() {
    let server = TestServer::start(|_| {});
    let client = server.account("@alice:example.org").await;
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let v2 = format!("{V2}/lookup");
    let v1 = format!("{V1}/bulk_lookup");
    let v2_fields = br#""algorithm": "sha256", "pepper": "wrong", "addresses": []"#;
    let v1_fields = br#""threepids": [["email", "alice@example.com"]]"#;
    let json = [("content-type", "application/json")];
    for (path, fields) in [(&v2, &v2_fields[..]), (&v1, v1_fields)] {
        for (more, is_json) in [
            (&br#""x": {"y": [null, 1.5]}"#[..], true),
            (b"\"x\": \"\xff\"", false),
            (br#""x": "\ud800""#, false),
            (br#""x": 1e999"#, false),
            (br#""\ud800": 1"#, false),
            (b"\"\xc3\x28\": 1", false),
            (format!("\"x\": {deep}").as_bytes(), false),
        ] {
            let body = [b"{", fields, b", ", more, b"}"].concat();
            let answer = client.send(Method::POST, path, &json, body).await;
            match (is_json, path == &v2) {
                (false, _) => drop(answer.refused(400, "M_BAD_JSON")),
                (true, true) => drop(answer.refused(400, "M_INVALID_PEPPER")),
                (true, false) => assert!(answer.ok()["threepids"].is_array()),
            }
        }
    }
}

/// GEN-03, GEN-07
#[actix_web::test]
async fn non_object_json_is_rejected() {
    let server = TestServer::start(|_| {});
    for route in posts() {
        for body in ["[]", r#"["sid"]"#, "1", "-1.5e3", r#""sid""#, "true"] {
            post(&server, route, body).await.refused(400, "M_BAD_JSON");
        }
        for body in ["null", "", " \n"] {
            let answer = post(&server, route, body).await;
            let errcode = answer.json()["errcode"].clone();
            assert_eq!(answer.status, 400);
            assert!(
                errcode == "M_BAD_JSON" || errcode == "M_MISSING_PARAMS",
                "{errcode}"
            );
        }
    }
}
