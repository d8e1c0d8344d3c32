//! What the server stores about a person: its export and its erasure.

mod interrupted;
mod log;
mod mesh;
mod retention;
mod schema;
mod tables;

use std::process::Command;

use serde_json::{Value, json};
use sydent::config::Settings;
use sydent::domain::person::PersonExport;
use tempfile::TempDir;

use crate::harness::{
    CommandOutput, TermsFile, TestDatabase, TestServer, configured, fresh_address,
};

const NUMBER: &str = "447700900077";
/// The client secret of a session.
const SECRET: &str = "client-secret-of-erika";

/// A person with data in every table, and another one.
struct Filled {
    server: TestServer,
    folder: TempDir,
    address: String,
    user: String,
    other: String,
    /// The host of the homeserver of both.
    homeserver: &'static str,
}

impl Filled {
    async fn new() -> Self {
        let terms = TermsFile::two();
        let server = TestServer::start(|settings| terms.configure(settings));
        let folder = configured(&TestDatabase::existing(&server.database.url), |_| {});
        let filled = Self {
            server,
            folder,
            address: fresh_address("erika"),
            user: "@erika-mustermann:example.org".to_owned(),
            other: fresh_address("neighbour"),
            homeserver: "example.org",
        };
        filled.fill().await;
        filled
    }

    async fn fill(&self) {
        let (server, address, user) = (&self.server, &self.address, self.user.as_str());
        let internal = server.internal();
        // Erased before, and bound again.
        internal.internal_bind("email", address, user).await.ok();
        let erased = self.command(&format!("person erase {address} --only-this --yes"));
        assert_eq!(erased.code, 0, "{} {}", erased.out, erased.err);
        // Before the invite, whose delivery would remove it.
        let api = server.api();
        let validated = server.validate(address).await;
        api.bind(&validated.sid, "secret", user).await;
        internal.internal_bind("email", address, user).await.ok();
        internal.internal_bind("msisdn", NUMBER, user).await.ok();
        let neighbour = "@neighbour:example.org";
        internal
            .internal_bind("email", &self.other, neighbour)
            .await
            .ok();
        // As Element does.
        let link = format!("https://app.example/#/register?client_secret={SECRET}&session_id=s");
        let fields = json!({"client_secret": SECRET, "email": address, "send_attempt": 1,
            "next_link": link});
        api.request_token_with(fields).await.ok();
        let account = server.account(user).await;
        let accepted = account.accept(json!(["https://a/p-en", "https://a/t-en"]));
        accepted.await.ok();
        for (to, sender) in [("unbound-friend@example.com", user)] {
            let invite = json!({"medium": "email", "address": to, "room_id": "!r:example.org",
                "sender": sender});
            account.store_invite(invite).await.ok();
        }
        let gone = fresh_address("erika-gone");
        internal.internal_bind("email", &gone, user).await.ok();
        internal.internal_unbind("email", &gone, user).await.ok();
        // An invite from before the address was bound.
        server.database.execute(&format!(
            "INSERT INTO invites (token, medium, address, room_id, sender, key_id, ephemeral_key, \
             created_at) VALUES ('t-{address}', 'email', '{address}', '!old:example.org', \
             '{neighbour}', 'ed25519:0', 'k-{address}', 5); \
             INSERT INTO association_removals (medium, address, origin, number, ts, stated_ts) \
             VALUES ('email', '{address}', 'peer.example', 7, 1, 2); \
             INSERT INTO ignored_statements VALUES ('email', '{address}', 'bad.example', 1); \
             INSERT INTO blocked_accounts VALUES ('{user}', 1)",
        ));
        self.queue_messages();
    }

    /// Messages to another address that name the person: in a text, cut in a room's name,
    /// and in what is no JSON.
    fn queue_messages(&self) {
        let (local, _) = self.address.split_once('@').unwrap();
        let payloads = [
            json!({"address": "x@example.com", "text": format!("From {}!", self.address)}),
            json!({"address": "x@example.com", "room_name": format!("Chat with {local}@exa…")}),
        ];
        let unreadable = format!("{{\"address\":\"{}\",\"token\":\"{SECRET}", self.address);
        let payloads = payloads.iter().map(Value::to_string).chain([unreadable]);
        for (n, payload) in payloads.enumerate() {
            self.server.database.execute(&format!(
                "INSERT INTO outbox (id, kind, payload, subject, send_attempt, limits, tries, \
                 created_at, due_at, answer_until, expires_at, affinity_instance, lease_owner, \
                 lease_until, acknowledged) VALUES ('named{n}', 'later-kind', '{payload}', '', 0, \
                 '[]', 0, 0, 0, 0, {end}, '', '', 0, TRUE)",
                end = i64::MAX
            ));
        }
    }

