//! `sydent templates`: checking templates, and previewing mails.

use tempfile::TempDir;

use crate::harness::CommandOutput;

fn run(folder: &TempDir, arguments: &str) -> CommandOutput {
    CommandOutput::run(folder.path(), arguments)
}

/// A folder `brands` with one template.
fn with(file: &str, text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let brand = folder.path().join("brands/acme");
    std::fs::create_dir_all(&brand).unwrap();
    std::fs::write(brand.join(file), text).unwrap();
    folder
}

#[test]
fn check_fails_with_file_line_and_error() {
    let folder = with("verify_response_template.html", "<p>\n{{ mesage }}</p>");
    let output = run(&folder, "templates check brands");
    assert_eq!(output.code, 1, "{}", output.out);
    assert!(
        output
            .out
            .starts_with("brands/acme/verify_response_template.html:2: there is no variable"),
        "{}",
        output.out
    );
    assert_eq!(output.err, "Checked 1 template in 1 brand: 1 mistake.\n");

    let folder = with("verify_response_template.html", "<p>%(message)s</p>");
    let output = run(&folder, "templates check brands");
    assert_eq!((output.code, output.err.as_str()), (0, ""));
    assert_eq!(output.out, "Checked 1 template in 1 brand: no mistakes.\n");
    for (dir, what) in [
        ("brands/acme", "contains no templates"),
        ("missing", "cannot be read"),
    ] {
        let output = run(&folder, &format!("templates check {dir}"));
        assert_eq!(output.code, 1);
        assert!(output.err.contains(what), "{}", output.err);
    }
}

#[test]
fn preview_is_written_for_each_brand_or_printed() {
    let folder = with("verification_template.eml", "To: %(to)s\n\n%(token)s\n");
    let output = run(&folder, "templates preview --dir brands --out looks");
    assert_eq!(output.code, 0, "{}", output.err);
    let read = |name: &str| std::fs::read_to_string(folder.path().join("looks").join(name));
    let mail = read("acme/verification.eml").unwrap();
    assert!(
        mail.starts_with("To: alice@example.com\r\n\r\n0123"),
        "{mail}"
    );
    for brand in ["acme", "default"] {
        let space = read(&format!("{brand}/invitation-to-a-space.eml")).unwrap();
        assert!(space.contains("Subject: =?utf-8?B?"), "{space}");
        let page = read(&format!("{brand}/not-confirmed.html")).unwrap();
        assert!(page.contains("has expired"), "{page}");
    }
    assert_eq!(output.out.lines().count(), 14);

    let command = "templates preview --dir brands --brand acme --only verification.eml";
    assert_eq!(run(&folder, command).out, mail);
    let again = run(
        &folder,
        "templates preview --out looks --only confirmed.html",
    );
    assert_eq!(again.out, "looks/default/confirmed.html\n");
    for (arguments, what) in [
        ("--brand nobody --out x", "Brand \"nobody\" does not exist"),
        ("--dir brands", "--out"),
        ("--dir brands --only x.eml", "verification.eml"),
    ] {
        let output = run(&folder, &format!("templates preview {arguments}"));
        assert_ne!(output.code, 0, "{arguments}");
        assert!(output.err.contains(what), "{}", output.err);
    }
}
