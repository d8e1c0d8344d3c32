//! `sydent import verify`, with a real Sydent as the old server.

use std::time::Duration;

use sydent::config::RateSettings;

use crate::harness::{CommandOutput, KEY_FILE, SERVER_NAME, TestServer};
use crate::python::{OLD_TERMS, RealSydent};

use super::filled::fill;
use super::old_schemas::{self, make_with, row, signed};
use super::taken_over::{import_sydent, verify};

/// The topics of a full comparison.
const TOPICS: [&str; 8] = [
    "public keys",
    "invite keys",
    "terms",
    "access tokens",
    "signed lookups",
    "bulk lookups",
    "hash details",
    "hashed lookups",
];

#[track_caller]
fn expect_no_addresses(output: &CommandOutput) {
    for text in [&output.out, &output.err] {
        assert!(!text.contains('@'), "{text}");
    }
}

/// OPS-07
#[actix_web::test]
async fn imported_server_answers_like_current_sydent() {
    let filled = fill().await;
    let old = filled.sydent.database();
    let (server, _database) = import_sydent(&filled.sydent, &old).start();
    let output = verify(&filled.sydent, &server, &old, "");
    assert_eq!(output.code, 0, "{}{}", output.out, output.err);
    expect_no_addresses(&output);
    for topic in TOPICS {
        let [total, equal, _, _] = output.compared(topic);
        assert!(total > 0 && total == equal, "{topic}: {}", output.out);
    }
    let addresses = (filled.bound.len() + 1 + filled.unbound.len() + 10) as u64;
    for topic in ["signed lookups", "bulk lookups", "hashed lookups"] {
        assert_eq!(output.compared(topic)[0], addresses, "{}", output.out);
    }
    assert_eq!(output.compared("access tokens"), [2, 2, 0, 0]);
    // A sample contains the newest and some others, so at least 12.
    let output = verify(&filled.sydent, &server, &old, "--sample 2");
    let [total, ..] = output.compared("signed lookups");
    assert!((12..addresses).contains(&total), "{}", output.out);
}

/// OPS-07
#[actix_web::test]
async fn differences_are_reported_with_their_row() {
    let filled = fill().await;
    let old = filled.sydent.database();
    let imported = import_sydent(&filled.sydent, &old);
    let (address, _) = &filled.bound[1];
    let (removed, _) = &filled.bound[2];
    imported.database.execute(&format!(
        "UPDATE associations SET mxid = '@eve:hs.test' WHERE address = '{address}'; \
         DELETE FROM associations WHERE address = '{removed}'; \
         DELETE FROM accepted_terms; \
         DELETE FROM ephemeral_keys"
    ));
    let (server, _database) = imported.start();
    let output = verify(&filled.sydent, &server, &old, "");
    assert_eq!(output.code, 1, "{}{}", output.out, output.err);
    expect_no_addresses(&output);
    // Hashed lookups need accepted terms, so another token is needed.
    assert_eq!(output.compared("access tokens"), [2, 1, 0, 1]);
    assert!(output.out.contains("--access-token-file"), "{}", output.out);
    let [keys, _, _, different] = output.compared("invite keys");
    assert_eq!(keys, different + 1, "{}", output.out);
    // The signed object still contains the old user.
    assert_eq!(output.compared("signed lookups")[3], 1, "{}", output.out);
    assert_eq!(output.compared("bulk lookups")[3], 2, "{}", output.out);
    for what in [
        "of local_threepid_associations: the servers find different users",
        "of local_threepid_associations: only the old server finds a user",
        "of ephemeral_public_keys: the response bodies differ",
    ] {
        assert!(output.out.contains(what), "{}", output.out);
    }
    assert!(
        output.err.contains("Differences not documented"),
        "{}",
        output.err
    );

    let file = old.with_file_name("token");
    std::fs::write(&file, format!("{}\n", filled.without_terms)).unwrap();
    let token = filled.sydent.api().with_token(&filled.without_terms);
    token.accept(vec![OLD_TERMS]).await.ok();
    let token = server.api().with_token(&filled.without_terms);
    token.accept(vec![OLD_TERMS]).await.ok();
    let output = verify(&filled.sydent, &server, &old, "--access-token-file token");
    assert_eq!(output.compared("hashed lookups")[3], 2, "{}", output.out);
}

