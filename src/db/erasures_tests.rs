//! Erasures that wait for peers.

use std::time::Duration;

use super::*;
use crate::config::DatabaseUrl;
use crate::db::{Database, LockKey, Store, journal as changes, statements};
use crate::domain::ids::ServerName;
use crate::domain::merge::Statements;

fn store() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("a.db"));
    let database = Database::new(url, Duration::ZERO);
    database.prepare(|_connection| Ok(())).unwrap();
    (database.writer().unwrap(), folder)
}

/// Erases a 3PID, and waits for the peers.
fn erase(connection: &mut Conn, threepid: &ThreePid) -> Result<(), DbError> {
    let key = SubjectKey::from_random([7; 32]);
    let key = subject_keys::for_erasures_or(connection, &key)?;
    let origin = ServerName::parse("id.example.org").unwrap();
    statements::store_removal(connection, threepid, &origin, 0, 5, 5)?;
    changes::record_change(connection, threepid, Some(5), false)?;
    let (medium, address) = (threepid.medium().as_str(), threepid.address());
    let erased = Erased {
        subject: key.threepid(threepid),
        ts: 5,
        erased_at: 5,
        journal_id: changes::find(connection, medium, address)?,
    };
    super::store(connection, erased)
}

/// PRS-04
#[test]
fn repeated_removal_is_waited_for() {
    let (mut store, _folder) = store();
    let threepid = ThreePid::parse("email", "a@b.example").unwrap();
    let result = store.write(LockKey::Job("test"), |connection| {
        erase(connection, &threepid)?;
        assert!(changes::repeat(connection, &[statements::key(&threepid)])?);
        assert_eq!(finish(connection, 0, 0, 10)?, 0);
        assert_eq!(finish(connection, i64::MAX, 0, 10)?, 1);
        assert_eq!(changes::find(connection, "email", "a@b.example")?, None);
        let said = statements::find(connection, &threepid)?;
        assert_eq!(said, Statements::default());
        Ok::<_, DbError>(())
    });
    result.unwrap();
}

/// PRS-04
#[test]
fn bound_address_is_not_waited_for() {
    let (mut store, _folder) = store();
    let threepid = ThreePid::parse("email", "a@b.example").unwrap();
    let result = store.write(LockKey::Job("test"), |connection| {
        erase(connection, &threepid)?;
        assert_eq!(unconfirmed(connection)?, 1);
        changes::record_change(connection, &threepid, None, false)?;
        assert_eq!(unconfirmed(connection)?, 0);
        assert_eq!(latest(connection, &threepid, None)?, Some(5));
        Ok::<_, DbError>(())
    });
    result.unwrap();
}
