//! The verification mail.

use mail_parser::{Message, MessageParser, MimeHeaders};

use super::*;

fn parse(mail: &str) -> Message<'_> {
    MessageParser::default().parse(mail.as_bytes()).unwrap()
}

#[test]
fn default_mail_is_complete_in_text_and_html() {
    let values = sample();
    let mail = mail_of(&load(None, None).unwrap(), &values);
    let mail = parse(&mail);
    let (text, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
    for needed in [
        values.token.as_str(),
        values.to.as_str(),
        "24 hours",
        "identity server id.example.org",
        "from the IP address 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "If you did not request this, ignore this email.",
    ] {
        assert!(text.contains(needed), "text has no {needed}:\n{text}");
        assert!(html.contains(needed), "html has no {needed}:\n{html}");
    }
    assert!(text.lines().any(|line| line == values.link), "{text}");
    assert!(
        html.contains(&format!("href=\"{}\"", values.link.replace('&', "&amp;"))),
        "{html}"
    );
    assert!(
        !html.contains("src="),
        "a mail must load nothing from elsewhere"
    );
    for part in [mail.text_part(0).unwrap(), mail.html_part(0).unwrap()] {
        assert_eq!(
            part.content_type().unwrap().attribute("charset"),
            Some("utf-8")
        );
    }
    assert_eq!(mail.parts.len(), 3, "alternative, text, html and no more");
}

#[test]
fn default_mail_has_its_headers() {
    let mail = mail_of(&load(None, None).unwrap(), &sample());
    assert!(
        mail.starts_with("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"),
        "{mail}"
    );
    let mail = parse(&mail);
    assert_eq!(mail.subject(), Some("Confirm your email address"));
    assert_eq!(mail.message_id(), Some("sample@example.org"));
    assert_eq!(
        mail.to().unwrap().first().unwrap().address(),
        Some("somebody@example.com")
    );
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!(
        (from.name(), from.address()),
        (Some("Identity"), Some("identity@example.org"))
    );
    assert_eq!(mail.header_raw("MIME-Version").map(str::trim), Some("1.0"));
    assert_eq!(
        mail.header_raw("Auto-Submitted").map(str::trim),
        Some("auto-generated")
    );
    assert!(mail.date().is_some());
}

#[test]
fn default_mail_is_short_ascii_with_crlf() {
    let templates = load(None, None).unwrap();
    let values = VerificationMail {
        from: "\"Identitätsdienst, Köln\" <id@example.org>".to_owned(),
        link: format!("https://id.example.org/{}ü", "x".repeat(2000)),
        ..sample()
    };
    let mail = mail_of(&templates, &values);
    assert!(mail.is_ascii() && mail.ends_with("--\r\n"), "{mail}");
    assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "{mail}");
    let long: Vec<_> = mail.split("\r\n").filter(|line| line.len() > 76).collect();
    assert!(long.is_empty(), "{long:?}");
    let name = parse(&mail)
        .from()
        .unwrap()
        .first()
        .unwrap()
        .name()
        .map(str::to_owned);
    assert_eq!(name.as_deref(), Some("Identitätsdienst, Köln"));
}

#[test]
fn mail_without_an_ip_address_mentions_none() {
    let [_, values] = VerificationMail::samples();
    let mail = mail_of(&load(None, None).unwrap(), &values);
    let mail = parse(&mail);
    assert!(!mail.body_text(0).unwrap().contains("IP address"));
    assert!(!mail.body_html(0).unwrap().contains("IP address"));
}

#[test]
fn values_cannot_add_headers_parts_or_markup() {
    let templates = load(None, None).unwrap();
    let attack = |value: &str| {
        format!("{value}\r\nBcc: x@example.net\n\rX-Evil: 1\r\n\r\n\0--boundary\r\n<script>&\"'")
    };
    let harmless = sample();
    let values = VerificationMail {
        ipaddress: Some(attack("192.0.2.1")),
        link: attack("https://id.example.org/"),
        token: attack("token"),
        from: attack("id@example.org"),
        to: attack("to@example.org"),
        date: attack("Thu, 01 Jan 1970 00:00:00 +0000"),
        messageid: attack("<x@example.org>"),
        ..harmless.clone()
    };
    let names = |mail: &str| -> Vec<String> {
        parse(mail)
            .parts
            .iter()
            .flat_map(|part| &part.headers)
            .map(|h| h.name().to_owned())
            .collect()
    };
    let (plain, attacked) = (mail_of(&templates, &harmless), mail_of(&templates, &values));
    assert_eq!(names(&attacked), names(&plain));
    let html = parse(&attacked).body_html(0).unwrap().into_owned();
    assert!(
        html.contains("&lt;script&gt;&amp;&#34;&#39;") && !html.contains("<script"),
        "{html}"
    );
}

#[test]
fn bare_and_sydent_style_templates_work() {
    let dir = tempfile::tempdir().unwrap();
    let bare = "<<<{{ token }}>>>\n";
    put(dir.path(), "bare", VERIFICATION_MAIL, bare);
    let full = "\u{feff}Date: {{ date|safe }}\r\nFrom: {{ from|safe }}\r\nTo: {{ to|safe }}\r\n\
                Message-ID: {{ messageid|safe }}\r\nSubject: Check\r\nMIME-Version: 1.0\r\n\
                Content-Type: multipart/alternative; boundary={{ multipart_boundary|safe }}\r\n\r\n\
                --{{ multipart_boundary|safe }}\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n\
                {{ link|safe }} {{ token|safe }} {{ ipaddress }} ü\r\n\
                --{{ multipart_boundary|safe }}\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n\
                <a href=\"{{ link }}\">{{ token }}</a>\r\n--{{ multipart_boundary|safe }}--\r\n";
    put(dir.path(), "full", VERIFICATION_MAIL, full);
    let values = sample();

    let templates = load(Some(dir.path()), Some("bare")).unwrap();
    assert_eq!(
        mail_of(&templates, &values),
        format!("<<<{}>>>\r\n", values.token)
    );
    let full = templates
        .verification_mail(&templates.brand(Some("full")), &values)
        .unwrap();
    let full = String::from_utf8(full).unwrap();
    assert!(full.starts_with("Date: Thu"), "{full}");
    assert!(!full.replace("\r\n", "").contains(['\r', '\n']), "{full}");
    let mail = parse(&full);
    let text = mail.body_text(0).unwrap();
    assert!(
        text.starts_with(&format!("{} {} 2001:db8:", values.link, values.token)),
        "{text}"
    );
    assert!(text.contains('ü'), "{text}");
    let html = mail.body_html(0).unwrap();
    let link = values.link.replace('&', "&amp;");
    assert!(
        html.starts_with(&format!("<a href=\"{link}\">{}</a>", values.token)),
        "{html}"
    );
}
