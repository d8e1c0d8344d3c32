//! What goes wrong towards a client, and the only status codes and errcodes.
//!
//! A refusal is made by a named constructor; its text is for the person who
//! reads it and never holds a secret, an address or what another part said.
//! What the machinery reports becomes one of three answers here, and one log
//! line where it is turned into HTTP.

mod accounts;
mod flow;
mod invites;
mod lookup;
mod phones;
mod replication;
mod unbind;

use std::borrow::Cow;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value};

use crate::actor::pool::Fault;
use crate::delivery::templates::TemplateError;
use crate::domain::session::Denied;
use crate::random::RandomError;

/// The errcode of a server that does not know the path or the method (GEN-10).
pub const UNRECOGNIZED: &str = "M_UNRECOGNIZED";

/// An answer that is not what was asked for.
#[derive(Debug)]
pub struct Error {
    status: StatusCode,
    errcode: &'static str,
    message: Cow<'static, str>,
    extra: Map<String, Value>,
    retry_after_s: Option<u64>,
    allow: Option<String>,
}

impl Error {
    fn new(
        status: StatusCode,
        errcode: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (message, extra) = (message.into(), Map::new());
        Self {
            status,
            errcode,
            message,
            extra,
            retry_after_s: None,
            allow: None,
        }
    }

    /// 400 `M_MISSING_PARAMS`, naming what is missing (GEN-08).
    #[must_use]
    pub fn missing_params(names: &[&str]) -> Self {
        let message = format!("Missing parameters: {}", names.join(", "));
        Self::new(StatusCode::BAD_REQUEST, "M_MISSING_PARAMS", message)
    }

