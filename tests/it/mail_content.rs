//! The verification mail as the relay receives it, byte for byte (section 21 of
//! the conformance list; EML-09, EML-11, EML-13, EML-26).

use actix_web::http::Method;
use mail_parser::{HeaderValue, MessageParser, MimeHeaders as _};
use serde_json::json;

use crate::harness::{BASE_URL, Mail, TestServer, V1, V2, fresh_address};

const HEADERS: [&str; 6] = [
    "Date",
    "From",
    "To",
    "Message-ID",
    "MIME-Version",
    "Subject",
];

/// Expects lines that every mail server accepts (MSG-04).
#[track_caller]
fn expect_plain_lines(mail: &Mail) {
    assert_eq!(mail.received["bare_lf"], false);
    assert!(mail.received["longest_line"].as_u64().unwrap() <= 998);
    assert!(mail.raw.ends_with(b"\r\n"));
    let text = String::from_utf8(mail.raw.clone()).unwrap();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
}

/// MSG-04, MSG-05, MSG-06
#[actix_web::test]
async fn lines_headers_and_envelope_are_valid() {
    let server = TestServer::start_with_clock(|_| {});
    let address = fresh_address("headers");
    let long = "s".repeat(255);
    let (_, mail) = server.request_mail(&address, &long).await;
    expect_plain_lines(&mail);
    assert_eq!(mail.received["mail_from"], "noreply@id.example.test");
    assert_eq!(mail.received["rcpt_tos"], json!([address]));
    assert_eq!(mail.received["tls"], true);

    let message = MessageParser::default().parse(&mail.raw).unwrap();
    for name in HEADERS {
        let values: Vec<_> = message.header_values(name).collect();
        assert_eq!(values.len(), 1, "{name}");
        assert_ne!(values[0], &HeaderValue::Empty, "{name}");
    }
    let date = message.date().unwrap();
    assert_eq!(date.to_timestamp() * 1000, server.now());
    let from = message.from().unwrap().first().unwrap();
    assert_eq!(from.address(), Some("noreply@id.example.test"));
    assert_eq!(from.name(), Some("Identity server"));
    assert_eq!(mail.header("To"), address);
    assert_eq!(mail.header("MIME-Version"), "1.0");
    assert_eq!(mail.header("Bcc"), "");

    // A further attempt sends another mail with its own id.
    let api = server.api();
    api.request_token(&address, &long, 2).await.ok();
    let again = server.mails_sent(&address).await.pop().unwrap();
    let ids = [mail.header("Message-ID"), again.header("Message-ID")];
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        assert!(id.starts_with('<') && id.ends_with('>') && id.contains('@'));
        assert!(id.len() > 22 && id.is_ascii());
    }
}

/// MSG-04, EML-09, EML-11
#[actix_web::test]
async fn text_and_html_contain_link_and_code() {
    let server = TestServer::start(|_| {});
    for secret in ["secret", "a.b=c_d-e", &"s".repeat(255)] {
        let (sid, mail) = server.request_mail(&fresh_address("parts"), secret).await;
        let message = MessageParser::default().parse(&mail.raw).unwrap();
        let kinds: Vec<_> = message
            .parts
            .iter()
            .map(|part| {
                let kind = part.content_type().unwrap();
                format!("{}/{}", kind.ctype(), kind.subtype().unwrap())
            })
            .collect();
        assert_eq!(kinds, ["multipart/alternative", "text/plain", "text/html"]);
        for part in &message.parts[1..] {
            assert_eq!(part.content_transfer_encoding(), Some("quoted-printable"));
            let kind = part.content_type().unwrap();
            assert_eq!(kind.attribute("charset"), Some("utf-8"));
        }

        let link = mail.link();
        assert!(link.starts_with(&format!("{BASE_URL}{V2}/validate/email/submitToken?")));
        for (name, value) in [("sid", sid.as_str()), ("client_secret", secret)] {
            assert_eq!(mail.parameter(name), value);
        }
        assert_eq!(mail.parameter("token"), mail.token());
        let html = mail.html();
        assert!(html.contains(&format!("href=\"{}\"", link.replace('&', "&amp;"))));
        assert!(html.contains(&format!(">{}</p>", mail.token())));
        assert_eq!(server.api().open_link(&link).await.status, 200);
    }
}

