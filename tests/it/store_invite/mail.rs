//! The invitation mail (section 21; INV-16, INV-19 … INV-21, SEC-04).

use mail_parser::MessageParser;
use serde_json::json;

use super::with;
use crate::harness::{BASE_URL, Mail, TestServer, V1, fresh_address};

async fn invited(server: &TestServer, other: serde_json::Value) -> (String, Mail) {
    let address = fresh_address("mailed");
    let api = server.account("@a:example.org").await;
    api.store_invite(with(&address, other)).await.ok();
    let mail = server.mails_sent(&address).await.pop().unwrap();
    (address, mail)
}

fn subject(mail: &Mail) -> String {
    let message = MessageParser::default().parse(&mail.raw).unwrap();
    message.subject().unwrap().to_owned()
}

/// INV-16, INV-19, MSG-04, MSG-05, MSG-06
#[actix_web::test]
async fn mail_and_join_link_are_complete() {
    let server = TestServer::start(|_| {});
    let avatar = "mxc://example.org/a&b";
    let (address, mail) = invited(
        &server,
        json!({"sender_display_name": "Bob & Söhne", "room_name": "Tea <3", "room_avatar_url": avatar}),
    )
    .await;
    assert_eq!(
        subject(&mail),
        "Bob & Söhne invited you to Tea <3 on Matrix"
    );
    assert_eq!(mail.received["rcpt_tos"], json!([address]));
    assert_eq!(mail.received["bare_lf"], false);
    assert!(mail.received["longest_line"].as_u64().unwrap() <= 998);
    let text = mail.text();
    assert!(
        text.contains("Bob & Söhne (@a:example.org) has invited"),
        "{text}"
    );
    assert!(text.contains("to the room \"Tea <3\"."), "{text}");
    let html = mail.html();
    assert!(
        html.contains("<strong>Bob &amp; Söhne</strong> (@a:example.org)"),
        "{html}"
    );
    assert!(!html.contains("src="), "no remote content is loaded");

    let (location, query) = mail.join_link();
    assert_eq!(
        location,
        "https://app.element.io/#/room/%21room%3Aexample.org"
    );
    for (name, value) in [
        ("email", address.as_str()),
        ("room_name", "Tea <3"),
        ("room_avatar_url", avatar),
        ("inviter_name", "Bob & Söhne"),
        ("guest_access_token", ""),
        ("guest_user_id", ""),
        ("room_type", ""),
    ] {
        assert_eq!(query[name], value, "{name}");
    }
    let sign_url = format!("{BASE_URL}{V1}/sign-ed25519?token=");
    assert!(query["signurl"].starts_with(&sign_url), "{query:?}");
}

/// INV-16
#[actix_web::test]
async fn space_is_called_a_space() {
    let server = TestServer::start(|_| {});
    let (_, mail) = invited(&server, json!({"room_type": "m.space"})).await;
    assert_eq!(
        subject(&mail),
        "@a:example[.]org invited you to the space Tea on Matrix"
    );
    for part in [mail.text(), mail.html()] {
        assert!(part.contains("invited to a space on Matrix") && !part.contains("the room"));
    }
    assert_eq!(mail.join_link().1["room_type"], "m.space");
}

/// INV-05
#[actix_web::test]
async fn only_listed_web_clients_get_the_key() {
    let server = TestServer::start(|settings| {
        settings.invites.web_client = "https://chat.example.test/".to_owned();
        settings.invites.web_clients = vec!["https://App.example/x/".to_owned()];
    });
    for (given, location) in [
        (json!("https://app.example/x"), "https://app.example/x"),
        (json!("https://app.example/x/"), "https://app.example/x"),
        (json!("https://app.example/xy"), "https://chat.example.test"),
        (json!("https://app.example"), "https://chat.example.test"),
        (json!("http://app.example/x"), "https://chat.example.test"),
        (
            json!("https://app.example:8443/x"),
            "https://chat.example.test",
        ),
        (
            json!("https://app.example/x/../y"),
            "https://chat.example.test",
        ),
        (
            json!("https://app.example.evil.example/x"),
            "https://chat.example.test",
        ),
        (json!("https://evil.example/"), "https://chat.example.test"),
        (json!("javascript:alert(1)"), "https://chat.example.test"),
        (json!(7), "https://chat.example.test"),
    ] {
        let fields = json!({"org.matrix.web_client_location": given});
        let (_, mail) = invited(&server, fields).await;
        assert!(
            mail.join_link()
                .0
                .starts_with(&format!("{location}/#/room/"))
        );
    }
}

/// INV-16
#[actix_web::test]
async fn subjects_are_configurable_templates() {
    let server = TestServer::start(|settings| {
        settings.invites.subject_room = "{{ room_name }}: {{ sender }} & you".to_owned();
        settings.invites.subject_space = "Space {{ room_name|upper }}".to_owned();
    });
    let (_, mail) = invited(&server, json!({})).await;
    assert_eq!(subject(&mail), "Tea: @a:example.org & you");
    let (_, mail) = invited(&server, json!({"room_type": "m.space"})).await;
    assert_eq!(subject(&mail), "Space TEA");
}

