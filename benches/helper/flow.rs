//! Whole flows: a user asks for a token, submits it and binds the address.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::data;
use super::http::Connection;
use super::relay::Relay;

const V2: &str = "/_matrix/identity/v2";

/// Makes flows, each with an address of its own. Clones count together.
#[derive(Clone)]
pub struct Flows {
    relay: Relay,
    next: Arc<AtomicU32>,
    accounts: u32,
}

impl Flows {
    /// Flows of that many users, who have accounts.
    pub fn new(relay: Relay, accounts: u32) -> Self {
        Self {
            relay,
            next: Arc::default(),
            accounts,
        }
    }

    /// Does one, of three requests.
    pub fn run(&self, connection: &mut Connection) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let account = number.wrapping_mul(2_654_435_761) % self.accounts;
        let (user, token) = (data::user(account), data::token(account));
        let (process, secret) = (std::process::id(), format!("secret{number}"));
        let email = format!("flow{process}-{number}@example.com");
        let mut post = |path: &str, body| connection.post(&format!("{V2}/{path}"), &token, &body);
        let session = post(
            "validate/email/requestToken",
            json!({"client_secret": secret, "email": email, "send_attempt": 1}),
        );
        let sid = &session["sid"];
        let code = self.relay.take_token(&email);
        let submitted = post(
            "validate/email/submitToken",
            json!({"sid": sid, "client_secret": secret, "token": code}),
        );
        assert_eq!(submitted["success"], true);
        post(
            "3pid/bind",
            json!({"sid": sid, "client_secret": secret, "mxid": user}),
        );
    }
}