/// MSG-05
#[actix_web::test]
async fn non_ascii_sender_is_encoded() {
    for (from, name) in [
        ("\"Grüße, wir\" <id@example.test>", "Grüße, wir"),
        ("身份服务器 <id@example.test>", "身份服务器"),
    ] {
        let server = TestServer::start(|settings| settings.email.from = Some(from.to_owned()));
        let (_, mail) = server.request_mail(&fresh_address("from"), "secret").await;
        let head = mail.raw.split(|byte| *byte == b'\n').take(4);
        assert!(head.into_iter().all(<[u8]>::is_ascii));
        let message = MessageParser::default().parse(&mail.raw).unwrap();
        let from = message.from().unwrap().first().unwrap();
        assert_eq!(from.name(), Some(name));
        assert_eq!(from.address(), Some("id@example.test"));
        assert_eq!(mail.received["mail_from"], "id@example.test");
    }
}

/// MSG-02, MSG-03, EML-26
#[actix_web::test]
async fn address_cannot_alter_the_mail() {
    let server = TestServer::start(|_| {});
    let mut boundaries = Vec::new();
    for local in [
        "o'neil&amp=x/{{7*191}}",
        "--=_boundary--",
        "=3cb=3e`a`",
        "ünï|cödé",
    ] {
        let address = format!("{local}{}", fresh_address("x"));
        let (_, mail) = server.request_mail(&address, "secret").await;
        expect_plain_lines(&mail);
        assert_eq!(mail.received["rcpt_tos"], json!([address]));
        assert_eq!(mail.header("To"), address);
        assert!(mail.text().contains(&format!("\n    {address}\r\n")));
        let escaped = address.replace('&', "&amp;").replace('\'', "&#39;");
        assert!(mail.html().contains(&escaped), "{}", mail.html());

        let message = MessageParser::default().parse(&mail.raw).unwrap();
        assert_eq!(message.parts.len(), 3);
        for name in HEADERS {
            assert_eq!(message.header_values(name).count(), 1, "{name}");
        }
        let kind = message.content_type().unwrap();
        boundaries.push(kind.attribute("boundary").unwrap().to_owned());
    }
    boundaries.sort();
    boundaries.dedup();
    assert_eq!(boundaries.len(), 4);
}

/// EML-13, OPS-04
#[actix_web::test]
async fn mail_shows_the_ip_address_of_the_client() {
    for trusted in [false, true] {
        let server = TestServer::start(|settings| {
            if trusted {
                let networks = ["127.0.0.0/8", "10.0.0.0/8"];
                settings.http.trusted_proxies = networks.map(|net| net.parse().unwrap()).into();
            }
        });
        for (forwarded, shown) in [
            ("", "127.0.0.1"),
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("203.0.113.9, 198.51.100.7, 10.1.1.1", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("203.0.113.9, <b>rubbish</b>", "127.0.0.1"),
        ] {
            let address = fresh_address("ip");
            let fields = json!({"client_secret": "secret", "email": address, "send_attempt": 1});
            let path = format!("{V1}/validate/email/requestToken");
            let headers = [
                ("content-type", "application/json"),
                ("x-forwarded-for", forwarded),
            ];
            let api = server.api();
            let body = fields.to_string().into_bytes();
            api.send(Method::POST, &path, &headers, body).await.ok();
            let mail = server.mails_sent(&address).await.pop().unwrap();
            let shown = if trusted { shown } else { "127.0.0.1" };
            for part in [mail.text(), mail.html()] {
                assert!(part.contains(&format!("from the IP address {shown}")));
                assert!(!part.contains("rubbish"));
            }
        }
    }
}
