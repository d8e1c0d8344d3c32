//! The log of many failures contains what an administrator needs, and no secret of
//! a user.

use std::time::Duration;

use awc::http::Method;
use base64::Engine as _;
use serde_json::{Value, json};
use sydent::config::LogFormat;
use sydent::domain::lookup::{self, Pepper};
use sydent::domain::secret::TokenHash;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::harness::{
    Api, KEY_FILE, Mail, Signal, SmtpServer, TestDatabase, TestProcess, Tls, V1, V2, fresh_address,
    wait_until,
};

const USER: &str = "mailer";
const PASSWORD: &str = "relay-password-8d1f";
const SECRET: &str = "client-secret-2c7e";
const ACCESS_TOKEN: &str = "access-token-a90f";
const WRONG_TOKEN: &str = "wrong-token-51ba";
const NEXT_LINK: &str = "https://app.example.org/#/next-link-9e04";
const MXID: &str = "@alice:example.org";

/// A server, its clients, and everything that must not be in its log.
struct Scenario {
    relay: SmtpServer,
    database: TestDatabase,
    process: TestProcess,
    client: Api,
    internal: Api,
    operations: Api,
    secrets: Vec<String>,
}

impl Scenario {
    fn start(format: LogFormat) -> Self {
        let login = ["--user", USER, "--password", PASSWORD];
        let relay = SmtpServer::start(Tls::Upgraded, "localhost", &login);
        let password_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&password_file, PASSWORD).unwrap();
        let database = TestDatabase::fresh();
        let process = TestProcess::start(&database, |settings| {
            relay.configure(settings);
            settings.email.smtp.username = Some(USER.to_owned());
            settings.email.smtp.password_file = Some(password_file.path().to_owned());
            settings.delivery.answer_within = Duration::from_secs(2);
            settings.log.format = format;
            settings.validation.next_link_hosts = vec!["app.example.org".to_owned()];
        });
        let seed = KEY_FILE.split_whitespace().next_back().unwrap();
        let login = format!("\0{USER}\0{PASSWORD}");
        let mut secrets = vec![
            seed.to_owned(),
            PASSWORD.to_owned(),
            base64::engine::general_purpose::STANDARD.encode(login),
            SECRET.to_owned(),
            WRONG_TOKEN.to_owned(),
            "next-link".to_owned(),
            "submitToken?".to_owned(),
        ];
        if let Ok(url) = url::Url::parse(&database.url) {
            secrets.extend(url.password().map(str::to_owned));
        }
        Self {
            client: process.api(),
            internal: process.internal(),
            operations: process.operations(),
            relay,
            database,
            process,
            secrets,
        }
    }

    /// An address whose local part must not be in the log, however its domain
    /// is written.
    fn address(&mut self) -> String {
        let address = fresh_address("hygiene");
        let (local, _domain) = address.split_once('@').unwrap();
        self.secrets.push(local.to_owned());
        address
    }

    async fn send_valid_requests(&mut self) {
        let address = self.address();
        let fields = json!({"email": address, "client_secret": SECRET, "send_attempt": 1, "next_link": NEXT_LINK});
        let path = format!("{V1}/validate/email/requestToken");
        let requested = self.client.post(&path, fields).await.ok();
        let sid = requested["sid"].as_str().unwrap();
        let mail: Mail = self.relay.mail_to(&address).await;
        self.secrets.extend([sid.to_owned(), mail.token()]);

        let client = &self.client;
        let wrong = client.submit_token(sid, SECRET, WRONG_TOKEN).await;
        wrong.refused(400, "M_TOKEN_INCORRECT");
        client.submit_token(sid, SECRET, &mail.token()).await.ok();
        assert_eq!(client.open_link(&mail.link()).await.status, 302);
        client.get_validated(sid, SECRET).await.ok();
        client.bind(sid, SECRET, MXID).await.ok();
        client.lookup("email", &address).await.ok();
        client.bulk_lookup(json!([["email", address]])).await.ok();
        let internal = &self.internal;
        internal.internal_bind("email", &address, MXID).await.ok();
        internal.internal_unbind("email", &address, MXID).await.ok();
        let threepid = json!({"medium": "email", "address": address});
        let proof =
            json!({"mxid": MXID, "threepid": threepid, "sid": sid, "client_secret": SECRET});
        client.unbind(&[], &proof).await.ok();
        let forged = "X-Matrix origin=\"example.org\",key=\"ed25519:1\",sig=\"signature-6b3d\"";
        let proof = json!({"mxid": "@a:b.example", "threepid": threepid});
        let refused = client.unbind(&[("authorization", forged)], &proof).await;
        refused.refused(403, "M_FORBIDDEN");
        self.secrets.push("signature-6b3d".to_owned());
        self.look_up(&address).await;
    }

    /// Looks up by hash and in plain text, with the access token of an account.
    async fn look_up(&mut self, address: &str) {
        let hash = TokenHash::new(ACCESS_TOKEN);
        self.database.execute(&format!(
            "INSERT INTO accounts VALUES ('{MXID}', 0); \
             INSERT INTO access_tokens (token_hash, user_id, created_at) VALUES ('{}', '{MXID}', 0)",
            hash.as_str()
        ));
        let account = self.process.api().with_token(ACCESS_TOKEN);
        let details = format!("{V2}/hash_details?access_token={ACCESS_TOKEN}");
        let pepper = account.get(&details).await.ok()["lookup_pepper"].clone();
        let hash = lookup::hash(
            address,
            "email",
            &Pepper::parse(pepper.as_str().unwrap()).unwrap(),
        );
        for (algorithm, entry, pepper) in [
            ("sha256", hash.clone(), &pepper),
            ("none", format!("{address} email"), &pepper),
            ("sha256", hash.clone(), &json!("wrong")),
            ("none", address.to_owned(), &json!(1)),
        ] {
            let fields = json!({"algorithm": algorithm, "pepper": pepper, "addresses": [entry]});
            let answer = account.hashed_lookup(fields).await;
            assert!(answer.status < 500, "{answer:?}");
        }
        // Its requests count as requests of the client.
        self.client.sent.update(|sent| sent + account.sent.get());
        self.secrets.extend([hash, ACCESS_TOKEN.to_owned()]);
    }

    async fn send_invalid_requests(&mut self) {
        let address = self.address();
        let client = &self.client;
        let mut answers = Vec::new();
        for path in [
            format!("{V1}/validate/email/requestToken"),
            format!("{V1}/validate/email/submitToken"),
            format!("{V1}/bulk_lookup"),
        ] {
            for body in [
                format!("{{\"email\": \"{address}"),
                json!({"email": [address], "client_secret": [SECRET], "send_attempt": address, "sid": 1, "token": WRONG_TOKEN, "threepids": address}).to_string(),
                json!({"email": format!("A <{address}>"), "client_secret": format!("{SECRET}!"), "send_attempt": 1}).to_string(),
            ] {
                let json = [("content-type", "application/json")];
                answers.push(client.send(Method::POST, &path, &json, body.into()).await);
            }
        }
        for path in [
            format!("/{address}"),
            format!("{V1}/{address}?token={WRONG_TOKEN}"),
            format!("{V1}/pubkey/{address}"),
            format!("{V1}/lookup?address={address}&address={address}"),
            format!(
                "{V1}/validate/email/submitToken?sid={SECRET}&client_secret={SECRET}&token={WRONG_TOKEN}"
            ),
        ] {
            answers.push(client.get(&path).await);
        }
        let method = Method::from_bytes(b"HYGIENE").unwrap();
        let path = format!("{V1}/3pid/bind?client_secret={SECRET}");
        answers.push(client.send(method, &path, &[], address.into()).await);
        for answer in answers {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }

    async fn refuse_mail(&mut self) {
        for reply in ["550 5.1.1", "451 4.3.0"] {
            let address = self.address();
            self.relay
                .behave(&json!({"rcpt": format!("{reply} <{address}> is not wanted")}));
            self.client.request_token(&address, SECRET, 1).await;
        }
    }

    async fn break_database(&mut self) {
        let address = self.address();
        let rename = |from, to| {
            self.database
                .execute(&format!("ALTER TABLE {from} RENAME TO {to}"));
        };
        rename("associations", "elsewhere");
        for answer in [
            self.client.lookup("email", &address).await,
            self.internal.internal_bind("email", &address, MXID).await,
        ] {
            assert!(answer.status >= 500, "{answer:?}");
        }
        rename("elsewhere", "associations");
    }

    async fn stop_relay(&mut self) -> String {
        let address = self.address();
        let unused = SmtpServer::start(Tls::None, "localhost", &[]);
        std::mem::replace(&mut self.relay, unused).kill();
        self.client.request_token(&address, SECRET, 1).await;
        let metrics = self.operations.get("/metrics").await;
        metrics.text()
    }

    /// The whole log, once it has a line for each request.
    async fn log(mut self) -> String {
        let sent = [&self.client, &self.internal, &self.operations].map(|api| api.sent.get());
        let sent: usize = sent.iter().sum();
        let logged = || self.process.log().matches("sydent::access").count();
        wait_until("a line for each request", || logged() >= sent).await;
        self.process.signal(Signal::TERM);
        self.process.wait();
        let log = self.process.log();
        assert_eq!(log.matches("sydent::access").count(), sent);
        log
    }
}

