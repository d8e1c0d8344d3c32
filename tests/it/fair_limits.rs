//! Limits that hold attackers with many addresses back, and nobody else (EML-25, EML-28,
//! MSI-15, MSI-17, OPS-04, OPS-15).

use std::time::Duration;

use awc::http::Method;
use serde_json::{Value, json};
use sydent::config::{ProviderKind, RateSettings, Settings};

use crate::harness::{
    Answer, Api, SmsProvider, TestDatabase, TestProcess, TestServer, V1, fresh_address,
};
use crate::store_invite::by_synapse;

fn rate(burst: u32) -> RateSettings {
    RateSettings {
        burst,
        every: Duration::from_hours(1),
    }
}

fn trust_proxy(settings: &mut Settings) {
    settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

/// A request of that client behind the proxy.
async fn ask(api: &Api, client: &str, fields: &Value) -> Answer {
    let medium = if fields.get("email").is_some() {
        "email"
    } else {
        "msisdn"
    };
    let path = api.path(&format!("/validate/{medium}/requestToken"));
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-for", client),
    ];
    let body = fields.to_string().into_bytes();
    api.send(Method::POST, &path, &headers, body).await
}

fn mail_to(address: &str) -> Value {
    let secret = fresh_address("secret").replace('@', "-");
    json!({"client_secret": secret, "email": address, "send_attempt": 1})
}

async fn accepted(api: &Api, clients: impl IntoIterator<Item = String>) -> usize {
    let mut accepted = 0;
    for client in clients {
        let answer = ask(api, &client, &mail_to(&fresh_address("by"))).await;
        accepted += usize::from(answer.status == 200);
    }
    accepted
}

/// OPS-15
#[actix_web::test]
async fn networks_of_a_client_have_growing_limits() {
    let server = TestServer::start(|settings| {
        trust_proxy(settings);
        settings.limits.email_per_client = rate(2);
    });
    let api = server.api();
    let near = |prefix: &'static str, count: u32| {
        (0..count).map(move |network| format!("2001:db8:{prefix}{network:02x}::1"))
    };
    assert_eq!(accepted(&api, near("0:1", 20)).await, 4, "a /56");
    let wider = near("0:2", 9).chain(near("0:3", 9));
    assert_eq!(accepted(&api, wider).await, 4, "the rest of the /48");
    assert_eq!(accepted(&api, near("1:1", 3)).await, 3, "another /48");
}

/// EML-28
#[actix_web::test]
async fn tagged_addresses_are_one_mailbox() {
    let server = TestServer::start(|settings| settings.limits.email_per_address = rate(2));
    let api = server.api();
    for address in ["victim+a@example.com", "victim+b@example.com"] {
        api.request_token(address, "secret", 1).await.ok();
    }
    let answer = api.request_token("VICTIM@example.com", "secret", 1).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
    let other = "victim-a@example.com";
    api.request_token(other, "secret", 1).await.ok();
}

/// EML-28
#[actix_web::test]
async fn mails_in_all_are_limited() {
    let server = TestServer::start(|settings| settings.limits.email_total = rate(2));
    let api = server.api();
    let (first, third) = (fresh_address("one"), fresh_address("three"));
    api.request_token(&first, "secret", 1).await.ok();
    let invite = by_synapse(&fresh_address("two"));
    api.store_invite(invite.clone()).await.ok();
    let answer = api.request_token(&third, "secret", 1).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
    let answer = api.store_invite(invite).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
    let metrics = server.operations().get("/metrics").await.text();
    let line = "sydent_messages_refused_total{limit=\"limits.email_total\"} 2";
    assert!(metrics.contains(line), "{metrics}");
}

/// EML-25, MSI-15
#[actix_web::test]
async fn accounts_behind_one_address_are_many() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = TestServer::start(|settings| {
        provider.configure(settings);
        settings.limits.email_per_client = RateSettings::default();
        settings.limits.sms_per_client = RateSettings::default();
    });
    for number in 0..30 {
        let api = server.account(&format!("@user{number}:example.org")).await;
        let address = fresh_address("company");
        api.request_token(&address, "secret", 1).await.ok();
        let phone = format!("0770090{number:04}");
        api.request_sms("GB", &phone, "secret", 1).await.ok();
    }
    let api = server.api();
    for _ in 0..5 {
        let address = fresh_address("stranger");
        api.request_token(&address, "secret", 1).await.ok();
    }
    let answer = api.request_token(&fresh_address("a"), "secret", 1).await;
    answer.refused(429, "M_LIMIT_EXCEEDED");
}

/// EML-25
#[actix_web::test]
async fn homeservers_of_one_domain_share_a_limit() {
    let server = TestServer::start(|settings| {
        settings.limits.email_per_homeserver = rate(2);
        settings.limits.trusted_homeservers = vec!["own.example.net".parse().unwrap()];
    });
    for (user, status) in [
        ("@a:one.example.org", 200),
        ("@b:two.example.org", 200),
        ("@c:example.org", 429),
        ("@d:example.net", 200),
        ("@e:own.example.net", 200),
        ("@f:own.example.net", 200),
        ("@g:own.example.net", 200),
    ] {
        let api = server.account(user).await;
        let address = fresh_address("of");
        let answer = api.request_token(&address, "secret", 1).await;
        assert_eq!(answer.status, status, "{user}");
    }
}

