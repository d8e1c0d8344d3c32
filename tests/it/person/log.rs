//! Pseudonyms of people in the log.

use std::collections::BTreeSet;

use serde_json::Value;
use sydent::config::{LogFormat, PersonalData};

use crate::harness::{SmtpServer, TestDatabase, TestProcess, fresh_address, wait_until};

const USER: &str = "@logged:example.org";

struct Logged {
    process: TestProcess,
    address: String,
}

impl Logged {
    async fn new(database: &TestDatabase, personal_data: PersonalData) -> Self {
        let process = TestProcess::start(database, |settings| {
            settings.log.format = LogFormat::Json;
            settings.log.personal_data = personal_data;
        });
        let logged = Self {
            process,
            address: fresh_address("logged"),
        };
        logged.use_it().await;
        logged
    }

    async fn use_it(&self) {
        let (api, address) = (self.process.api(), self.address.as_str());
        let requested = api.request_token(address, "secret", 1).await.ok();
        let sid = requested["sid"].as_str().unwrap();
        let mail = SmtpServer::shared().mail_to(address).await;
        api.submit_token(sid, "secret", &mail.token()).await.ok();
        api.bind(sid, "secret", USER).await.ok();
        api.lookup("email", &address.to_uppercase()).await.ok();
        let other = fresh_address("somebody");
        api.lookup("email", &other).await.ok();
        let sent = api.sent.get();
        let lines = || self.process.log().matches("sydent::access").count();
        wait_until("a line for each request", || lines() >= sent).await;
    }

    /// The access lines of a client request with that end of the route.
    fn lines(&self, route: &str) -> Vec<Value> {
        let log = self.process.log();
        let lines = log.lines().filter(|line| line.contains("sydent::access"));
        let parsed = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        parsed
            .filter(|line| line["route"].as_str().unwrap().ends_with(route))
            .collect()
    }

    fn pseudonym(&self, name: &str) -> String {
        let output = self
            .process
            .command(&format!("person pseudonym {name} --config sydent.toml"));
        assert_eq!(output.code, 0, "{}", output.err);
        output.out.trim_end().to_owned()
    }
}

/// PRS-05
#[actix_web::test]
async fn pseudonyms_follow_a_person_for_a_day() {
    let database = TestDatabase::fresh();
    let logged = Logged::new(&database, PersonalData::Pseudonym).await;
    let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    let address = logged.pseudonym(&logged.address);
    let user = logged.pseudonym(USER);
    assert_eq!([address.len(), user.len()], [16, 16]);
    let requested = &logged.lines("/requestToken")[0];
    assert_eq!(text(requested, "address"), address);
    let session = text(requested, "session");
    assert_eq!(text(&logged.lines("/submitToken")[0], "session"), session);
    let bound = &logged.lines("/bind")[0];
    assert_eq!(
        [text(bound, "session"), text(bound, "user")],
        [session, user]
    );
    // However the address is written, and another one differs.
    let lookups = logged.lines("/lookup");
    let looked_up = |index: usize| text(&lookups[index], "address");
    assert_eq!(looked_up(0), address);
    assert!(looked_up(1) != address && looked_up(1).len() == 16);
    let log = logged.process.log();
    for secret in [logged.address.as_str(), USER, "logged-"] {
        assert!(!log.contains(secret), "{log}");
    }
    // Another instance has the same; another day has others.
    let other = Logged::new(&database, PersonalData::Pseudonym).await;
    assert_eq!(other.pseudonym(&logged.address), address);
    database.execute(
        "UPDATE database_keys SET name = 'pseudonyms 2001-01-01' WHERE name LIKE 'pseudonyms %'",
    );
    // The clock of another instance is ahead.
    database.execute(
        "INSERT INTO database_keys SELECT 'pseudonyms 2999-01-01', value FROM database_keys \
         WHERE name = 'counters'",
    );
    assert_ne!(other.pseudonym(&logged.address), address);
    let left = |condition: &str| {
        let keys = format!("database_keys WHERE name LIKE 'pseudonyms %' {condition}");
        database.count(&keys)
    };
    assert_eq!([left(""), left("AND name LIKE '% 2999-%'")], [2, 1]);
}

/// PRS-05
#[actix_web::test]
async fn log_has_no_pseudonyms_by_default() {
    let database = TestDatabase::fresh();
    drop(Logged::new(&database, PersonalData::None).await);
    // Kept when pseudonyms were switched off.
    let keys = "database_keys WHERE name LIKE 'pseudonyms %'";
    database.execute("INSERT INTO database_keys VALUES ('pseudonyms 2001-01-01', 'x')");
    let logged = Logged::new(&database, PersonalData::None).await;
    wait_until("the key is deleted", || database.count(keys) == 0).await;
    let fields: BTreeSet<String> = logged
        .lines("")
        .iter()
        .flat_map(|line| line.as_object().unwrap().keys().cloned())
        .collect();
    for field in ["user", "address", "session"] {
        assert!(!fields.contains(field), "{fields:?}");
    }
    assert_eq!(database.count(keys), 0);
}