/// Causes all failures; returns the log.
async fn log_of_failures(format: LogFormat) -> String {
    let mut scenario = Scenario::start(format);
    scenario.send_valid_requests().await;
    scenario.send_invalid_requests().await;
    scenario.refuse_mail().await;
    scenario.break_database().await;
    let metrics = scenario.stop_relay().await;
    let secrets = std::mem::take(&mut scenario.secrets);
    let log = scenario.log().await;
    for secret in secrets {
        for (name, text) in [("log", &log), ("metrics", &metrics)] {
            assert!(!text.contains(&secret), "{secret} is in the {name}: {text}");
        }
    }
    for expected in [
        "mail delivered",
        "refused for good: the relay replied 550 5.1.1 to RCPT TO",
        "retrying: the relay replied 451 4.3.0 to RCPT TO",
        "retrying: cannot connect to the relay",
        "request failed: a query failed",
    ] {
        assert!(
            log.contains(expected),
            "{expected} is not in the log: {log}"
        );
    }
    log
}

/// SEC-23, MSG-09, LKP-19
#[actix_web::test]
async fn text_log_contains_no_secrets() {
    let log = log_of_failures(LogFormat::Text).await;
    for line in log.lines().filter(|line| line.contains("sydent::access")) {
        assert!(!line.contains('?'), "{line}");
    }
}

/// SEC-23, MSG-09, LKP-19
#[actix_web::test]
async fn json_log_is_valid_and_contains_no_secrets() {
    let log = log_of_failures(LogFormat::Json).await;
    for line in log.lines() {
        let Ok(Value::Object(record)) = serde_json::from_str(line) else {
            panic!("not a JSON object: {line}");
        };
        let text = |name: &str| record[name].as_str().unwrap_or_else(|| panic!("{line}"));
        OffsetDateTime::parse(text("time"), &Rfc3339).unwrap();
        let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        assert!(levels.contains(&text("level")), "{line}");
        assert!(!text("message").is_empty(), "{line}");
        if text("target") == "sydent::access" {
            let route = text("route");
            assert!(route == "unknown" || route.starts_with('/'), "{line}");
            assert!(!route.contains('?'), "{line}");
            assert!(record["status"].is_u64(), "{line}");
        }
    }
}
