//! The invitation mail.

use mail_parser::MessageParser;

use super::*;

fn mail(templates: &Templates, values: &InvitationMail) -> String {
    let brand = templates.brand(None);
    String::from_utf8(templates.invitation_mail(&brand, values).unwrap()).unwrap()
}

#[test]
fn default_invitation_is_short_ascii_with_crlf() {
    let templates = load(None, None).unwrap();
    for values in InvitationMail::samples() {
        let mail = mail(&templates, &values);
        assert!(mail.is_ascii() && mail.ends_with("--\r\n"), "{mail}");
        assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "{mail}");
        let long = mail.split("\r\n").find(|line| line.len() > 76);
        assert_eq!(long, None);
        let parsed = MessageParser::default().parse(&mail).unwrap();
        assert_eq!(parsed.parts.len(), 3);
        assert!(parsed.body_text(0).unwrap().contains(&values.join_link));
    }
}

/// INV-19
#[test]
fn sydent_style_template_works() {
    let dir = tempfile::tempdir().unwrap();
    let text = "From: {{ from|safe }}\nTo: {{ to|safe }}\nSubject: {{ subject_header_value|safe }}\n\n\
                {{ sender_display_name|safe }} {{ bracketed_verified_sender|safe }}invites \
                {{ bracketed_room_name|safe }}\n{{ web_client_location }}/#/room/\
                {{ room_id|urlencode }}?email={{ to|urlencode }}&token={{ token|urlencode }}&key=\
                {{ ephemeral_private_key|urlencode }}&room_name={{ room_name|urlencode }}&avatar=\
                {{ room_avatar_url|urlencode }}&type={{ room_type|urlencode }}&guest=\
                {{ guest_user_id|urlencode }}{{ guest_access_token|urlencode }}\n";
    put(dir.path(), "base", INVITATION_MAIL, text);
    let templates = load(Some(dir.path()), Some("base"))
        .unwrap()
        .with_subjects("{{ sender_display_name }} & you", "a space")
        .unwrap();
    let [full, bare] = InvitationMail::samples();
    let written = mail(&templates, &full);
    assert!(written.contains("\r\nSubject: a space\r\n"), "{written}");
    let read = MessageParser::default().parse(&written);
    let text = read.as_ref().unwrap().body_text(0).unwrap();
    assert!(text.contains("Somebody's name… (@ssss"), "{text}");
    assert!(text.contains("invites (A room for samples"), "{text}");
    assert!(
        text.contains("https://app.example.org/#/room/%21rrr"),
        "{text}"
    );
    let written = mail(&templates, &bare);
    assert!(
        written.contains("\r\nSubject: Somebody & you\r\n"),
        "{written}"
    );
    assert!(written.contains("Somebody invites \r\n"), "{written}");
}

#[test]
fn invalid_subject_template_is_reported() {
    for (room, space, setting) in [
        ("{{ x", "fine", "invites.subject_room"),
        ("fine", "{{ x|no_filter }}", "invites.subject_space"),
        ("{{ x.y }}", "fine", "invites.subject_room"),
    ] {
        let templates = load(None, None).unwrap();
        let error = templates.with_subjects(room, space).unwrap_err();
        assert!(error.to_string().contains(setting), "{error}");
    }
}

#[test]
fn invitation_with_too_long_lines_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "base", INVITATION_MAIL, "{{ 'x' * 999 }}");
    let error = load(Some(dir.path()), None).unwrap_err();
    assert!(error.to_string().contains(INVITATION_MAIL), "{error}");
}

/// MSG-07: the Matrix ID of the sender is not prose that leads to a link.
#[test]
fn blanks_in_a_senders_localpart_are_no_link() {
    let templates = load(None, None).unwrap();
    for (inviter, shown) in [
        (
            "@Win at evil.example now:example.org",
            "@Win at evil[.]example now:example.org",
        ),
        (
            "@tab\tevil.example:example.org",
            "evil[.]example:example.org",
        ),
        ("@evil.example:example.org", "@evil.example:example.org"),
    ] {
        for mut values in InvitationMail::samples() {
            inviter.clone_into(&mut values.inviter);
            values.verified = true;
            let written = mail(&templates, &values);
            let read = MessageParser::default().parse(&written).unwrap();
            for text in [read.body_text(0), read.body_html(0)] {
                assert!(text.unwrap().contains(shown), "{shown}: {written}");
            }
        }
    }
}
