//! Which addresses and users are one person.

use diesel::prelude::*;

use crate::db::schema::associations::dsl;
use crate::db::statements;
use crate::db::{Conn, DbError};
use crate::domain::ids::Mxid;
use crate::domain::person::Person;
use crate::domain::threepid::ThreePid;

/// How an administrator names a person. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub enum Named {
    /// By an address.
    ThreePid(ThreePid),
    /// By a user.
    User(Mxid),
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ThreePid(_) => "Named::ThreePid(…)",
            Self::User(_) => "Named::User(…)",
        })
    }
}

/// The person: what was named alone if `is_alone`; otherwise with the users that its
/// addresses are bound to, and the addresses that are bound to its users.
pub fn find(connection: &mut Conn, named: &Named, is_alone: bool) -> Result<Person, DbError> {
    let mut person = Person::default();
    match named {
        Named::ThreePid(threepid) => person.add_threepid(threepid.clone()),
        Named::User(user) => person.add_user(user.clone()),
    }
    if is_alone {
        return Ok(person);
    }
    loop {
        let before = person.clone();
        for threepid in &before.threepids {
            if let Some(user) = user_of(connection, threepid)? {
                person.add_user(user);
            }
        }
        for user in &before.users {
            for threepid in threepids_of(connection, user)? {
                person.add_threepid(threepid);
            }
        }
        if person == before {
            return Ok(person);
        }
    }
}

/// The user that an address is bound to by the statement that counts.
fn user_of(connection: &mut Conn, threepid: &ThreePid) -> Result<Option<Mxid>, DbError> {
    let said = statements::find(connection, threepid)?;
    let binding = said.answer().and_then(|answer| answer.binding.as_ref());
    // What cannot be read must not stop the erasure of the rest.
    Ok(binding.and_then(|binding| Mxid::parse(&binding.mxid).ok()))
}

/// The addresses that are bound to a user by the statement that counts.
fn threepids_of(connection: &mut Conn, user: &Mxid) -> Result<Vec<ThreePid>, DbError> {
    let stated: Vec<(String, String)> = dsl::associations
        .filter(dsl::mxid.eq(user.as_str()))
        .select((dsl::medium, dsl::address))
        .distinct()
        .load(connection)?;
    let mut bound = Vec::new();
    for (medium, address) in stated {
        let Ok(threepid) = ThreePid::parse(&medium, &address) else {
            continue;
        };
        if user_of(connection, &threepid)?.as_ref() == Some(user) {
            bound.push(threepid);
        }
    }
    Ok(bound)
}
