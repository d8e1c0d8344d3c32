//! Why a message was not handed over.

/// Why a message was not handed over.
///
/// The texts are for the log and the metrics. They never contain an address,
/// nor text that the relay or provider chose, since they may quote the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// This message will never be taken: sending it again is of no use.
    #[error("{what}")]
    Refused {
        /// What happened, as a sentence without a full stop.
        what: String,
        /// The reply code of SMTP or status of HTTP, if there was one.
        code: Option<u16>,
        /// The enhanced status code (RFC 3463), such as `5.1.1`.
        enhanced: Option<String>,
        /// Whether it is the recipient's address that is not taken, which its
        /// owner can do something about.
        address: bool,
    },
    /// The whole message went out, and nobody said whether it was taken. Sent
    /// again, it may arrive twice; not sent again, it may never arrive.
    #[error("{what}")]
    Uncertain {
        /// What happened, as a sentence without a full stop.
        what: String,
    },
    /// Anything else: the relay is busy, out of reach, set up wrongly or
    /// misunderstood. An administrator's mistake is among these, so that no
    /// message is lost by it.
    #[error("{what}")]
    Passing {
        /// What happened, as a sentence without a full stop.
        what: String,
    },
}

impl SendFailure {
    /// A failure that may be over later.
    pub(crate) fn passing(what: impl Into<String>) -> Self {
        Self::Passing { what: what.into() }
    }

    /// The message itself cannot be written; another try would not help.
    pub(crate) fn unwritable() -> Self {
        Self::Refused {
            what: "cannot write the message".to_owned(),
            code: None,
            enhanced: None,
            address: false,
        }
    }

    /// The same failure of a message that went out as a whole: unless it was
    /// a refusal for good, nobody knows whether it was taken.
    pub(crate) fn after_the_message(self) -> Self {
        match self {
            Self::Passing { what } => Self::Uncertain { what },
            told => told,
        }
    }
}
