//! Which files are written, and when no file is.

use std::fs;

use crate::harness::sydent_conf::{import, setting, small};
use crate::harness::{CommandOutput, mode};

/// OPS-07
#[test]
fn unsafe_or_conflicting_flags_are_rejected() {
    let folder = small("");
    let folder = folder.path();
    fs::create_dir(folder.join("made")).unwrap();
    for (flags, sentence) in [
        ("--conf-only --force --out made", "made is a folder"),
        ("--conf-only --force --out .", "would be written twice"),
        ("", "does not exist. Set the database"),
        ("--db none.db", "--conf-only"),
        ("--conf none.conf --conf-only", "Cannot read none.conf"),
        ("--conf-only --out sydent.conf", "belongs to Sydent"),
        ("--conf-only --out a.key", "would be written twice"),
        (
            "--conf-only --out none/a.toml",
            "The folder none does not exist",
        ),
        (
            "--conf-only --database sydent.db",
            "--database must start with sqlite:",
        ),
        (
            "--conf-only --database sqlite:a.toml --out a.toml",
            "would be written twice",
        ),
        ("--conf-only --db sydent.conf", "cannot be used with"),
        ("--db sydent.conf", "Nothing was imported"),
    ] {
        let output = CommandOutput::run(folder, &format!("import sydent {flags}"));
        assert_ne!(output.code, 0, "{flags}");
        assert!(output.err.contains(sentence), "{flags}: {}", output.err);
        assert_eq!(output.out, "", "{flags}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2, "{flags}");
    }
    let output = CommandOutput::run(folder, "import sydent --conf-only --dry-run");
    assert!(output.out.contains("nothing was written"), "{}", output.err);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
}

/// OPS-07
#[test]
fn files_are_overwritten_only_by_force() {
    let folder = small("");
    let folder = folder.path();
    fs::write(folder.join("sydent.key"), "mine").unwrap();
    let output = CommandOutput::run(folder, "import sydent --conf-only");
    assert!(
        output.err.contains("sydent.key already exists"),
        "{}",
        output.err
    );
    assert_eq!(
        fs::read_to_string(folder.join("sydent.key")).unwrap(),
        "mine"
    );
    assert!(!folder.join("sydent.toml").exists());
    import(folder, "--conf-only --force", &[]);
    assert_eq!(mode(&folder.join("sydent.key")), 0o600);
    let output = CommandOutput::run(folder, "import sydent --conf-only");
    assert!(
        output.err.contains("sydent.toml already exists"),
        "{}",
        output.err
    );
}

/// OPS-07
#[test]
fn relative_paths_start_where_sydent_started() {
    let folder = small("verify_response_template = page.html");
    let folder = folder.path();
    fs::create_dir(folder.join("etc")).unwrap();
    fs::rename(folder.join("sydent.conf"), folder.join("etc/sydent.conf")).unwrap();
    fs::write(folder.join("page.html"), "<p>%(message)s</p>").unwrap();
    let output = import(folder, "--conf-only --conf etc/sydent.conf", &[]);
    assert!(
        output.out.contains("there is no such file"),
        "{}",
        output.out
    );
    assert_eq!(
        setting(folder, "templates/verify_response"),
        serde_json::Value::Null
    );
    let flags = "--conf-only --started-in . --force";
    let output = import(folder, flags, &[("SYDENT_CONF", "etc/sydent.conf")]);
    assert!(
        !output.out.contains("there is no such file"),
        "{}",
        output.out
    );
    let page = setting(folder, "templates/verify_response");
    assert_eq!(page, folder.join("page.html").display().to_string());
}

/// OPS-07
#[test]
fn database_url_is_valid_from_the_new_file() {
    let folder = small("");
    let folder = folder.path();
    fs::create_dir(folder.join("new")).unwrap();
    for (flags, url) in [
        ("--out new/sydent.toml", "sqlite:sydent.sqlite".to_owned()),
        (
            "--out new/sydent.toml --database sqlite:a.db --force",
            format!("sqlite://{}", folder.join("a.db").display()),
        ),
        (
            "--out new/sydent.toml --database postgres://a:hunter2@db.test/b --force",
            "postgres://a:hunter2@db.test/b".to_owned(),
        ),
    ] {
        let output = CommandOutput::run(folder, &format!("import sydent --conf-only {flags}"));
        assert_eq!(output.code, 0, "{}", output.err);
        assert!(!output.out.contains("hunter2"), "{}", output.out);
        assert_eq!(setting(&folder.join("new"), "database/url"), url);
    }
    assert_eq!(mode(&folder.join("new/sydent.toml")), 0o600);
}