/// Imports a database of this schema; returns the output of the comparison.
async fn compared(schema: u8) -> CommandOutput {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    // Bound in two spellings, one of which was removed; bound again to a user whose
    // name sorts first; and an invalid address.
    let more = [
        ("@ghost:hs.test", "Ghost@example.com", 1_500_000_005_000),
        ("@zoe:hs.test", "moved@example.com", 1_500_000_006_000),
        ("@x:hs.test", "no address", 1_500_000_007_000),
    ];
    let mut more_sql = format!(
        "UPDATE global_threepid_associations SET originId = 100 WHERE address = '{moved}'; \
         DELETE FROM local_threepid_associations WHERE address = '{moved}'; \
         INSERT INTO local_threepid_associations VALUES (20, {row}); \
         INSERT INTO global_threepid_associations VALUES \
         (20, {row}, '{SERVER_NAME}', 20, '{signed}');",
        moved = "moved@example.com",
        row = row("moved@example.com", "@adam:hs.test", 1_500_000_008_000),
        signed = signed(
            SERVER_NAME,
            "moved@example.com",
            "@adam:hs.test",
            1_500_000_008_000
        ),
    );
    if schema > 0 {
        more_sql += "INSERT INTO local_threepid_associations (medium, address, ts) \
                 VALUES ('email', 'ghost@example.com', 1500000009000);";
    }
    make_with(&file, schema, &more, &more_sql);
    // The old server migrates its own copy of the database.
    let sydent = RealSydent::start_on(
        |own| {
            std::fs::copy(&file, own).unwrap();
        },
        |_| (),
    )
    .await;
    let (server, _database) = import_sydent(&sydent, &file).start();
    let output = verify(&sydent, &server, &file, "");
    expect_no_addresses(&output);
    output
}

/// OPS-07
#[actix_web::test]
async fn old_schemas_differ_only_as_documented() {
    for schema in 0..=4 {
        let output = compared(schema).await;
        assert_eq!(
            output.code, 0,
            "schema {schema}: {}{}",
            output.out, output.err
        );
        let [total, _, corrected, _] = output.compared("signed lookups");
        assert!(total > 16, "{}", output.out);
        // Second@, "no address" and Ghost@: signed again, or removed in two
        // spellings.
        let expected = if schema == 0 { 3 } else { 4 };
        assert_eq!(corrected, expected, "schema {schema}: {}", output.out);
        assert!(output.out.contains("was not imported"), "{}", output.out);
        assert!(output.out.contains("now in lower case"), "{}", output.out);
        if schema > 0 {
            assert!(
                output.out.contains("applies to all spellings"),
                "{}",
                output.out
            );
        }
        let [total, _, corrected, _] = output.compared("hashed lookups");
        if schema < 4 {
            assert_eq!(total, 0, "{}", output.out);
            assert!(output.out.contains("too old to contain"), "{}", output.out);
        } else {
            // Addresses stored in mixed case, and of two users the last in the
            // alphabet.
            assert!(corrected >= 3, "{}", output.out);
            assert!(
                output.out.contains("the newest of several bindings"),
                "{}",
                output.out
            );
            assert!(
                output.out.contains("found in any spelling"),
                "{}",
                output.out
            );
        }
    }
}

/// OPS-07
#[actix_web::test]
async fn small_limits_are_respected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    old_schemas::make(&file, 4);
    let sydent = RealSydent::start_on(
        |own| {
            std::fs::copy(&file, own).unwrap();
        },
        |conf| {
            let general = conf.get_mut("general").unwrap();
            general.insert("address_lookup_limit".to_owned(), "3".to_owned());
        },
    )
    .await;
    let (server, _database) = import_sydent(&sydent, &file).start_with(|settings| {
        // The import copied the limit of the old server.
        let limit = &mut settings["lookup"]["max_addresses"];
        assert_eq!(*limit, toml::Value::from(3));
        *limit = 4.into();
        let rate = toml::toml! { lookup_per_client = { burst = 12, every = "50ms" } };
        settings["limits"].as_table_mut().unwrap().extend(rate);
    });
    let output = verify(&sydent, &server, &file, "");
    assert_eq!(output.code, 0, "{}{}", output.out, output.err);
    for topic in ["signed lookups", "bulk lookups", "hashed lookups"] {
        assert_eq!(output.compared(topic)[0], 16, "{}", output.out);
    }
    assert!(
        output.out.contains("limits.lookup_per_client"),
        "{}",
        output.out
    );
}

