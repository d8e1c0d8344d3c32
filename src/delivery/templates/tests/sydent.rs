//! Template folders of the Python Sydent, compared with its own output.
//!
//! `tests/data/sydent_templates` has the templates and values. `expected` has the output of Sydent
//! 2.6.1 with Jinja2 3.1 and Python 3.11, which `render.py` wrote.

use serde_json::{Map, Value as Json};

use super::*;

fn data(name: &str) -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/data/sydent_templates").join(name)
}

/// Adds the values that Sydent generates for a mail, as the script fixed them.
fn with_added(values: &Map<String, Json>) -> Value {
    let given = values
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let boundary = "B".repeat(32);
    let added = [
        ("date", "Mon, 21 Sep 2026 14:13:20 -0000"),
        (
            "messageid",
            "<1790000000000aaaaaaaaaaaaaaaa@id.example.org>",
        ),
        ("multipart_boundary", boundary.as_str()),
    ];
    Value::from_pairs(given.chain(added))
}

#[test]
fn output_equals_that_of_python_sydent() {
    let templates = load(Some(&data("brands")), Some("old")).unwrap();
    let values: Json = serde_json::from_slice(&fs::read(data("values.json")).unwrap()).unwrap();
    let mut compared = 0;
    for (name, brand) in &templates.brands {
        for (kind, template) in [
            ("verification", &brand.verification_mail),
            ("invite", &brand.invitation_mail),
            ("page", &brand.verify_response),
        ] {
            for (sample, values) in values[kind].as_object().unwrap() {
                let values = with_added(values.as_object().unwrap());
                let ours = templates.render(Some(template), values).unwrap();
                let file = data("expected").join(format!("{name}-{kind}-{sample}.txt"));
                assert_eq!(
                    ours,
                    fs::read_to_string(&file).unwrap(),
                    "{}",
                    file.display()
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, fs::read_dir(data("expected")).unwrap().count());
}

#[test]
fn old_mail_is_used_where_there_is_no_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let old = VERIFICATION_MAIL.strip_suffix(".j2").unwrap();
    put(dir.path(), "both", VERIFICATION_MAIL, "new {{ token }}");
    put(dir.path(), "both", old, "old of both %(token)s");
    put(dir.path(), "old", old, "old %(token)s");
    put(dir.path(), "none", "x", "");
    // Takes precedence over the built-in template of the same brand.
    put(dir.path(), "default", old, "own %(token)s");
    for (default_brand, brand, begin) in [
        ("both", "both", "new 0123"),
        ("both", "old", "old 0123"),
        ("both", "none", "new 0123"),
        ("old", "none", "old 0123"),
        ("none", "none", "own 0123"),
        ("default", "none", "own 0123"),
    ] {
        let templates = load(Some(dir.path()), Some(default_brand)).unwrap();
        let brand = templates.brand(Some(brand));
        let mail = templates.verification_mail(&brand, &sample()).unwrap();
        assert!(mail.starts_with(begin.as_bytes()), "{brand}");
    }
}

#[test]
fn single_files_override_every_brand() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "brands/acme", VERIFICATION_MAIL, "acme");
    put(dir.path(), "brands/acme", VERIFY_RESPONSE, "acme");
    put(dir.path(), "single", "check.eml", "{{ %(token)s 100%%");
    put(dir.path(), "single", "invite.j2", "{{ sender }} %(sender)s");
    put(dir.path(), "single", "page", "<p>%(message)s");
    let file = |name: &str| Some(dir.path().join("single").join(name));
    let mut settings = TemplateSettings {
        brands_dir: Some(dir.path().join("brands")),
        default_brand: None,
        verification_mail: file("check.eml"),
        invitation_mail: file("invite.j2"),
        verify_response: file("page"),
    };
    let templates = Templates::load(&settings).unwrap();
    let brand = templates.brand(Some("acme"));
    let mail = templates.verification_mail(&brand, &sample()).unwrap();
    assert!(mail.starts_with(b"{{ 0123") && mail.ends_with(b" 100%\r\n"));
    let [invitation, _] = InvitationMail::samples();
    let mail = templates.invitation_mail(&brand, &invitation).unwrap();
    assert!(mail.starts_with(b"@sss") && mail.ends_with(b" %(sender)s\r\n"));
    let [response, _] = VerifyResponse::samples();
    let page = templates.verify_response_page(&brand, &response).unwrap();
    assert_eq!(page, "<p>This is a sample.");

    put(dir.path(), "single", "broken.j2", "\n{% if %}");
    settings.invitation_mail = file("broken.j2");
    let error = Templates::load(&settings).unwrap_err().to_string();
    assert!(
        error.contains("single/broken.j2 is broken in line 2"),
        "{error}"
    );
}

/// MSG-02, MSG-03
#[test]
fn values_cannot_alter_an_old_mail() {
    let dir = tempfile::tempdir().unwrap();
    let old = INVITATION_MAIL.strip_suffix(".j2").unwrap();
    let text = fs::read_to_string(data("brands").join("old").join(old)).unwrap();
    // Some of the first templates escaped nothing.
    let careless = text.replace("_forhtml", "");
    put(dir.path(), "old", old, careless);
    let templates = load(Some(dir.path()), Some("old")).unwrap();
    let attack = "x\r\nBcc: x@example.net\r\n\r\n--B\r\n<script>%(token)s{{ token }}";
    let fields = serde_json::json!({
        "room_name": "<script>\"'", "sender_display_name": attack, "room_name_forhtml": "<script>",
        "room_avatar_url": "mxc://a/<script>", "token_forhtml": "<script>",
        "room_type_forurl": "\r\n<script>",
    });
    let fields = fields.as_object().unwrap().iter();
    let [sample, _] = InvitationMail::samples();
    let harmless = templates
        .invitation_mail(&templates.brand(None), &sample)
        .unwrap();
    let values = InvitationMail {
        fields: crate::domain::invite::InviteFields::from_request(
            fields.map(|(k, v)| (k.as_str(), v)),
        ),
        room_id: format!("!{attack}"),
        inviter: format!("@{attack}:example.org"),
        ..sample
    };
    let mail = templates
        .invitation_mail(&templates.brand(None), &values)
        .unwrap();
    let names = |mail: &[u8]| -> Vec<String> {
        let mail = mail_parser::MessageParser::default().parse(mail).unwrap();
        let headers = mail.parts.iter().flat_map(|part| &part.headers);
        headers.map(|header| header.name().to_owned()).collect()
    };
    assert_eq!(names(&mail), names(&harmless));
    let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
    let html = parsed.body_html(0).unwrap();
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;&quot;&#x27;"), "{html}");
}