/// INV-20, SEC-04
#[actix_web::test]
async fn request_fields_cannot_override_computed_ones() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "token",
        "to",
        "from",
        "ephemeral_private_key",
        "web_client_location",
        "bracketed_room_name",
        "bracketed_verified_sender",
        "multipart_boundary",
        "date",
        "messageid",
        "subject",
        "subject_header_value",
        "sign_url",
        "join_link",
        "server",
        "verified",
        "is_space",
    ];
    let variables: String = names
        .map(|name| format!("{name}={{{{ {name} }}}}\n"))
        .concat();
    let brand = folder.path().join("bare");
    std::fs::create_dir(&brand).unwrap();
    let template = format!("To: {{{{ to }}}}\n\n{variables}further={{{{ further }}}}\n");
    std::fs::write(brand.join("invite_template.eml.j2"), template).unwrap();
    let server = TestServer::start(|settings| {
        settings.templates.brands_dir = Some(folder.path().to_owned());
    });
    let mut fields = serde_json::Map::new();
    fields.insert("brand".to_owned(), json!("bare"));
    fields.insert("further".to_owned(), json!("mine <b>"));
    for name in names {
        fields.insert(name.to_owned(), json!("forged"));
    }
    let (_, mail) = invited(&server, fields.into()).await;
    let text = mail.text();
    assert!(!text.contains("forged"), "{text}");
    assert!(text.contains("further=mine &lt;b&gt;"), "{text}");
    assert!(text.contains("bracketed_room_name=(Tea) "), "{text}");
}

/// INV-21, MSG-07
#[actix_web::test]
async fn names_are_truncated_and_links_defanged() {
    let server = TestServer::start(|_| {});
    let (_, mail) = invited(
        &server,
        json!({"sender_display_name": "x".repeat(21), "room_name": "y".repeat(31)}),
    )
    .await;
    let (name, room) = (
        format!("{}…", "x".repeat(19)),
        format!("{}…", "y".repeat(25)),
    );
    assert_eq!(
        subject(&mail),
        format!("{name} invited you to {room} on Matrix")
    );
    assert!(
        mail.text()
            .contains(&format!("{name} (@a:example.org) has invited"))
    );

    let (_, mail) = invited(
        &server,
        json!({"sender_display_name": "win at evil.example", "room_name": "https://evil.example/x"}),
    )
    .await;
    for part in [mail.text(), mail.html(), subject(&mail)] {
        let before_the_link = part.split("/#/room/").next().unwrap();
        assert!(!before_the_link.contains("evil.example"), "{part}");
        assert!(part.contains("evil[.]example"), "{part}");
    }
}

/// INV-24
#[actix_web::test]
async fn unverified_sender_is_not_shown_as_verified() {
    let server = TestServer::start(|_| {});
    let address = fresh_address("unverified");
    let fields = with(&address, json!({"sender_display_name": "The Boss"}));
    server.api().store_invite(fields).await.ok();
    let mail = server.mails_sent(&address).await.pop().unwrap();
    for part in [mail.text(), mail.html()] {
        assert!(!part.contains("@a:example.org"), "{part}");
        assert!(part.contains("could not verify who sent this invitation"));
    }
}

/// MSG-02, MSG-03, SEC-04, SEC-07
#[actix_web::test]
async fn fields_cannot_alter_the_mail() {
    let server = TestServer::start(|_| {});
    let (_, plain) = invited(&server, json!({})).await;
    let names = |mail: &Mail| -> Vec<String> {
        let message = MessageParser::default().parse(&mail.raw).unwrap();
        let headers = message.parts.iter().flat_map(|part| &part.headers);
        headers.map(|header| header.name().to_owned()).collect()
    };
    let attacks = [
        "<script>x</script>\"'&".to_owned(),
        "a\r\nBcc: x@example.net\r\n\r\n<b>".to_owned(),
        "=?utf-8?Q?forged?=".to_owned(),
        "\u{202e}abc\u{2066}".to_owned(),
        "--boundary\r\n{{ token }}{% raw %}".to_owned(),
        "x".repeat(3_000),
    ];
    for attack in attacks {
        let fields = [
            "room_id",
            "room_name",
            "room_alias",
            "room_avatar_url",
            "room_type",
            "sender_display_name",
            "sender_avatar_url",
            "guest_access_token",
            "org.matrix.web_client_location",
            "further",
        ];
        let mut all = serde_json::Map::new();
        for field in fields {
            let value = if field == "room_id" {
                "!<script>\"'&:example.org"
            } else {
                attack.as_str()
            };
            all.insert(field.to_owned(), json!(value));
        }
        let (_, mail) = invited(&server, all.into()).await;
        assert_eq!(names(&mail), names(&plain), "{attack}");
        let (html, text) = (mail.html(), mail.text());
        assert!(
            !html.contains("<script>") && !html.contains("<b>"),
            "{html}"
        );
        assert!(!text.contains('\u{202e}') && !text.contains('\u{2066}'));
        assert!(mail.received["longest_line"].as_u64().unwrap() <= 998);
        assert!(!subject(&mail).contains("forged") || subject(&mail).contains("=?utf-8?Q?forge"));
        let (location, _) = mail.join_link();
        assert!(location.ends_with("/#/room/%21%3Cscript%3E%22%27%26%3Aexample.org"));
    }
}

/// IDN-07, MSG-02, MSG-03, INV-24
#[actix_web::test]
async fn historical_sender_cannot_alter_the_mail() {
    let server = TestServer::start(|_| {});
    for (sender, shown) in [
        ("@Old Name:example.org", "@Old Name:example.org"),
        ("@:example.org", "@:example.org"),
        ("@a\r\n\r\n\t\u{1}b\u{202e}:example.org", "@ab:example.org"),
        ("@<b>\"'&/%0a?#:example.org", "@<b>\"'&/%0a?#:example.org"),
    ] {
        let address = fresh_address("historical");
        let api = server.account(sender).await;
        let fields = json!({"sender": sender, "sender_display_name": "Bob"});
        api.store_invite(with(&address, fields)).await.ok();
        let mail = server.mails_sent(&address).await.pop().unwrap();
        let text = mail.text();
        assert!(text.contains(&format!("Bob ({shown}) has")), "{text}");
        assert!(!mail.html().contains("<b>"), "{}", mail.html());
    }
}
