//! `sydent import verify`, with a real Sydent as the old server.

use std::time::Duration;

use sydent::config::RateSettings;

use crate::harness::{CommandOutput, KEY_FILE, SERVER_NAME, TestServer};
use crate::python::{OLD_TERMS, RealSydent};

use super::filled::fill;
use super::old_schemas::{self, make_with, row, signed};
use super::taken_over::{take_over, verify};

/// What a comparison of everything names.
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
fn names_nobody(told: &CommandOutput) {
    for text in [&told.out, &told.err] {
        assert!(!text.contains('@'), "{text}");
    }
}

#[actix_web::test]
async fn ops_07_a_sydent_of_today_and_its_heir_answer_the_same() {
    let filled = fill().await;
    let old = filled.sydent.database();
    let (server, _database) = take_over(&filled.sydent, &old).start();
    let told = verify(&filled.sydent, &server, &old, "");
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    names_nobody(&told);
    for topic in TOPICS {
        let [asked, equal, _, _] = told.compared(topic);
        assert!(asked > 0 && asked == equal, "{topic}: {}", told.out);
    }
    let addresses = (filled.bound.len() + 1 + filled.unbound.len() + 10) as u64;
    for topic in ["signed lookups", "bulk lookups", "hashed lookups"] {
        assert_eq!(told.compared(topic)[0], addresses, "{}", told.out);
    }
    assert_eq!(told.compared("access tokens"), [2, 2, 0, 0]);
    // A sample is of the newest and of others: at least those.
    let told = verify(&filled.sydent, &server, &old, "--sample 2");
    let [asked, ..] = told.compared("signed lookups");
    assert!((12..addresses).contains(&asked), "{}", told.out);
}

#[actix_web::test]
async fn ops_07_what_was_changed_is_found_and_named_by_its_row() {
    let filled = fill().await;
    let old = filled.sydent.database();
    let heir = take_over(&filled.sydent, &old);
    let (address, _) = &filled.bound[1];
    let (gone, _) = &filled.bound[2];
    heir.database.execute(&format!(
        "UPDATE associations SET mxid = '@eve:hs.test' WHERE address = '{address}'; \
         DELETE FROM associations WHERE address = '{gone}'; \
         DELETE FROM accepted_terms; \
         DELETE FROM ephemeral_keys"
    ));
    let (server, _database) = heir.start();
    let told = verify(&filled.sydent, &server, &old, "");
    assert_eq!(told.code, 1, "{}{}", told.out, told.err);
    names_nobody(&told);
    // Without accepted terms no look-up by hash is answered, so another token.
    assert_eq!(told.compared("access tokens"), [2, 1, 0, 1]);
    assert!(told.out.contains("--access-token-file"), "{}", told.out);
    let [keys, _, _, different] = told.compared("invite keys");
    assert_eq!(keys, different + 1, "{}", told.out);
    // What is signed still says the old user.
    assert_eq!(told.compared("signed lookups")[3], 1, "{}", told.out);
    assert_eq!(told.compared("bulk lookups")[3], 2, "{}", told.out);
    for what in [
        "of local_threepid_associations: the servers find different users",
        "of local_threepid_associations: only the old server finds a user",
        "of ephemeral_public_keys: the response bodies differ",
    ] {
        assert!(told.out.contains(what), "{}", told.out);
    }
    assert!(
        told.err.contains("Differences not documented"),
        "{}",
        told.err
    );

    let file = old.with_file_name("token");
    std::fs::write(&file, format!("{}\n", filled.hesitant)).unwrap();
    let token = filled.sydent.api().with_token(&filled.hesitant);
    token.accept(vec![OLD_TERMS]).await.ok();
    let token = server.api().with_token(&filled.hesitant);
    token.accept(vec![OLD_TERMS]).await.ok();
    let told = verify(&filled.sydent, &server, &old, "--access-token-file token");
    assert_eq!(told.compared("hashed lookups")[3], 2, "{}", told.out);
}

/// A Sydent and its heir on a database of that schema, and what the comparison
/// says.
async fn compared(schema: u8) -> CommandOutput {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    // Bound in two spellings of which one was removed again; bound anew to a user
    // whose name comes first; and what is no address.
    let more = [
        ("@ghost:hs.test", "Ghost@example.com", 1_500_000_005_000),
        ("@zoe:hs.test", "moved@example.com", 1_500_000_006_000),
        ("@x:hs.test", "no address", 1_500_000_007_000),
    ];
    let mut then = format!(
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
        then += "INSERT INTO local_threepid_associations (medium, address, ts) \
                 VALUES ('email', 'ghost@example.com', 1500000009000);";
    }
    make_with(&file, schema, &more, &then);
    // The old server brings its own database up to date.
    let sydent = RealSydent::start_on(
        |own| {
            std::fs::copy(&file, own).unwrap();
        },
        |_| (),
    )
    .await;
    let (server, _database) = take_over(&sydent, &file).start();
    let told = verify(&sydent, &server, &file, "");
    names_nobody(&told);
    told
}

