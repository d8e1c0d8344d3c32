//! Selection of a brand's templates, and errors in a folder of brands.

use super::*;

fn failure(dir: &Path, default_brand: Option<&str>) -> String {
    load(Some(dir), default_brand).unwrap_err().to_string()
}

fn token_mail(templates: &Templates, brand: &BrandName) -> String {
    String::from_utf8(templates.verification_mail(brand, &sample()).unwrap()).unwrap()
}

#[test]
fn files_fall_back_to_default_and_built_in_brand() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "acme", VERIFICATION_MAIL, "acme {{ token }}");
    put(dir.path(), "base", VERIFY_RESPONSE, "base {{ message }}");
    put(dir.path(), "base", "logo.png", b"\x89PNG\xff");
    put(dir.path(), ".git", VERIFICATION_MAIL, "{% broken");
    fs::write(dir.path().join("README"), "a file").unwrap();
    let templates = load(Some(dir.path()), Some("base")).unwrap();
    assert!(templates.brands.keys().eq(["acme", "base"]));

    let response = VerifyResponse {
        message: "hello".to_owned(),
        success: true,
        medium: crate::domain::threepid::Medium::Email,
    };
    let acme = templates.brand(Some("acme"));
    assert!(token_mail(&templates, &acme).starts_with("acme 0123"));
    assert_eq!(
        templates.verify_response_page(&acme, &response).unwrap(),
        "base hello"
    );
    let base = templates.brand(Some("base"));
    assert!(
        token_mail(&templates, &base).starts_with("Date: "),
        "the binary's own mail"
    );
}

#[test]
fn unknown_brand_is_the_default_and_never_a_path() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "brands/acme", VERIFICATION_MAIL, "acme");
    put(dir.path(), "secret", VERIFICATION_MAIL, "secret");
    let brands = dir.path().join("brands");
    let templates = load(Some(&brands), None).unwrap();
    let absolute = dir.path().join("secret");
    for asked in [
        "",
        "nobody",
        "..",
        "../secret",
        "acme/../../secret",
        "acme/",
        "./acme",
        "ACME",
        "acme\0",
        "..%2fsecret",
        "acme/verification_template.eml.j2",
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(
            templates.brand(Some(asked)).as_str(),
            "default",
            "{asked:?}"
        );
    }
    assert_eq!(templates.brand(None).as_str(), "default");
    assert_eq!(templates.brand(Some("acme")).as_str(), "acme");
}

#[test]
fn removed_stored_brand_means_the_default_brand() {
    let templates = load(None, None).unwrap();
    let stored: BrandName = serde_json::from_str("\"../gone\"").unwrap();
    assert_eq!(serde_json::to_string(&stored).unwrap(), "\"../gone\"");
    assert!(token_mail(&templates, &stored).starts_with("Date: "));
    assert!(templates.brands.keys().eq(["default"]));
}

#[test]
fn templates_can_include_and_extend_others() {
    let dir = tempfile::tempdir().unwrap();
    let mail = "{% include 'acme/head.txt' %}{% extends 'default/verification_template.eml.j2' %}";
    put(dir.path(), "acme", VERIFICATION_MAIL, mail);
    put(dir.path(), "acme", "head.txt", "X-Brand: {{ server }}\n\n");
    let templates = load(Some(dir.path()), None).unwrap();
    let text = token_mail(&templates, &templates.brand(Some("acme")));
    assert!(
        text.starts_with("X-Brand: id.example.org\r\nDate: "),
        "{text}"
    );
}

#[test]
fn broken_template_is_reported_with_its_line() {
    for (text, line, reason) in [
        ("To: {{ to }}\n{% if %}\n", 2, "syntax error"),
        ("\n\n{{ token|no_such_filter }}", 3, "no_such_filter"),
        ("\n{{ missing.attribute }}", 2, "undefined"),
        (
            "{% if not ipaddress %}\n{{ nothing() }}{% endif %}",
            2,
            "nothing",
        ),
        ("a\nb\nc\n{% include 'acme/gone' %}", 4, "acme/gone"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "acme", VERIFICATION_MAIL, text);
        let error = failure(dir.path(), None);
        let path = dir.path().join("acme").join(VERIFICATION_MAIL);
        let place = format!("The template {} is broken in line {line}: ", path.display());
        assert!(error.starts_with(&place), "{error}");
        assert!(error.contains(reason) && error.ends_with('.'), "{error}");
    }
}

#[test]
fn error_in_an_included_file_names_that_file() {
    let dir = tempfile::tempdir().unwrap();
    put(
        dir.path(),
        "acme",
        VERIFICATION_MAIL,
        "{% include 'acme/foot.txt' %}",
    );
    put(dir.path(), "acme", "foot.txt", "\n{{ token|oops }}");
    let error = failure(dir.path(), None);
    assert!(error.contains("foot.txt is broken in line 2"), "{error}");
}

#[test]
fn brand_setting_errors_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "acme", VERIFICATION_MAIL, "a");
    let error = failure(dir.path(), Some("amce"));
    assert_eq!(
        error,
        "The default brand \"amce\" does not exist. The brands that exist: acme."
    );
    let error = load(None, Some("acme")).unwrap_err().to_string();
    assert!(
        error.ends_with("The brands that exist: only \"default\", which is built in."),
        "{error}"
    );
    assert!(failure(&dir.path().join("gone"), None).contains("gone cannot be read: "));

    put(
        dir.path(),
        "acme",
        VERIFICATION_MAIL,
        format!("To: x\n {}\n\nx", "x".repeat(999)),
    );
    assert!(failure(dir.path(), None).contains("whose line 2 is longer than 998 bytes"));
    put(dir.path(), "acme", VERIFICATION_MAIL, b"\xff");
    assert!(failure(dir.path(), None).contains("is not UTF-8"));
}

#[test]
fn render_error_does_not_quote_the_values() {
    let dir = tempfile::tempdir().unwrap();
    let text = "{% if token == 'hunter2' %}{{ token|int + 1 }}{% endif %}";
    put(dir.path(), "acme", VERIFICATION_MAIL, text);
    let templates = load(Some(dir.path()), Some("acme")).unwrap();
    let values = VerificationMail {
        token: "hunter2".to_owned(),
        ..sample()
    };
    let error = templates
        .verification_mail(&templates.brand(None), &values)
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("broken in line 1") && !shown.contains("hunter2"),
        "{shown}"
    );
}
