//! The accounts that an administrator means: that of one user, or all of a homeserver.

use super::Invalid;
use super::ids::{Mxid, ServerName};

/// One account, or all accounts of a homeserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountScope {
    /// That of this user.
    User(Mxid),
    /// Those of all users of this homeserver; without a port, on every port. In
    /// lower case, as DNS compares names.
    Homeserver(String),
}

impl AccountScope {
    /// Parses a user ID, which begins with `@`, or the name of a homeserver.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid(
            "must be a user ID such as @alice:example.org or a homeserver such as example.org",
        );
        if text.starts_with('@') {
            return Mxid::parse(text).map(Self::User).map_err(|_invalid| WRONG);
        }
        let name = ServerName::parse(text).map_err(|_invalid| WRONG)?;
        Ok(Self::Homeserver(name.as_str().to_ascii_lowercase()))
    }

    /// The scopes that the account of a user belongs to, as texts: the user, the server name,
    /// and its host, which may be the same.
    #[must_use]
    pub fn all_of(user: &Mxid) -> [String; 3] {
        let server = user.server_name().to_ascii_lowercase();
        let host = match ServerName::parse(&server) {
            Ok(name) => name.host().to_owned(),
            Err(_) => server.clone(),
        };
        [user.as_str().to_owned(), server, host]
    }

    /// Whether the account of that user is one of them.
    #[must_use]
    pub fn contains(&self, user: &str) -> bool {
        match self {
            Self::User(own) => own.as_str() == user,
            Self::Homeserver(_) => Mxid::parse(user)
                .is_ok_and(|user| Self::all_of(&user).iter().any(|it| it == self.as_str())),
        }
    }

    /// The user ID or the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::User(user) => user.as_str(),
            Self::Homeserver(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_contains_its_accounts() {
        for (scope, user, contains) in [
            ("@a:example.org", "@a:example.org", true),
            ("@a:example.org", "@b:example.org", false),
            ("example.org", "@a:example.org", true),
            ("Example.ORG", "@a:example.org", true),
            ("example.org", "@a:EXAMPLE.org:8448", true),
            ("example.org:8448", "@a:example.org:8448", true),
            ("example.org:8448", "@a:example.org", false),
            ("example.org", "@a:sub.example.org", false),
            ("[::1]", "@a:[::1]:8448", true),
        ] {
            let found = AccountScope::parse(scope).unwrap();
            assert_eq!(found.contains(user), contains, "{scope} {user}");
        }
        for bad in ["", "@a", "a b", "@a:", "*.example.org"] {
            assert!(AccountScope::parse(bad).is_err(), "{bad}");
        }
    }
}
