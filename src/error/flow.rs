//! The answers to requests whose flow failed.

use super::Error;
use crate::domain::threepid::Medium;
use crate::flow::{FlowError, HomeserverProblem, NotSent};

impl From<FlowError> for Error {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Fault(fault) => fault.into(),
            FlowError::Random(error) => error.into(),
            FlowError::Internal(what) => {
                log::error!("request failed: {what}");
                Self::internal()
            }
            FlowError::Limited(refusal) => Self::limit_exceeded(refusal),
            FlowError::Session(denied) => Self::session(denied),
            FlowError::NoTransport(Medium::Email) => {
                Self::email_send_error("This server cannot send email")
            }
            FlowError::NoTransport(Medium::Msisdn) => {
                Self::send_error("This server cannot send SMS")
            }
            FlowError::DestinationRejected => Self::destination_rejected(),
            FlowError::NotSent(Medium::Email, reason) => Self::email_send_error(match reason {
                NotSent::GaveUp => "The email could not be sent; try again in a few minutes",
                NotSent::AddressRefused => "The mail server does not accept email to this address",
                NotSent::Failed => "The email could not be sent",
            }),
            FlowError::NotSent(Medium::Msisdn, reason) => Self::send_error(match reason {
                NotSent::GaveUp => "The SMS could not be sent; try again in a few minutes",
                NotSent::AddressRefused => "The SMS provider does not accept this phone number",
                NotSent::Failed => "The SMS could not be sent",
            }),
            FlowError::InviteNotSent(reason) => Self::email_send_error(match reason {
                NotSent::GaveUp => "The invitation could not be sent; try again in a few minutes",
                NotSent::AddressRefused => "The mail server does not accept email to this address",
                NotSent::Failed => "The invitation could not be sent",
            }),
            FlowError::ThreepidInUse(mxid) => Self::threepid_in_use(mxid),
            FlowError::UnknownOpenIdToken => Self::openid_token_refused(),
            FlowError::ForeignUser => Self::user_of_another_homeserver(),
            FlowError::AccountBlocked => Self::account_blocked(),
            FlowError::Homeserver(problem) => match problem {
                HomeserverProblem::NotAllowed => Self::homeserver_not_allowed(),
                HomeserverProblem::Unreachable => Self::homeserver_unreachable(),
                HomeserverProblem::BadUserInfo => Self::homeserver_answered_badly(),
                HomeserverProblem::BadKeys => Self::homeserver_keys_unusable(),
            },
            FlowError::SignedForAnotherServer => Self::signed_for_another(),
            FlowError::UnbindRefused => Self::unbind_refused(),
            FlowError::UnbindSession(denied) => Self::unbind_session(denied),
            FlowError::ChangesRejected(ids) => Self::verification_failed(ids),
        }
    }
}