/// OPS-07: all are compared in bulk and by hash.
#[actix_web::test]
async fn many_addresses_are_compared_in_bulk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    let removed = "INSERT INTO local_threepid_associations (medium, address, ts) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2500) \
         SELECT 'email', 'removed' || n || '@example.com', 1500000010000 FROM numbers;";
    make_with(&file, 4, &[], removed);
    let sydent = RealSydent::start_on(
        |own| {
            std::fs::copy(&file, own).unwrap();
        },
        |_| (),
    )
    .await;
    let (server, _database) = import_sydent(&sydent, &file).start_with(|settings| {
        let rate = toml::toml! { lookup_per_client = { burst = 100_000, every = "1ms" } };
        settings["limits"].as_table_mut().unwrap().extend(rate);
    });
    let output = verify(&sydent, &server, &file, "");
    assert_eq!(output.code, 0, "{}{}", output.out, output.err);
    for topic in ["bulk lookups", "hashed lookups"] {
        assert_eq!(output.compared(topic)[0], 2516, "{}", output.out);
    }
    let [single, ..] = output.compared("signed lookups");
    // The newest 1,000, and those of 1,000 random ones that are older.
    assert!((1300..2100).contains(&single), "{}", output.out);
    let output = verify(&sydent, &server, &file, "--each");
    assert_eq!(output.compared("signed lookups")[0], 2516, "{}", output.out);
}

/// OPS-07
#[actix_web::test]
async fn disabled_v1_stays_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    old_schemas::make(&file, 4);
    let sydent = RealSydent::start_on(
        |own| {
            std::fs::copy(&file, own).unwrap();
        },
        |conf| {
            let general = conf.get_mut("general").unwrap();
            general.insert("enable_v1_access".to_owned(), "False".to_owned());
        },
    )
    .await;
    let (server, _database) = import_sydent(&sydent, &file).start();
    let output = verify(&sydent, &server, &file, "");
    assert_eq!(output.code, 0, "{}{}", output.out, output.err);
    assert!(output.out.contains("does not serve v1"), "{}", output.out);
    assert_eq!(output.compared("signed lookups"), [1, 1, 0, 0]);
    assert_eq!(output.compared("bulk lookups"), [0, 0, 0, 0]);
    assert_eq!(output.compared("hashed lookups"), [16, 15, 1, 0]);
    assert_eq!(output.compared("public keys"), [3, 3, 0, 0]);
}

/// OPS-07
#[actix_web::test]
async fn failed_verification_exits_with_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    old_schemas::make(&file, 0);
    let server = TestServer::start(|_| {});
    let new = server.api().base;
    let closed = "http://127.0.0.1:1";
    for (flags, expected) in [
        (
            format!("--old {closed} --new {new} --db copy.db"),
            "No response from",
        ),
        (
            format!("--old {new} --new {closed} --db copy.db"),
            "No response from",
        ),
        (
            format!("--old {new} --new {new} --db none.db"),
            "no such file",
        ),
        (
            format!("--old {new} --new {new} --db copy.db --access-token-file none"),
            "Cannot read none",
        ),
        (
            format!("--old https://a.test --new {new} --db copy.db"),
            "not of the reverse proxy",
        ),
    ] {
        let output = CommandOutput::run(folder.path(), &format!("import verify {flags}"));
        assert_eq!(output.code, 2, "{}{}", output.out, output.err);
        assert!(output.err.contains(expected), "{}", output.err);
        assert!(!output.err.contains(KEY_FILE.trim()));
    }
    let output = CommandOutput::run(
        folder.path(),
        &format!("import verify --old {new}/nowhere --new {new} --db copy.db"),
    );
    assert!(output.err.contains("is not a Sydent"), "{}", output.err);
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 1;
        settings.limits.lookup_per_client = RateSettings {
            burst: 1,
            every: Duration::from_mins(10),
        };
    });
    let new = server.api().base;
    let flags = format!("--old {new} --new {new} --db copy.db");
    let output = CommandOutput::run(folder.path(), &format!("import verify {flags}"));
    assert_eq!(output.code, 2, "{}{}", output.out, output.err);
    assert!(
        output.err.contains("limits the rate of requests"),
        "{}",
        output.err
    );
}