    fn command(&self, arguments: &str) -> CommandOutput {
        CommandOutput::run(
            self.folder.path(),
            &format!("{arguments} --config sydent.toml"),
        )
    }

    fn export(&self, name: &str) -> Value {
        let output = self.command(&format!("person export {name}"));
        assert_eq!(output.code, 0, "{}", output.err);
        assert!(output.err.contains("data of a person"), "{}", output.err);
        assert!(!output.err.contains(&self.address), "{}", output.err);
        serde_json::from_str(&output.out).unwrap()
    }
}

fn tables_with_rows(export: &Value) -> Vec<&str> {
    let tables = export["tables"].as_object().unwrap().iter();
    tables
        .filter(|(_, rows)| !rows.as_array().unwrap().is_empty())
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The needles that are in the files of an SQLite database, or in a table of PostgreSQL.
pub fn found_in(database: &TestDatabase, needles: &[&str]) -> Vec<String> {
    let contains: Box<dyn Fn(&str) -> bool> = match database.url.strip_prefix("sqlite:") {
        Some(path) => {
            // Another process reads the files: closing one would release the locks that
            // SQLite holds on it in this process.
            let files = ["", "-wal"].map(|end| format!("{path}{end}"));
            let bytes = Command::new("cat").args(files).output().unwrap().stdout;
            Box::new(move |needle| {
                bytes
                    .windows(needle.len())
                    .any(|part| part == needle.as_bytes())
            })
        }
        None => Box::new(|needle| {
            let tables = [
                "accepted_terms",
                "access_tokens",
                "accounts",
                "association_journal",
                "association_removals",
                "associations",
                "blocked_accounts",
                "ephemeral_keys",
                "erasures",
                "ignored_statements",
                "invites",
                "outbox",
                "person_audit",
                "replication_peers",
                "send_limits",
                "validation_sessions",
            ];
            tables.iter().any(|table| {
                let rows = format!("{table} AS t WHERE t::text LIKE '%{needle}%'");
                database.count(&rows) > 0
            })
        }),
    };
    let found = needles.iter().filter(|needle| contains(needle));
    found.map(|needle| (*needle).to_owned()).collect()
}

/// PRS-01
#[actix_web::test]
async fn export_has_the_rows_of_every_table() {
    let filled = Filled::new().await;
    let by_address = filled.export(&filled.address);
    let mut expected = vec![
        "accepted_terms",
        "access_tokens",
        "accounts",
        "association_journal",
        "association_removals",
        "associations",
        "blocked_accounts",
        "erasures",
        "ignored_statements",
        "invites_received",
        "invites_sent",
        "person_audit",
        "queued_messages",
        "validation_sessions",
    ];
    expected.sort_unstable();
    assert_eq!(tables_with_rows(&by_address), expected, "{by_address:#}");
    let text = by_address.to_string();
    assert!(
        text.contains(NUMBER) && text.contains(&filled.user),
        "{text}"
    );
    assert!(!text.contains(&filled.other), "{text}");
    let by_user = filled.export(&filled.user);
    let by_number = filled.export(&format!("+{NUMBER}"));
    for (other, name) in [(&by_user, "user"), (&by_number, "number")] {
        assert_eq!(tables_with_rows(other), expected, "{name}");
    }
    schema::expect_valid(&by_address);
    let export: PersonExport = serde_json::from_value(by_address).unwrap();
    assert_eq!(export.tables.associations.len(), 2);
    let alone = filled.export(&format!("{} --only-this", filled.address));
    assert_eq!(alone["users"], json!([]));
    assert_eq!(alone["tables"]["accounts"], json!([]));
    assert_eq!(alone["addresses"].as_array().unwrap().len(), 1);
    // One of them is the erasure before.
    assert_eq!(filled.server.database.count("person_audit"), 5);
}

/// PRS-01
#[actix_web::test]
async fn export_withholds_secrets() {
    let filled = Filled::new().await;
    let secrets = [
        "secret\"",
        "client_secret\"",
        "token_hash\"",
        "private_key\"",
    ];
    let text = filled.export(&filled.address)["tables"].to_string();
    for secret in secrets.iter().chain(&[SECRET]) {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("https://app.example/#/register?client_secret=***&session_id=s"));
}

/// PRS-02, PRS-03
#[actix_web::test]
async fn erasure_leaves_nothing_in_the_database() {
    let filled = Filled::new().await;
    // Also where the address is cut.
    let (local, _) = filled.address.split_once('@').unwrap();
    let needles = [local, &filled.user, NUMBER];
    let before = filled.export(&filled.address);
    let preview = filled.command(&format!("person erase {}", filled.address));
    assert_eq!(preview.code, 0, "{}", preview.err);
    for expected in needles
        .iter()
        .chain(&["associations", "Nothing was changed"])
    {
        assert!(preview.out.contains(expected), "{}", preview.out);
    }
    let unchanged = filled.export(&filled.address);
    let named = "outbox WHERE id LIKE 'named%'";
    let queued = before["tables"]["queued_messages"].as_array().unwrap();
    let is_named = |message: &&Value| message["kind"] == "later-kind";
    assert_eq!(queued.iter().filter(is_named).count(), 3);
    for table in [
        "associations",
        "validation_sessions",
        "accounts",
        "invites_received",
    ] {
        assert_eq!(unchanged["tables"][table], before["tables"][table]);
    }
    assert_eq!(found_in(&filled.server.database, &needles).len(), 3);

    let erased = filled.command(&format!("person erase {} --yes", filled.address));
    assert_eq!(erased.code, 0, "{} {}", erased.out, erased.err);
    let left = if filled.server.database.is_postgres() {
        "No table has anything of it. PostgreSQL keeps copies"
    } else {
        "Nothing of it is left in the database."
    };
    assert!(erased.out.contains(left), "{}", erased.out);
    for needle in needles {
        assert!(!erased.out.contains(needle) && !erased.err.contains(needle));
    }
    assert_eq!(found_in(&filled.server.database, &needles), [""; 0]);
    assert_eq!(filled.server.database.count(named), 0);
    // The server goes on, with the data of others.
    let api = filled.server.api();
    let found = api.lookup("email", &filled.other).await.ok();
    assert_eq!(found["mxid"], "@neighbour:example.org");
    let found = api.lookup("email", &filled.address).await.ok();
    assert_eq!(found, json!({}));
    assert!(!found_in(&filled.server.database, &[filled.homeserver]).is_empty());
    let again = filled.command(&format!("person erase {} --yes", filled.address));
    assert_eq!(again.code, 1, "{} {}", again.out, again.err);
    assert_eq!(found_in(&filled.server.database, &needles), [""; 0]);
}

/// PRS-02
#[actix_web::test]
async fn erased_address_can_be_bound_again() {
    let filled = Filled::new().await;
    let erased = filled.command(&format!("person erase {} --yes", filled.user));
    assert_eq!(erased.code, 0, "{} {}", erased.out, erased.err);
    let internal = filled.server.internal();
    let bound = internal.internal_bind("email", &filled.address, "@new:example.org");
    bound.await.ok();
    let api = filled.server.api();
    let found = api.lookup("email", &filled.address).await.ok();
    assert_eq!(found["mxid"], "@new:example.org");
    let erased = filled.command(&format!("person erase {} --yes", filled.address));
    assert_eq!(erased.code, 0, "{} {}", erased.out, erased.err);
    let needles = [filled.address.as_str(), "@new:example.org"];
    assert_eq!(found_in(&filled.server.database, &needles), [""; 0]);
}

/// PRS-02
#[actix_web::test]
async fn moved_rows_leave_no_copies_in_the_file() {
    let server = TestServer::start(|_| {});
    let needle = "moved-needle@example.com";
    let internal = server.internal();
    let first = internal.internal_bind("email", needle, "@moved-needle:example.org");
    first.await.ok();
    // Many rows around it, so that SQLite moves it between pages.
    for round in 0..20 {
        server.database.execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) \
             INSERT INTO association_journal (medium, address) \
             SELECT 'email', 'moved-' || (n.i * 7919 % 300) || '-{round}@example.com' FROM n"
        ));
    }
    let folder = configured(&TestDatabase::existing(&server.database.url), |_| {});
    let command = format!("person erase {needle} --yes --config sydent.toml");
    let output = CommandOutput::run(folder.path(), &command);
    assert_eq!(output.code, 0, "{} {}", output.out, output.err);
    assert_eq!(found_in(&server.database, &["moved-needle"]), [""; 0]);
}

/// PRS-01, PRS-02
#[actix_web::test]
async fn commands_refuse_what_is_no_person() {
    let server = TestServer::start(|_: &mut Settings| {});
    let folder = configured(&TestDatabase::existing(&server.database.url), |_| {});
    for (arguments, code, text) in [
        ("export nobody", 2, "neither an email address"),
        ("erase @alice", 2, "Matrix user ID"),
        ("export a@b.example", 1, "no data"),
        ("erase @a:b.example", 1, "no data"),
        ("erase @a:b.example --yes", 1, "no data"),
        ("erase", 2, "ADDRESS|MXID"),
    ] {
        let command = format!("person {arguments} --config sydent.toml");
        let output = CommandOutput::run(folder.path(), &command);
        assert_eq!(
            (output.code, output.out.as_str()),
            (code, ""),
            "{arguments}"
        );
        assert!(output.err.contains(text), "{arguments}: {}", output.err);
    }
}
