//! The errors that a client can receive, and the only status codes and errcodes.
//!
//! A named constructor makes each refusal. Its text is for the person who reads
//! it and never contains a secret, an address or the text of another program.
//! A [`Fault`] becomes 500 or 503 here, and one log line.

mod accounts;
mod body;
mod flow;
mod invites;
mod kind;
mod lookup;
mod phones;
mod replication;
mod unbind;

use std::borrow::Cow;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};

use crate::actor::pool::Fault;
use crate::delivery::templates::TemplateError;
use crate::domain::counter::Refusal;
use crate::domain::session::Denied;
use crate::random::RandomError;

pub use self::body::ErrorBody;
pub use self::kind::{Kind, UNRECOGNIZED};

/// An error response.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    body: Box<ErrorBody>,
    retry_after_s: Option<u64>,
    allow: Option<String>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            body: Box::new(ErrorBody::new(kind, message)),
            retry_after_s: None,
            allow: None,
        }
    }

    /// The response to required fields that are missing; names all of them
    /// (GEN-08).
    #[must_use]
    pub fn missing_params(names: &[&str]) -> Self {
        let message = format!("Missing parameters: {}", names.join(", "));
        Self::new(Kind::MISSING_PARAMS, message)
    }

    /// The response to a field of a wrong type or format. `reason` completes a
    /// sentence that begins with the field and never contains its value.
    #[must_use]
    pub fn invalid_param(name: &str, reason: impl fmt::Display) -> Self {
        Self::new(Kind::INVALID_PARAM, format!("{name}: {reason}"))
    }

    /// The response to a body that is not a JSON object.
    #[must_use]
    pub fn bad_json(message: &'static str) -> Self {
        Self::new(Kind::BAD_JSON, message)
    }

    /// The response to an invalid email address (EML-03).
    #[must_use]
    pub fn invalid_email() -> Self {
        Self::new(Kind::INVALID_EMAIL, "The email address is not valid")
    }

    /// The response when an email could not be sent (EML-08).
    #[must_use]
    pub fn email_send_error(message: &'static str) -> Self {
        Self::new(Kind::EMAIL_SEND_ERROR, message)
    }

    /// The response of submitToken to a wrong token (EML-15); iOS reads
    /// `success`.
    #[must_use]
    pub fn token_incorrect() -> Self {
        Self::new(Kind::TOKEN_INCORRECT, "The validation token is incorrect").unsuccessful()
    }

    /// The response of submitToken for a session that takes no token (EML-16,
    /// EML-17).
    #[must_use]
    pub fn submit_denied(denied: Denied) -> Self {
        match denied {
            Denied::Expired => Self::session(denied).unsuccessful(),
            Denied::NoSession | Denied::NotValidated => {
                Self::new(Kind::WRONG_SESSION, NO_SESSION).unsuccessful()
            }
        }
    }

    /// The response of getValidated3pid and bind for a session that proves
    /// nothing (VAL-04, BND-06).
    #[must_use]
    pub fn session(denied: Denied) -> Self {
        match denied {
            Denied::NoSession => Self::new(Kind::NO_VALID_SESSION, NO_SESSION),
            Denied::Expired => Self::new(Kind::SESSION_EXPIRED, SESSION_EXPIRED),
            Denied::NotValidated => Self::new(Kind::SESSION_NOT_VALIDATED, SESSION_NOT_VALIDATED),
        }
    }

    /// The response to an unknown key ID (PUB-02).
    #[must_use]
    pub fn key_not_found() -> Self {
        Self::new(Kind::KEY_NOT_FOUND, "This server has no key with this ID")
    }

    /// The response to a path without an endpoint (GEN-10).
    #[must_use]
    pub fn unknown_path() -> Self {
        Self::new(Kind::UNKNOWN_PATH, "There is no endpoint at this path")
    }

    /// The response to a method that an endpoint does not support; `allow` is
    /// the `Allow` header (GEN-11).
    #[must_use]
    pub fn wrong_method(allow: String) -> Self {
        let message = "This endpoint does not support this method";
        Self {
            allow: Some(allow),
            ..Self::new(Kind::WRONG_METHOD, message)
        }
    }

    /// The response of v1 endpoints that the configuration disables (GEN-31).
    #[must_use]
    pub fn v1_disabled() -> Self {
        Self::new(
            Kind::V1_DISABLED,
            "Version 1 of this API is deprecated and disabled on this server; use version 2",
        )
    }

    /// The response of v1 to clients that may not use it (GEN-33).
    #[must_use]
    pub fn v1_limited() -> Self {
        Self::new(
            Kind::V1_LIMITED,
            "Version 1 of this API is limited to other clients of this server; use version 2",
        )
    }

    /// The response of a link that a program opens before a person does (EML-27).
    #[must_use]
    pub fn link_prefetched() -> Self {
        Self::new(
            Kind::LINK_PREFETCHED,
            "Open the link to confirm the address",
        )
    }

    /// The response of the internal listener to web pages of other sites.
    #[must_use]
    pub fn foreign_origin() -> Self {
        Self::new(
            Kind::FOREIGN_ORIGIN,
            "Web pages of other sites cannot use this listener; connect to its IP address or to \
             localhost",
        )
    }

    /// The response to a body of more than `limit` bytes (GEN-21).
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("The request body must not exceed {limit} bytes");
        Self::new(Kind::BODY_TOO_LARGE, message)
    }

    /// The response to a lookup of more than `limit` addresses (LKP-12, V1L-06).
    #[must_use]
    pub fn too_many_addresses(limit: usize) -> Self {
        let message = format!("A lookup must not have more than {limit} addresses");
        Self::new(Kind::TOO_MANY_ADDRESSES, message)
    }

    /// The response to a client, account or homeserver that exceeds a rate
    /// limit (OPS-01). The log says which, the response does not.
    #[must_use]
    pub fn limit_exceeded(refusal: Refusal) -> Self {
        let Refusal {
            limit,
            wait_ms: retry_after_ms,
        } = refusal;
        log::info!(limit, retry_after_ms; "request refused by a limit");
        let mut error = Self::new(Kind::LIMIT_EXCEEDED, "Too many requests; try again later");
        error.body.retry_after_ms = Some(retry_after_ms);
        let seconds = u64::try_from(retry_after_ms).unwrap_or(0).div_ceil(1000);
        error.retry_after_s = Some(seconds.max(1));
        error
    }

    /// The response when a body does not arrive in time.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::new(
            Kind::REQUEST_TIMEOUT,
            "The request body did not arrive in time",
        )
    }

    /// The response to an unknown captured message.
    #[must_use]
    pub fn mail_not_found() -> Self {
        Self::new(
            Kind::MAIL_NOT_FOUND,
            "There is no captured message with this name",
        )
    }

    /// The response to an internal error, without its cause (GEN-25).
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Kind::INTERNAL, "Internal Server Error")
    }

    fn unavailable(message: &'static str) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(Kind::UNAVAILABLE, message)
        }
    }

    fn unsuccessful(mut self) -> Self {
        self.body.success = Some(false);
        self
    }

    /// The sentence for the person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.body.error
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status
    }
}

