//! Failures of sending a message.

use std::time::Duration;

/// Why a message was not sent.
///
/// The reasons are for logs. They never contain an address or a token: text of the
/// relay or provider, which may quote both, is masked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The message was rejected, and sending it again would not help.
    #[error("{reason}")]
    Permanent {
        /// What failed and why, without a full stop.
        reason: String,
        /// The SMTP reply code or the HTTP status, if there was one.
        code: Option<u16>,
        /// The enhanced status code (RFC 3463), such as `5.1.1`.
        enhanced: Option<String>,
        /// Whether the address of the recipient was rejected, which the user can
        /// correct.
        address: bool,
    },
    /// The whole message was sent, but no reply says whether it was accepted.
    /// Sent again, it may arrive twice; not sent again, it may never arrive.
    #[error("{reason}")]
    Uncertain {
        /// What failed and why, without a full stop.
        reason: String,
    },
    /// The provider did not accept the message now, and says when it may.
    #[error("{reason}")]
    Throttled {
        /// What failed and why, without a full stop.
        reason: String,
        /// The shortest pause before the next try.
        pause: Duration,
    },
    /// The message was not tried: what would take it does not work, and is left alone.
    #[error("not tried, since it does not work at the moment")]
    Paused {
        /// Until when it is left alone.
        pause: Duration,
    },
    /// The relay refused because of this server's configuration: it wants a login or
    /// encryption. Sending the message again helps only once the administrator has
    /// corrected that, and the recipient's address is not to blame.
    #[error("{reason}")]
    Misconfigured {
        /// What failed and why, without a full stop.
        reason: String,
    },
    /// Anything else: the relay is overloaded, unreachable or misconfigured, or
    /// its reply is not understood. Mistakes in this server's configuration are
    /// transient too, so that they lose no messages.
    #[error("{reason}")]
    Transient {
        /// What failed and why, without a full stop.
        reason: String,
    },
}

impl SendFailure {
    /// Creates a failure after which a later attempt may succeed.
    pub(crate) fn transient(reason: impl Into<String>) -> Self {
        Self::Transient {
            reason: reason.into(),
        }
    }

    /// The message cannot be built, so a retry would not help.
    pub(crate) fn unwritable() -> Self {
        Self::Permanent {
            reason: "cannot write the message".to_owned(),
            code: None,
            enhanced: None,
            address: false,
        }
    }

    /// Creates a failure after which the message may have been accepted.
    pub(crate) fn uncertain(reason: impl Into<String>) -> Self {
        Self::Uncertain {
            reason: reason.into(),
        }
    }

    /// Adds what a program or relay said; addresses must be masked.
    pub(crate) fn with_words(mut self, words: &str) -> Self {
        let (Self::Permanent { reason, .. }
        | Self::Uncertain { reason }
        | Self::Throttled { reason, .. }
        | Self::Misconfigured { reason }
        | Self::Transient { reason }) = &mut self
        else {
            return self;
        };
        if !words.is_empty() {
            *reason = format!("{reason}: \"{words}\"");
        }
        self
    }

    /// Converts a failure of a message that an earlier try may have delivered: a
    /// refusal becomes uncertain, since it does not say what became of that try.
    pub(crate) fn after_uncertain(self) -> Self {
        match self {
            Self::Permanent { reason, .. } => Self::Uncertain {
                reason: format!("{reason}, but an earlier try may have been accepted"),
            },
            other => other,
        }
    }

    /// Converts a failure that happened after the whole message was sent: a
    /// transient one becomes uncertain.
    pub(crate) fn after_whole_message(self) -> Self {
        match self {
            Self::Transient { reason } => Self::Uncertain { reason },
            other => other,
        }
    }
}
