//! What identifies a queued message and the instance that delivers it.

use std::fmt;

/// What a queued message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// A mail with the code and link of a validation session.
    Mail,
    /// A mail that invites an address to a room.
    Invite,
    /// An SMS with the code of a validation session.
    Sms,
    /// A notification to a homeserver about a binding.
    Onbind,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Mail, Self::Invite, Self::Sms, Self::Onbind];

    /// The kind as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Invite => "invite",
            Self::Sms => "sms",
            Self::Onbind => "onbind",
        }
    }

    /// The worker that delivers this kind, in logs and metrics.
    #[must_use]
    pub fn worker(self) -> &'static str {
        match self {
            Self::Mail | Self::Invite => "mail",
            Self::Sms => "sms",
            Self::Onbind => "onbind",
        }
    }

    /// Reads a stored kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl From<MessageKind> for String {
    fn from(kind: MessageKind) -> Self {
        kind.as_str().to_owned()
    }
}

/// A stored kind that this version of the server does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of message")]
pub struct UnknownKind;

impl TryFrom<String> for MessageKind {
    type Error = UnknownKind;

    fn try_from(text: String) -> Result<Self, UnknownKind> {
        Self::parse(&text).ok_or(UnknownKind)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The id as it is stored and logged.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The id of a queued message: random and unique. It is not secret.
    MessageId
);

id!(
    /// The id of one instance of the server among those that share a database:
    /// random, new at each start.
    InstanceId
);

impl InstanceId {
    /// No instance: the message is not leased.
    #[must_use]
    pub fn none() -> Self {
        Self(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_kind_parses_back() {
        for kind in MessageKind::ALL {
            assert_eq!(MessageKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MessageKind::parse("letter"), None);
    }
}
