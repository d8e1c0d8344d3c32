//! Who may call an endpoint, as types that a handler names: no test of the path
//! decides whether a token is needed (GEN-20).

use actix_web::HttpRequest;

use super::token::{Wanted, account};
use crate::actor::accounts::Account;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::error::Error;

/// Version 1 of the API: anyone, with the arguments in any form (GEN-29).
#[derive(Debug)]
pub struct V1;

/// Version 2 of the API: a user who has accepted the terms.
#[derive(Debug)]
pub struct V2;

/// The same for lookups, which also go on while only a standby of the database answers.
#[derive(Debug)]
pub struct V2Lookup;

/// Version 2 of the API: a user, also one who has not accepted the terms yet
/// (AUTH-11).
#[derive(Debug)]
pub struct V2BeforeTerms;

/// Anyone; the arguments in one form.
#[derive(Debug)]
pub struct Anyone;

/// Who may call an endpoint.
pub trait Access: 'static {
    /// Whether a caller needs an access token.
    const NEEDS_TOKEN: bool;
    /// Whether its user must have accepted the terms.
    const NEEDS_TERMS: bool;
    /// Whether the arguments may be JSON, a form or the query string.
    const ANY_FORM: bool;
    /// Whether the account may be that of a standby.
    const FROM_STANDBY: bool = false;
}

impl Access for V1 {
    const NEEDS_TOKEN: bool = false;
    const NEEDS_TERMS: bool = false;
    const ANY_FORM: bool = true;
}

impl Access for V2 {
    const NEEDS_TOKEN: bool = true;
    const NEEDS_TERMS: bool = true;
    const ANY_FORM: bool = false;
}

impl Access for V2Lookup {
    const NEEDS_TOKEN: bool = true;
    const NEEDS_TERMS: bool = true;
    const ANY_FORM: bool = false;
    const FROM_STANDBY: bool = true;
}

impl Access for V2BeforeTerms {
    const NEEDS_TOKEN: bool = true;
    const NEEDS_TERMS: bool = false;
    const ANY_FORM: bool = false;
}

impl Access for Anyone {
    const NEEDS_TOKEN: bool = false;
    const NEEDS_TERMS: bool = false;
    const ANY_FORM: bool = false;
}

/// Who calls an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Unknown, since the endpoint needs no token.
    Anonymous,
    /// The user of the access token.
    Account(Mxid),
}

impl Caller {
    /// Authenticates a request.
    ///
    /// # Errors
    /// `401 M_UNAUTHORIZED` without a valid token, `403 M_TERMS_NOT_SIGNED` while
    /// there are terms to accept.
    pub async fn authenticate<A: Access>(app: &App, request: &HttpRequest) -> Result<Self, Error> {
        if !A::NEEDS_TOKEN {
            return Ok(Self::Anonymous);
        }
        let terms = app.terms.current();
        let needs_terms = A::NEEDS_TERMS && !terms.is_empty();
        let accepts = |account: &Account| !needs_terms || terms.are_accepted(&account.accepted);
        let wanted = Wanted {
            with_terms: needs_terms,
            from_standby: A::FROM_STANDBY,
        };
        let account = account(app, request, wanted, accepts).await?;
        if !accepts(&account) {
            return Err(Error::terms_not_signed());
        }
        Ok(Self::Account(account.user))
    }

    /// Checks that a caller with an account acts for itself.
    ///
    /// # Errors
    /// `403 M_UNAUTHORIZED` for another user (BND-07, INV-06).
    pub fn may_act_for(&self, user: &Mxid) -> Result<(), Error> {
        match self {
            Self::Account(own) if own != user => Err(Error::wrong_user()),
            Self::Account(_) | Self::Anonymous => Ok(()),
        }
    }

    /// The user, if the caller has an account.
    #[must_use]
    pub fn user(&self) -> Option<&Mxid> {
        match self {
            Self::Account(user) => Some(user),
            Self::Anonymous => None,
        }
    }

    /// The user, if the caller has an account.
    #[must_use]
    pub fn into_user(self) -> Option<Mxid> {
        match self {
            Self::Account(user) => Some(user),
            Self::Anonymous => None,
        }
    }
}
