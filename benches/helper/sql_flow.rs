//! The writes of whole flows without HTTP, mail and homeserver: one commit for each
//! change, in one thread.

use std::time::Duration;

use sydent::db::outbox::{self, QueuedMessage};
use sydent::db::{Conn, DbError, LockKey, Store, associations, journal, peppers, sessions};
use sydent::domain::association::Association;
use sydent::domain::message::{InstanceId, MessageId, MessageKind};
use sydent::domain::secret::{ClientSecret, Sid, Token};
use sydent::domain::session::{Session, State};
use sydent::domain::session_secrets::{HashKey, TokenHashes};
use sydent::domain::time::UnixMillis;

use super::data;
use super::sql::{now, open, report};

/// The associations of these flows are far from those in the database.
const FIRST: u32 = 3_000_000_000;
const LEASE: Duration = Duration::from_mins(1);

/// Runs flows for so long; prints the time of each.
pub fn measure(url: &str, seconds: u32) {
    let mut store = open(url).writer().expect("a connection");
    // Each run has associations of its own.
    let first = FIRST + std::process::id() % 1000 * 1_000_000;
    report(seconds, first.., |number| flow(&mut store, number));
}

fn flow(store: &mut Store, number: u32) {
    let association = Association {
        not_before: now(),
        ..data::association(number)
    };
    let sid = Sid::parse(&format!("flow{}-{number}", std::process::id())).expect("a sid");
    write(store, |connection| request(connection, &sid, &association));
    deliver(store, MessageKind::Mail);
    let validated = State::Validated { at: now() };
    write(store, |connection| {
        sessions::by_sid(connection, &sid)?;
        sessions::set_state(connection, &sid, validated)
    });
    write(store, |connection| bind(connection, number, &association));
    deliver(store, MessageKind::Onbind);
}

fn request(connection: &mut Conn, sid: &Sid, of: &Association) -> Result<(), DbError> {
    let (key, secret) = (HashKey::new([7; 32]), ClientSecret::parse("secret"));
    let (secret, token) = (secret.expect("a secret"), Token::parse("token"));
    let session = Session {
        sid: sid.clone(),
        threepid: of.threepid.clone(),
        client_secret: key.client_secret(&secret),
        tokens: TokenHashes::new(key.token(sid, &secret, &token.expect("a token"))),
        send_attempt: None,
        next_link: None,
        state: State::Pending {
            created_at: now(),
            wrong_tokens: 0,
        },
    };
    sessions::current(connection, &of.threepid, &session.client_secret)?;
    sessions::insert(connection, &session, 1, now())?;
    outbox::insert(connection, &message(MessageKind::Mail, sid.expose()))
}

fn bind(connection: &mut Conn, number: u32, association: &Association) -> Result<(), DbError> {
    let hashing = peppers::for_hashing(connection)?.ok_or(DbError::Corrupt("pepper"))?;
    let hashes = hashing.hash(&association.threepid);
    let (name, at) = (data::server_name(), association.ts);
    // As long as a signed one; signing is not a part of the SQL.
    let signed = "x".repeat(400);
    associations::replace(connection, association, &name, 0, at, &hashes, &signed)?;
    outbox::insert(
        connection,
        &message(MessageKind::Onbind, &number.to_string()),
    )?;
    journal::record_change(connection, &association.threepid, None, false)
}

fn message(kind: MessageKind, subject: &str) -> QueuedMessage {
    let id = MessageId::from(format!("{}-{subject}", kind.as_str()));
    let (now, payload) = (UnixMillis::new(now()), "x".repeat(200));
    QueuedMessage {
        subject: subject.to_owned(),
        ..QueuedMessage::new(id, kind, payload, now, now.after(LEASE))
    }
}

/// A worker takes the message, and removes it when it was delivered.
fn deliver(store: &mut Store, kind: MessageKind) {
    let (instance, now) = (
        InstanceId::from("benchmark".to_owned()),
        UnixMillis::new(now()),
    );
    let taken = write(store, |connection| {
        let until = now.after(LEASE);
        outbox::take_due(connection, &instance, [kind; 2], now, until, 10, &[])
    });
    for message in taken {
        write(store, |connection| outbox::remove(connection, &message.id));
    }
}

fn write<T>(store: &mut Store, work: impl FnOnce(&mut Conn) -> Result<T, DbError>) -> T {
    store
        .write(LockKey::Job("benchmark"), work)
        .expect("a transaction")
}