/// MSI-17
#[actix_web::test]
async fn delegating_homeserver_has_its_own_limits() {
    let provider = SmsProvider::start(ProviderKind::OpenMarket);
    let server = TestServer::start(|settings| {
        provider.configure(settings);
        trust_proxy(settings);
        settings.limits.email_per_client = rate(1);
        settings.limits.sms_per_client = rate(1);
        settings.limits.sms_per_delegating_homeserver = rate(6);
        settings.limits.delegating_homeservers = vec!["192.0.2.0/28".parse().unwrap()];
    });
    let (api, phone) = (server.api(), Value::from("07700900042"));
    let send = async |client: &str, secret: &str| {
        let fields = json!({"client_secret": secret, "country": "GB", "phone_number": phone,
            "send_attempt": 1});
        ask(&api, client, &fields).await.status
    };
    assert_eq!(send("192.0.2.99", "other").await, 200);
    assert_eq!(send("192.0.2.99", "other2").await, 429);
    // Other users of the homeserver do not keep one from validating a number.
    for secret in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(send("192.0.2.10", secret).await, 200, "{secret}");
    }
    assert_eq!(send("192.0.2.10", "g").await, 429);
    assert_eq!(send("192.0.2.11", "g").await, 200);
}

/// EML-28
#[actix_web::test]
async fn strangers_do_not_lock_an_address_out() {
    let server = TestServer::start(|settings| {
        trust_proxy(settings);
        settings.limits.email_per_client = RateSettings::default();
    });
    let (api, victim) = (server.api(), fresh_address("victim"));
    let mut sent = 0;
    for stranger in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        for _ in 0..8 {
            let answer = ask(&api, stranger, &mail_to(&victim)).await;
            sent += usize::from(answer.status == 200);
        }
    }
    assert_eq!(sent, 15, "five of each");
    ask(&api, "203.0.113.1", &mail_to(&victim)).await.ok();
    // Strangers without an account never lock out those with one, however many they are.
    for number in 0..40 {
        let client = format!("198.51.100.{}", 10 + number);
        let answer = ask(&api, &client, &mail_to(&victim)).await;
        sent += usize::from(answer.status == 200);
    }
    assert_eq!(sent, 19, "no flood of mails");
    let owner = server.account("@victim:example.org").await;
    owner.request_token(&victim, "secret", 1).await.ok();
}

/// EML-28
#[actix_web::test]
async fn accounts_of_one_owner_do_not_lock_out() {
    let server = TestServer::start(|_| {});
    let victim = fresh_address("victim");
    let mut sent = 0;
    for number in 0..20 {
        let user = format!("@user:hs{number}.evil.example");
        let api = server.account(&user).await;
        let secret = format!("secret{number}");
        let answer = api.request_token(&victim, &secret, 1).await;
        sent += usize::from(answer.status == 200);
    }
    assert_eq!(sent, 15);
    let owner = server.account("@victim:example.org").await;
    owner.request_token(&victim, "secret", 1).await.ok();
}

/// OPS-04
#[actix_web::test]
async fn byte_in_a_header_does_not_hide_the_client() {
    let server = TestServer::start(|settings| {
        trust_proxy(settings);
        settings.limits.email_per_client = rate(1);
    });
    let api = server.api();
    let written: [&[u8]; 4] = [b"", b"\xff, ", b"unknown, ", b"\"203.0.113.5, "];
    let mut statuses = Vec::new();
    for (client, written) in (1..).zip(written) {
        for _ in 0..2 {
            let body = mail_to(&fresh_address("by")).to_string();
            let mut request = format!(
                "POST {V1}/validate/email/requestToken HTTP/1.1\r\nhost: a\r\n\
                 connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 x-forwarded-for: ",
                body.len()
            )
            .into_bytes();
            request.extend(written);
            request.extend(format!("192.0.2.{client}\r\n\r\n{body}").into_bytes());
            statuses.push(api.raw(&request).await.unwrap().status);
        }
    }
    assert_eq!(statuses, [200, 429].repeat(4));
}

/// OPS-04, OPS-16
#[actix_web::test]
async fn log_names_the_limit_and_an_untrusted_proxy() {
    let database = TestDatabase::fresh();
    let process = TestProcess::start(&database, |settings| {
        settings.limits.email_per_client = rate(1);
    });
    let api = process.api();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        ask(&api, client, &mail_to(&fresh_address("by"))).await;
    }
    let log = process.log_containing("limits.email_per_client").await;
    assert!(log.contains("request refused by a limit"), "{log}");
    assert!(!log.contains("@example.com"), "no address: {log}");
    assert_eq!(log.matches("not in http.trusted_proxies").count(), 1);
}
