//! What a write transaction locks.

use std::collections::BTreeSet;

use crate::domain::ids::Mxid;
use crate::domain::message::MessageId;
use crate::domain::person::Person;
use crate::domain::secret::{Sid, TokenHash};
use crate::domain::threepid::ThreePid;

/// What a write transaction locks, across all instances of the server. The lock
/// name begins with the kind, so that a value that a client chooses cannot
/// collide with the lock of another kind.
#[derive(Debug, Clone, Copy)]
pub enum LockKey<'a> {
    /// The session with that id.
    Session(&'a Sid),
    /// Everything that belongs to a 3PID.
    ThreePid(&'a ThreePid),
    /// Everything that belongs to any of these 3PIDs.
    ThreePids(&'a [&'a ThreePid]),
    /// Everything that belongs to a person.
    Person(&'a Person),
    /// The account of a user.
    Account(&'a Mxid),
    /// The access token with that hash.
    AccessToken(&'a TokenHash),
    /// The queued message with that id.
    Message(&'a MessageId),
    /// Counters: their rows are locked one by one, in the order of their keys.
    Counters,
    /// A job of the server that must not run twice at the same time.
    Job(&'static str),
}

impl LockKey<'_> {
    /// The names of the advisory locks, sorted: transactions that take several all
    /// take them in the same order and cannot deadlock.
    pub(super) fn lock_names(self) -> Vec<String> {
        match self {
            Self::Session(sid) => vec![format!("sid:{}", sid.expose())],
            Self::ThreePid(threepid) => vec![threepid_lock_name(threepid)],
            Self::ThreePids(threepids) => {
                let names: BTreeSet<_> = threepids
                    .iter()
                    .map(|threepid| threepid_lock_name(threepid))
                    .collect();
                names.into_iter().collect()
            }
            Self::Person(person) => {
                let users = person.users.iter().map(account_lock_name);
                let names: BTreeSet<_> = person
                    .threepids
                    .iter()
                    .map(threepid_lock_name)
                    .chain(users)
                    .collect();
                names.into_iter().collect()
            }
            Self::Account(user) => vec![account_lock_name(user)],
            Self::AccessToken(hash) => vec![format!("token:{}", hash.as_str())],
            Self::Message(id) => vec![format!("message:{id}")],
            Self::Counters => Vec::new(),
            Self::Job(name) => vec![format!("job:{name}")],
        }
    }
}

fn account_lock_name(user: &Mxid) -> String {
    format!("account:{user}")
}

fn threepid_lock_name(threepid: &ThreePid) -> String {
    format!("3pid:{}:{}", threepid.medium().as_str(), threepid.address())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_keys_of_different_kinds_differ() {
        let sid = Sid::parse("purge").unwrap();
        let threepid = ThreePid::parse("email", "purge@example.com").unwrap();
        let second = ThreePid::parse("msisdn", "447700900001").unwrap();
        let user = Mxid::parse("@purge:example.org").unwrap();
        let hash = TokenHash::new("purge");
        let mut person = Person::default();
        person.add_user(user.clone());
        person.add_threepid(second.clone());
        let message = MessageId::from("purge".to_owned());
        let names = [
            LockKey::Session(&sid),
            LockKey::ThreePid(&threepid),
            LockKey::ThreePids(&[&second, &threepid, &second]),
            LockKey::Person(&person),
            LockKey::Account(&user),
            LockKey::AccessToken(&hash),
            LockKey::Message(&message),
            LockKey::Counters,
            LockKey::Job("purge"),
        ]
        .map(LockKey::lock_names)
        .concat();
        assert_eq!(
            names,
            [
                "sid:purge",
                "3pid:email:purge@example.com",
                "3pid:email:purge@example.com",
                "3pid:msisdn:447700900001",
                "3pid:msisdn:447700900001",
                "account:@purge:example.org",
                "account:@purge:example.org",
                &format!("token:{}", hash.as_str()),
                "message:purge",
                "job:purge"
            ]
        );
    }
}