    /// 400 `M_INVALID_PARAM`: the field `name` is not what it must be.
    #[must_use]
    pub fn invalid_param(name: &str, why: impl fmt::Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "M_INVALID_PARAM",
            format!("{name}: {why}"),
        )
    }

    /// 400 `M_BAD_JSON`.
    #[must_use]
    pub fn bad_json(why: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_BAD_JSON", why)
    }

    /// 400 `M_INVALID_EMAIL` (EML-03).
    #[must_use]
    pub fn invalid_email() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "M_INVALID_EMAIL",
            "This is not a valid e-mail address",
        )
    }

    /// 400 `M_EMAIL_SEND_ERROR` (EML-08).
    #[must_use]
    pub fn email_send_error(why: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_EMAIL_SEND_ERROR", why)
    }

    /// 400 `M_TOKEN_INCORRECT` (EML-15); iOS reads `success`.
    #[must_use]
    pub fn token_incorrect() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "M_TOKEN_INCORRECT",
            "This is not the code that was sent",
        )
        .unsuccessful()
    }

    /// The answer of submitToken to a session that takes no token (EML-16,
    /// EML-17).
    #[must_use]
    pub fn submit_denied(denied: Denied) -> Self {
        match denied {
            Denied::Expired => Self::session(denied).unsuccessful(),
            Denied::NoSession | Denied::NotValidated => {
                let message = "There is no validation session with this sid and client_secret";
                Self::new(StatusCode::BAD_REQUEST, "M_INVALID_PARAM", message).unsuccessful()
            }
        }
    }

    /// The answer of getValidated3pid and bind to a session that proves
    /// nothing (VAL-04, BND-06).
    #[must_use]
    pub fn session(denied: Denied) -> Self {
        match denied {
            Denied::NoSession => Self::new(
                StatusCode::NOT_FOUND,
                "M_NO_VALID_SESSION",
                "There is no validation session with this sid and client_secret",
            ),
            Denied::Expired => Self::new(
                StatusCode::BAD_REQUEST,
                "M_SESSION_EXPIRED",
                "This validation session has ended; ask for a new code",
            ),
            Denied::NotValidated => Self::new(
                StatusCode::BAD_REQUEST,
                "M_SESSION_NOT_VALIDATED",
                "This address has not been validated yet; open the link or enter the code that was sent",
            ),
        }
    }

    /// 404 `M_NOT_FOUND`: no such key (PUB-02).
    #[must_use]
    pub fn key_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "M_NOT_FOUND",
            "This server has no key with that id",
        )
    }

    /// 404 `M_UNRECOGNIZED`: no such path (GEN-10).
    #[must_use]
    pub fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            UNRECOGNIZED,
            "There is nothing at this path",
        )
    }

    /// 405 `M_UNRECOGNIZED`: the path has other methods (GEN-11).
    #[must_use]
    pub fn wrong_method(allow: String) -> Self {
        let message = "This path does not take this method";
        Self {
            allow: Some(allow),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, UNRECOGNIZED, message)
        }
    }

    /// 403 `M_FORBIDDEN`: v1 is switched off (GEN-31).
    #[must_use]
    pub fn v1_switched_off() -> Self {
        let message =
            "The deprecated version 1 of this API is switched off on this server; use version 2";
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", message)
    }

    /// 403 `M_FORBIDDEN`: a web page of another site asks a listener that is not
    /// for it.
    #[must_use]
    pub fn other_site() -> Self {
        let message = "Web pages of other sites cannot use this listener; reach it by an IP \
            address or as localhost";
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", message)
    }

    /// 413 `M_TOO_LARGE`: the body (GEN-21).
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!("The request body must not exceed {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", message)
    }

    /// 400 `M_TOO_LARGE`: too many addresses in one look-up (LKP-12, V1L-06).
    #[must_use]
    pub fn too_many_addresses(limit: usize) -> Self {
        let message = format!("One look-up must not name more than {limit} addresses");
        Self::new(StatusCode::BAD_REQUEST, "M_TOO_LARGE", message)
    }

    /// 429 `M_LIMIT_EXCEEDED`, with the time after which it is worth trying
    /// again (OPS-01).
    #[must_use]
    pub fn limit_exceeded(retry_after_ms: i64) -> Self {
        let message = "That was too much in a short time; try again later";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", message);
        error
            .extra
            .insert("retry_after_ms".to_owned(), retry_after_ms.into());
        let seconds = u64::try_from(retry_after_ms).unwrap_or(0).div_ceil(1000);
        error.retry_after_s = Some(seconds.max(1));
        error
    }

    /// 408: the request did not arrive in time.
    #[must_use]
    pub fn too_slow() -> Self {
        let message = "The request took too long to arrive";
        Self::new(StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN", message)
    }

    /// 404 for a captured mail that is not there.
    #[must_use]
    pub fn mail_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "M_NOT_FOUND",
            "There is no captured mail with that name",
        )
    }

    /// 500 `M_UNKNOWN`, which tells nothing (GEN-25).
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "M_UNKNOWN",
            "Internal Server Error",
        )
    }

    fn unavailable(message: &'static str) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", message)
        }
    }

    fn unsuccessful(mut self) -> Self {
        self.extra.insert("success".to_owned(), Value::Bool(false));
        self
    }

    /// The sentence for the person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.errcode, self.message)
    }
}

impl std::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::QueueFull(owner) => {
                // Not louder: whoever fills a door must not fill the log as
                // well. The metrics count it.
                log::debug!("a request was turned away: {owner} has too much to do");
                Self::unavailable("The server has too much to do at the moment; try again soon")
            }
            Fault::TimedOut(_) => {
                log::error!("a request failed: {fault}");
                Self::unavailable("The server did not get to it in time; try again soon")
            }
            Fault::Stopped(_) => Self::unavailable("The server is stopping; try again soon"),
            Fault::Database(error) if error.may_be_connection_failure() => {
                log::error!("a request failed: {error}");
                Self::unavailable("The server cannot reach its database; try again soon")
            }
            Fault::Database(_) | Fault::Panicked(_) | Fault::Internal(_) => {
                log::error!("a request failed: {fault}");
                Self::internal()
            }
        }
    }
}

impl From<RandomError> for Error {
    fn from(error: RandomError) -> Self {
        log::error!("a request failed: {error}");
        Self::internal()
    }
}

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        log::error!("a page cannot be made: {error}");
        Self::internal()
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut body = self.extra.clone();
        body.insert("errcode".to_owned(), Value::from(self.errcode));
        body.insert("error".to_owned(), Value::from(self.message.as_ref()));
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(methods) = &self.allow {
            response.insert_header((header::ALLOW, methods.as_str()));
        }
        response.json(body)
    }
}

#[cfg(test)]
mod tests;
