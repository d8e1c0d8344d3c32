//! Each kind of mistake, in templates that are correct otherwise.

use std::fs;

use tempfile::TempDir;

use super::*;

const HEAD: &str = "Date: {{ date|safe }}\nFrom: {{ from|safe }}\nTo: {{ to|safe }}\n\
                    Message-ID: {{ messageid|safe }}\nSubject: x\nMIME-Version: 1.0\n";
const PARTS: &str = "Content-Type: multipart/alternative; boundary={{ multipart_boundary }}\n\n\
                     --{{ multipart_boundary }}\nContent-Type: text/plain; charset=utf-8\n\n\
                     {{ token }} ü\n--{{ multipart_boundary }}\nContent-Type: text/html\n\n\
                     <p>{{ token }} {{ to }}</p>\n--{{ multipart_boundary }}--\n";

fn check_one(file: &str, text: &str) -> (TempDir, CheckReport) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("acme")).unwrap();
    fs::write(dir.path().join("acme").join(file), text).unwrap();
    let report = check(dir.path()).unwrap();
    (dir, report)
}

/// Asserts that the only mistake is this one, in this line.
fn finds(file: &str, text: &str, line: Option<usize>, what: &str) {
    let (dir, report) = check_one(file, text);
    assert_eq!(report.mistakes.len(), 1, "{what}: {:#?}", report.mistakes);
    let mistake = &report.mistakes[0];
    assert!(mistake.what.contains(what), "{mistake}");
    assert_eq!(mistake.line, line, "{mistake}");
    let path = dir.path().join("acme").join(file);
    assert!(mistake.to_string().starts_with(&path.display().to_string()));
}

#[test]
fn valid_templates_of_both_formats_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built_in = check(&root.join("config/brands")).unwrap();
    assert_eq!((built_in.brands, built_in.templates), (1, 4));
    assert_eq!(built_in.mistakes, []);
    let old = check(&root.join("tests/data/sydent_templates/brands")).unwrap();
    assert_eq!((old.brands, old.templates), (2, 6));
    // One of them uses an unknown variable on purpose.
    let mistakes: Vec<_> = old.mistakes.iter().map(|mistake| &mistake.what).collect();
    let [mistake] = mistakes.as_slice() else {
        panic!("{:#?}", old.mistakes);
    };
    assert!(mistake.contains("\"nothing_such\""), "{mistake}");
    let (_dir, plain) = check_one(VERIFICATION_MAIL, &format!("{HEAD}{PARTS}"));
    assert_eq!(plain.mistakes, []);
    let (_dir, other) = check_one("logo.svg", "{{ broken");
    assert_eq!((other.brands, other.templates), (1, 0));
}

#[test]
fn template_errors_have_their_line() {
    for (text, line, what) in [
        (format!("{HEAD}{PARTS}{{% if %}}"), 18, "syntax error"),
        (format!("{HEAD}{PARTS}\n{{{{ tokn }}}}"), 19, "\"tokn\""),
        (format!("{HEAD}{PARTS}\n{{{{ token|shout }}}}"), 19, "shout"),
        (
            format!("{HEAD}{}", PARTS.replace("<p>", "{{ to|safe }}<p>")),
            16,
            "to is unescaped in the HTML part",
        ),
    ] {
        finds(VERIFICATION_MAIL, &text, Some(line), what);
    }
    let invitation = format!(
        "{HEAD}{}",
        PARTS.replace(
            "<p>",
            "\n\n{{ bracketed_room_name|safe }} {{ room_name|safe }}<p>"
        )
    );
    finds(
        INVITATION_MAIL,
        &invitation,
        Some(18),
        "room_name is unescaped in",
    );
    finds(
        VERIFY_RESPONSE,
        "\n{{ message|safe }}",
        Some(2),
        "message is unescaped in the page",
    );
    finds(
        VERIFY_RESPONSE,
        "%(message)s\n%(mesage)s",
        Some(2),
        "mesage",
    );
}

#[test]
fn old_template_errors_have_their_line() {
    let old = VERIFICATION_MAIL.strip_suffix(".j2").unwrap();
    let mail = format!("{HEAD}{PARTS}").replace("|safe", "");
    let mail = mail.replace("{{ ", "%(").replace(" }}", ")s");
    let (_dir, good) = check_one(old, &mail);
    assert_eq!(good.mistakes, []);
    for (more, what) in [
        ("%(tokn_forurl)s", "\"tokn\""),
        ("100% of us", "percent sign"),
        ("%(token)d", "percent sign"),
    ] {
        finds(old, &format!("{mail}\n{more}\n"), Some(19), what);
    }
}

/// MSG-05
#[test]
fn invalid_mail_is_reported() {
    let without = |name: &str| {
        let lines = HEAD.split_inclusive('\n');
        lines
            .filter(|line| !line.starts_with(name))
            .collect::<String>()
    };
    for (text, what) in [
        (without("From") + PARTS, "has no From"),
        (without("To") + PARTS, "has no To"),
        (without("Subject") + PARTS, "has no Subject"),
        (without("Date") + PARTS, "has no Date"),
        (without("Message-ID") + PARTS, "has no Message-ID"),
        (without("MIME") + PARTS, "no MIME-Version"),
        (
            format!("Subject: y\n{HEAD}{PARTS}"),
            "more than one Subject",
        ),
        (
            format!("{HEAD}{PARTS}").replace("from|safe", "from"),
            "From does not contain the address",
        ),
        (
            format!("Hello {{{{ to }}}}\n{HEAD}{PARTS}"),
            "line 1 of the mail is not a header",
        ),
        (
            format!(
                "{HEAD}{}",
                PARTS.replace("; boundary={{ multipart_boundary }}", "")
            ),
            "has no boundary",
        ),
        (
            format!("{HEAD}{}", PARTS.replace("}}--", "}}")),
            "not followed by",
        ),
        (
            format!("{HEAD}{}", PARTS.replace("Content-Type: text/html\n\n", "")),
            "part 2 of the mail lacks headers",
        ),
        (
            format!(
                "{HEAD}{}",
                PARTS.replace("{{ multipart_boundary }}", "part")
            ),
            "its boundary is the same",
        ),
        (
            format!("{HEAD}X: {{{{ 'x' * 999 }}}}\n{PARTS}"),
            "longer than 998 bytes",
        ),
        (
            format!("{HEAD}\nHello.\n"),
            "neither the link nor the token",
        ),
        (
            format!("{HEAD}Content-Transfer-Encoding: quoted-printable\n\n{{{{ token }}}} a=b"),
            "declared as quoted-printable",
        ),
    ] {
        finds(VERIFICATION_MAIL, &text, None, what);
    }
}
