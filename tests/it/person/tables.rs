//! Each table and each column is decided: exported, or not for a reason.

use serde_json::Value;

use crate::harness::repository;

/// The tables that are exported, with the types of their rows in the schema.
const EXPORTED: [(&str, &str); 13] = [
    ("accepted_terms", "AcceptedTermsRecord"),
    ("access_tokens", "TokenRecord"),
    ("accounts", "AccountRecord"),
    ("association_journal", "ChangeRecord"),
    ("association_removals", "RemovalRecord"),
    ("associations", "AssociationRecord"),
    ("blocked_accounts", "BlockRecord"),
    ("erasures", "ErasureRecord"),
    ("ignored_statements", "IgnoredRecord"),
    ("invites", "InviteRecord"),
    ("outbox", "QueuedMessageRecord"),
    ("person_audit", "AuditRecord"),
    ("validation_sessions", "SessionRecord"),
];

/// Columns whose values are exported under another name.
const RENAMED: [(&str, &str); 6] = [
    ("associations.lookup_hash", "lookup_hashes"),
    ("associations.other_hash", "lookup_hashes"),
    ("associations.second_hash", "lookup_hashes"),
    ("associations.second_other_hash", "lookup_hashes"),
    ("blocked_accounts.blocked", "user_id"),
    ("outbox.payload", "content"),
];

/// Columns that are not exported: secrets, numbers of rows, and how the queue works.
const LEFT_OUT: &str = "
    access_tokens.token_hash invites.token validation_sessions.client_secret
    validation_sessions.token validation_sessions.hashed
    association_journal.id associations.id erasures.journal_id erasures.subject invites.id
    person_audit.id person_audit.subject
    outbox.acknowledged outbox.affinity_instance outbox.answer_until outbox.due_at outbox.id
    outbox.lease_owner outbox.lease_until outbox.previous_attempt outbox.send_attempt
    outbox.subject";

/// The tables of the schema with their columns. The same table may occur twice.
fn tables() -> Vec<(String, Vec<String>)> {
    let schema = std::fs::read_to_string(repository("src/db/schema.rs")).unwrap();
    let blocks = schema.split("diesel::table! {").skip(1);
    let table = |block: &str| {
        let mut lines = block.lines().map(str::trim);
        let mut name = lines.find(|line| line.ends_with(") {")).unwrap();
        if let Some(real) = block.split("sql_name = \"").nth(1) {
            name = real.split('"').next().unwrap();
        }
        let columns = lines.filter_map(|line| Some(line.split_once(" -> ")?.0.to_owned()));
        (
            name.split(' ').next().unwrap().to_owned(),
            columns.collect(),
        )
    };
    blocks.map(table).collect()
}

/// PRS-01, PRS-02
#[test]
fn every_table_is_decided() {
    let decided = std::fs::read_to_string(repository("src/db/person/mod.rs")).unwrap();
    let documented = std::fs::read_to_string(repository("docs/running.md")).unwrap();
    let tables = tables();
    assert!(tables.len() > 15, "{tables:?}");
    for (table, _) in tables {
        let named = format!("`{table}`");
        assert!(decided.contains(&named), "what is exported of {table}");
        let is_about_people = !["replication_peers", "server_identity"].contains(&&*table);
        assert!(
            !is_about_people || documented.contains(&named),
            "{table} in running.md"
        );
    }
}

/// PRS-01
#[test]
fn every_column_is_decided() {
    let text = std::fs::read_to_string(repository("docs/person.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for (table, columns) in tables() {
        let Some((_, record)) = EXPORTED.iter().find(|(name, _)| *name == table) else {
            continue;
        };
        let fields = schema["$defs"][record]["properties"].as_object().unwrap();
        for column in columns {
            let full = format!("{table}.{column}");
            let renamed = RENAMED.iter().find(|(name, _)| *name == full);
            let field = match (renamed, column.as_str()) {
                (Some((_, field)), _) => field,
                (None, "medium") => "address",
                (None, column) => column,
            };
            let is_left_out = LEFT_OUT.split_whitespace().any(|name| name == full);
            assert_ne!(fields.contains_key(field), is_left_out, "{full}");
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}