#[actix_web::test]
async fn ops_07_old_schemas_are_corrected_as_the_guide_says_and_else_the_same() {
    for schema in 0..=4 {
        let told = compared(schema).await;
        assert_eq!(told.code, 0, "schema {schema}: {}{}", told.out, told.err);
        let [asked, _, corrected, _] = told.compared("signed lookups");
        assert!(asked > 16, "{}", told.out);
        // Second@, no address, and Ghost@: signed anew, or removed in two spellings.
        let expected = if schema == 0 { 3 } else { 4 };
        assert_eq!(corrected, expected, "schema {schema}: {}", told.out);
        assert!(told.out.contains("was not imported"), "{}", told.out);
        assert!(told.out.contains("now in lower case"), "{}", told.out);
        if schema > 0 {
            assert!(
                told.out.contains("applies to all spellings"),
                "{}",
                told.out
            );
        }
        let [asked, _, corrected, _] = told.compared("hashed lookups");
        if schema < 4 {
            assert_eq!(asked, 0, "{}", told.out);
            assert!(told.out.contains("too old to contain"), "{}", told.out);
        } else {
            // Stored in mixed case, and of two users the last in the alphabet.
            assert!(corrected >= 3, "{}", told.out);
            assert!(
                told.out.contains("the newest of several bindings"),
                "{}",
                told.out
            );
            assert!(told.out.contains("found in any spelling"), "{}", told.out);
        }
    }
}

#[actix_web::test]
async fn ops_07_small_limits_are_respected() {
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
    let (server, _database) = take_over(&sydent, &file).start_with(|settings| {
        // The old one's limit came along.
        let limit = &mut settings["lookup"]["max_addresses"];
        assert_eq!(*limit, toml::Value::from(3));
        *limit = 4.into();
        let rate = toml::toml! { lookup_per_client = { burst = 12, every = "50ms" } };
        settings["limits"].as_table_mut().unwrap().extend(rate);
    });
    let told = verify(&sydent, &server, &file, "");
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    for topic in ["signed lookups", "bulk lookups", "hashed lookups"] {
        assert_eq!(told.compared(topic)[0], 16, "{}", told.out);
    }
    assert!(
        told.out.contains("limits.lookup_per_client"),
        "{}",
        told.out
    );
}

#[actix_web::test]
async fn ops_07_v1_that_is_switched_off_stays_so() {
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
    let (server, _database) = take_over(&sydent, &file).start();
    let told = verify(&sydent, &server, &file, "");
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert!(told.out.contains("does not serve v1"), "{}", told.out);
    assert_eq!(told.compared("signed lookups"), [1, 1, 0, 0]);
    assert_eq!(told.compared("bulk lookups"), [0, 0, 0, 0]);
    assert_eq!(told.compared("hashed lookups"), [16, 15, 1, 0]);
    assert_eq!(told.compared("public keys"), [3, 3, 0, 0]);
}

#[actix_web::test]
async fn ops_07_what_cannot_be_asked_is_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    old_schemas::make(&file, 0);
    let server = TestServer::start(|_| {});
    let new = server.api().base;
    let closed = "http://127.0.0.1:1";
    for (flags, told) in [
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
        let said = CommandOutput::run(folder.path(), &format!("import verify {flags}"));
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        assert!(said.err.contains(told), "{}", said.err);
        assert!(!said.err.contains(KEY_FILE.trim()));
    }
    let said = CommandOutput::run(
        folder.path(),
        &format!("import verify --old {new}/nowhere --new {new} --db copy.db"),
    );
    assert!(said.err.contains("is not a Sydent"), "{}", said.err);
    let server = TestServer::start(|settings| {
        settings.lookup.max_addresses = 1;
        settings.limits.lookup_per_client = RateSettings {
            burst: 1,
            every: Duration::from_mins(10),
        };
    });
    let new = server.api().base;
    let flags = format!("--old {new} --new {new} --db copy.db");
    let said = CommandOutput::run(folder.path(), &format!("import verify {flags}"));
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(
        said.err.contains("limits the rate of requests"),
        "{}",
        said.err
    );
}
