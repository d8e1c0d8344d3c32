//! Connections to homeservers that are used for several calls.

use serde_json::json;

use super::user_info;
use crate::harness::{Behaviour, Homeserver, TestServer, USER_INFO};

/// NET-16
#[actix_web::test]
async fn calls_in_a_row_share_a_connection() {
    let hs = Homeserver::start();
    let id = TestServer::start(|settings| hs.configure(settings));
    for _ in 0..3 {
        let user = user_info(&id, hs.name.as_str(), &hs.openid_token("alice")).await;
        assert_eq!(user.unwrap(), hs.user("alice"));
    }
    assert_eq!(hs.requests_to(USER_INFO).len(), 3);
    assert_eq!(hs.connections(), 1);
}

/// The server closes the connection after each response, and says so or not.
///
/// NET-16
#[actix_web::test]
async fn connection_that_was_closed_is_replaced() {
    let hs = Homeserver::start();
    let id = TestServer::start(|settings| hs.configure(settings));
    let body = json!({"sub": hs.user("alice")}).to_string();
    let close = ("connection".to_owned(), "close".to_owned());
    let length = body.len();
    let silently = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
    let mut expected: usize = 0;
    for closing in [
        Behaviour::Answer(200, vec![close], body.into_bytes()),
        Behaviour::bytes(silently.clone()),
        Behaviour::bytes(format!("{silently}HTTP/1.1 200 OK\r\n")),
        Behaviour::bytes(silently.replace("HTTP/1.1", "HTTP/1.0")),
    ] {
        hs.behave(USER_INFO, closing);
        for _ in 0..3 {
            let user = user_info(&id, hs.name.as_str(), "token").await;
            assert_eq!(user.unwrap(), hs.user("alice"));
            expected += 1;
        }
        assert_eq!(hs.requests_to(USER_INFO).len(), expected);
    }
    assert_eq!(hs.connections() as usize, expected);
}

/// A server may answer 408 where it has waited for a request, and close the connection.
///
/// NET-16
#[actix_web::test]
async fn timeout_of_an_open_connection_is_no_answer() {
    let hs = Homeserver::start();
    let id = TestServer::start(|settings| hs.configure(settings));
    let token = hs.openid_token("alice");
    assert!(user_info(&id, hs.name.as_str(), &token).await.is_ok());
    let close = vec![("connection".to_owned(), "close".to_owned())];
    hs.behave(USER_INFO, Behaviour::Answer(408, close, Vec::new()));
    assert!(user_info(&id, hs.name.as_str(), &token).await.is_err());
    // The first call, the one on the open connection, and one on a new connection.
    assert_eq!(hs.requests_to(USER_INFO).len(), 3);
    assert_eq!(hs.connections(), 2);
}