const NO_SESSION: &str = "There is no validation session with this sid and client_secret";
const SESSION_EXPIRED: &str = "The validation session has expired; request a new token";
const SESSION_NOT_VALIDATED: &str = "This address has not been validated yet; open the link or \
    enter the code that was sent";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.errcode, self.body.error)
    }
}

impl std::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::QueueFull(actor) => {
                // Not louder, so that an overload does not flood the log; a
                // metric counts these.
                log::debug!("request rejected: {actor}: queue is full");
                Self::unavailable("The server is overloaded; try again later")
            }
            Fault::TimedOut(_) => {
                log::error!("request failed: {fault}");
                Self::unavailable("The request timed out; try again later")
            }
            Fault::Stopped(_) => Self::unavailable("The server is shutting down; try again later"),
            Fault::Database(error) if error.may_be_connection_failure() => {
                log::error!("request failed: {error}");
                Self::unavailable("The database is unavailable; try again later")
            }
            Fault::Database(_) | Fault::Panicked(_) | Fault::Internal(_) => {
                log::error!("request failed: {fault}");
                Self::internal()
            }
        }
    }
}

impl From<RandomError> for Error {
    fn from(error: RandomError) -> Self {
        log::error!("request failed: {error}");
        Self::internal()
    }
}

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        log::error!("cannot render a page: {error}");
        Self::internal()
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.kind.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.kind.status);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(methods) = &self.allow {
            response.insert_header((header::ALLOW, methods.as_str()));
        }
        response.json(&self.body)
    }
}

#[cfg(test)]
mod tests;
