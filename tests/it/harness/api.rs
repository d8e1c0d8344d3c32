//! A client with a method per endpoint.

use std::cell::Cell;
use std::time::Duration;

use awc::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Answer;

pub const V1: &str = "/_matrix/identity/api/v1";
pub const V2: &str = "/_matrix/identity/v2";

/// A client of one listener.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    /// The requests that were sent so far.
    pub sent: Cell<usize>,
    version: &'static str,
    token: Option<String>,
    client: awc::Client,
}

impl Api {
    #[expect(clippy::disallowed_methods, reason = "tests speak to loopback only")]
    pub fn new(base: impl Into<String>) -> Self {
        let client = awc::Client::builder()
            .disable_redirects()
            .timeout(Duration::from_mins(1))
            .finish();
        Self {
            base: base.into(),
            sent: Cell::new(0),
            version: V1,
            token: None,
            client,
        }
    }

    /// The same client on v2, with that access token.
    pub fn with_token(self, token: impl Into<String>) -> Self {
        Self {
            version: V2,
            token: Some(token.into()),
            ..self
        }
    }

    /// A path of its version of the API.
    pub fn path(&self, rest: &str) -> String {
        format!("{}{rest}", self.version)
    }

    /// The same client with that version, without a token.
    pub fn on(self, version: &'static str) -> Self {
        Self {
            version,
            token: None,
            ..self
        }
    }

    /// Its access token.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a client with a token")
    }

    /// Sends a request, which must get a response.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .await
            .expect("the server answers")
    }

    /// Sends a request; an error if there is no response.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        self.sent.update(|sent| sent + 1);
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.insert_header(("authorization", format!("Bearer {token}")));
        }
        for header in headers {
            request = request.insert_header(*header);
        }
        let mut response = request
            .send_body(body)
            .await
            .map_err(|error| error.to_string())?;
        let status: StatusCode = response.status();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = response
            .body()
            .limit(64 << 20)
            .await
            .map_err(|error| error.to_string())?
            .to_vec();
        Ok(Answer {
            status: status.as_u16(),
            headers,
            body,
        })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            body.to_string().into_bytes(),
        )
        .await
    }

    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = encode(fields).into_bytes();
        self.send(
            Method::POST,
            path,
            &[("content-type", "application/x-www-form-urlencoded")],
            form,
        )
        .await
    }

    /// Registers with an `OpenID` token.
    pub async fn register(&self, open_id: Value) -> Answer {
        self.post(&format!("{V2}/account/register"), open_id).await
    }

    pub async fn account(&self) -> Answer {
        self.get(&format!("{V2}/account")).await
    }

    pub async fn logout(&self) -> Answer {
        let path = format!("{V2}/account/logout");
        self.send(Method::POST, &path, &[], Vec::new()).await
    }

    pub async fn terms(&self) -> Answer {
        self.get(&format!("{V2}/terms")).await
    }

    pub async fn accept(&self, urls: impl Into<Value>) -> Answer {
        let body = json!({"user_accepts": urls.into()});
        self.post(&format!("{V2}/terms"), body).await
    }

    pub async fn request_token(
        &self,
        email: &str,
        client_secret: &str,
        send_attempt: impl Into<Value>,
    ) -> Answer {
        let body = json!({"client_secret": client_secret, "email": email, "send_attempt": send_attempt.into()});
        self.request_token_with(body).await
    }

    /// requestToken with these fields.
    pub async fn request_token_with(&self, fields: Value) -> Answer {
        self.post(&self.path("/validate/email/requestToken"), fields)
            .await
    }

    pub async fn submit_token(&self, sid: &str, client_secret: &str, token: &str) -> Answer {
        let body = json!({"sid": sid, "client_secret": client_secret, "token": token});
        self.post(&self.path("/validate/email/submitToken"), body)
            .await
    }

    /// requestToken for a phone number, with the country that it is dialled from.
    pub async fn request_sms(
        &self,
        country: &str,
        phone_number: &str,
        client_secret: &str,
        send_attempt: impl Into<Value>,
    ) -> Answer {
        self.request_sms_with(json!({
            "client_secret": client_secret, "country": country, "phone_number": phone_number,
            "send_attempt": send_attempt.into(),
        }))
        .await
    }

    /// The same with these fields.
    pub async fn request_sms_with(&self, fields: Value) -> Answer {
        self.post(&self.path("/validate/msisdn/requestToken"), fields)
            .await
    }

    pub async fn submit_sms(&self, sid: &str, client_secret: &str, token: &str) -> Answer {
        let body = json!({"sid": sid, "client_secret": client_secret, "token": token});
        self.post(&self.path("/validate/msisdn/submitToken"), body)
            .await
    }

    /// Opens the mailed link at the address where the server listens.
    pub async fn open_link(&self, link: &str) -> Answer {
        self.get(
            link.strip_prefix(super::BASE_URL)
                .expect("a link to this server"),
        )
        .await
    }

    pub async fn get_validated(&self, sid: &str, client_secret: &str) -> Answer {
        let query = encode(&[("sid", sid), ("client_secret", client_secret)]);
        self.get(&self.path(&format!("/3pid/getValidated3pid?{query}")))
            .await
    }

    pub async fn bind(&self, sid: &str, client_secret: &str, mxid: &str) -> Answer {
        let body = json!({"sid": sid, "client_secret": client_secret, "mxid": mxid});
        self.post(&self.path("/3pid/bind"), body).await
    }

    pub async fn lookup(&self, medium: &str, address: &str) -> Answer {
        let query = encode(&[("medium", medium), ("address", address)]);
        self.get(&format!("{V1}/lookup?{query}")).await
    }

    pub async fn bulk_lookup(&self, threepids: Value) -> Answer {
        self.post(
            &format!("{V1}/bulk_lookup"),
            json!({"threepids": threepids}),
        )
        .await
    }

    /// Unbind with these fields and headers, which replace the access token's.
    pub async fn unbind(&self, headers: &[(&str, &str)], fields: &Value) -> Answer {
        let path = self.path("/3pid/unbind");
        let body = fields.to_string().into_bytes();
        self.send(Method::POST, &path, headers, body).await
    }

    pub async fn hash_details(&self) -> Answer {
        self.get(&format!("{V2}/hash_details")).await
    }

    /// A v2 lookup with these fields.
    pub async fn hashed_lookup(&self, fields: Value) -> Answer {
        self.post(&format!("{V2}/lookup"), fields).await
    }

    pub async fn store_invite(&self, fields: Value) -> Answer {
        self.post(&self.path("/store-invite"), fields).await
    }

    pub async fn sign(&self, mxid: &str, token: &str, private_key: &str) -> Answer {
        let body = json!({"mxid": mxid, "token": token, "private_key": private_key});
        self.post(&self.path("/sign-ed25519"), body).await
    }

    pub async fn internal_bind(&self, medium: &str, address: &str, mxid: &str) -> Answer {
        let body = json!({"medium": medium, "address": address, "mxid": mxid});
        self.post("/_matrix/identity/internal/bind", body).await
    }

    pub async fn internal_unbind(&self, medium: &str, address: &str, mxid: &str) -> Answer {
        let body = json!({"medium": medium, "address": address, "mxid": mxid});
        self.post("/_matrix/identity/internal/unbind", body).await
    }
}

/// A form or query string.
pub fn encode(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}
