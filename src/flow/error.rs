//! Why a flow failed. `error::flow` decides on the response to the client.

use crate::actor::pool::Fault;
use crate::domain::counter::Refusal;
use crate::domain::session::Denied;
use crate::domain::threepid::Medium;
use crate::random::RandomError;

/// Why a flow ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// An actor failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Something that holds by construction does not.
    #[error("{0}")]
    Internal(&'static str),
    /// A limit is reached.
    #[error("rate limit reached")]
    Limited(Refusal),
    /// The validation session proves nothing.
    #[error("the validation session is not usable: {0:?}")]
    Session(Denied),
    /// This server cannot send messages of that medium.
    #[error("no transport for {0:?}")]
    NoTransport(Medium),
    /// SMS to the country of that number are switched off.
    #[error("the destination is not served")]
    DestinationRejected,
    /// The message of a validation session was not sent.
    #[error("the message was not sent: {1:?}")]
    NotSent(Medium, NotSent),
    /// The mail of an invite was not sent.
    #[error("the invitation was not sent: {0:?}")]
    InviteNotSent(NotSent),
    /// The address is bound to this user.
    #[error("the address is bound already")]
    ThreepidInUse(String),
    /// The homeserver does not know the OpenID token.
    #[error("unknown OpenID token")]
    UnknownOpenIdToken,
    /// The OpenID token is for a user of another homeserver.
    #[error("the OpenID token is for a user of another homeserver")]
    ForeignUser,
    /// An administrator has blocked the user.
    #[error("the user is blocked")]
    AccountBlocked,
    /// A homeserver cannot be used.
    #[error("homeserver: {0:?}")]
    Homeserver(HomeserverProblem),
    /// A request to unbind was signed for another server.
    #[error("the request was signed for another server")]
    SignedForAnotherServer,
    /// A request to unbind has no sufficient proof.
    #[error("the request to unbind has no sufficient proof")]
    UnbindRefused,
    /// The validation session does not prove the right to unbind.
    #[error("the validation session does not allow to unbind: {0:?}")]
    UnbindSession(Denied),
    /// The changes with these ids were not signed by the peer or are malformed.
    #[error("changes rejected")]
    ChangesRejected(Vec<String>),
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// The recipient's address was refused for good.
    AddressRefused,
    /// It cannot be sent, for another permanent reason.
    Failed,
    /// Every try failed while the client waited.
    GaveUp,
}

/// Why a homeserver cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HomeserverProblem {
    /// The configuration or the address guard forbids it.
    NotAllowed,
    /// It does not answer.
    Unreachable,
    /// Its response to a userinfo request is malformed.
    BadUserInfo,
    /// Its keys are malformed.
    BadKeys,
}
