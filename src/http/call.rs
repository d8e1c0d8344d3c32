//! A call of a route that v1 and v2 share: who asks, and with which arguments.
//!
//! On v2 the token comes first, then the terms, and only then the body is read,
//! so that a bad token is a 401 whatever the body says (GEN-28). v1 asks for
//! neither.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::args::{self, Fields};
use super::client_ip::ClientIp;
use super::token::{account, app_of};
use super::{body, query};
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::error::Error;

/// The deprecated version of the API: anybody may ask.
#[derive(Debug)]
pub struct V1;

/// The version that asks for an account and its terms.
#[derive(Debug)]
pub struct V2;

/// The same for what a user does before the terms are accepted (AUTH-11).
#[derive(Debug)]
pub struct V2BeforeTerms;

/// A version of the API. It belongs to the handler: no test of the path decides
/// whether a token is needed (GEN-20).
pub trait Version: 'static {
    /// Whether only users with a token may ask.
    const NEEDS_ACCOUNT: bool;
    /// Whether they must have accepted the terms.
    const NEEDS_TERMS: bool;
}

impl Version for V1 {
    const NEEDS_ACCOUNT: bool = false;
    const NEEDS_TERMS: bool = false;
}

impl Version for V2 {
    const NEEDS_ACCOUNT: bool = true;
    const NEEDS_TERMS: bool = true;
}

impl Version for V2BeforeTerms {
    const NEEDS_ACCOUNT: bool = true;
    const NEEDS_TERMS: bool = false;
}

/// Arguments in the query string.
#[derive(Debug)]
pub struct Query;

/// Arguments in the body: on v2 a JSON object whatever its Content-Type says
/// (GEN-04), on v1 JSON, a form or the query string (GEN-29).
#[derive(Debug)]
pub struct Body;

/// As [`Body`], and on v2 a form too, deprecated as it is (GEN-30).
#[derive(Debug)]
pub struct FormBody;

/// As [`Body`], and on v2 the query string too, with an empty body (SGN-06).
#[derive(Debug)]
pub struct Anywhere;

/// Where a call has its arguments.
pub trait Place: 'static {
    /// Reads them.
    ///
    /// # Errors
    /// 400 when they cannot be read.
    fn read<V: Version>(request: &HttpRequest, body: &Bytes) -> Result<Fields, Error>;
}

impl Place for Query {
    fn read<V: Version>(request: &HttpRequest, _body: &Bytes) -> Result<Fields, Error> {
        query::read(request.query_string()).map(Fields::from)
    }
}

impl Place for Body {
    fn read<V: Version>(request: &HttpRequest, body: &Bytes) -> Result<Fields, Error> {
        if V::NEEDS_ACCOUNT {
            args::json_object(body).map(Fields::from)
        } else {
            args::query_and_body(request, body).map(Fields::from)
        }
    }
}

impl Place for FormBody {
    fn read<V: Version>(request: &HttpRequest, body: &Bytes) -> Result<Fields, Error> {
        let says_form = body::content_type(request) == "application/x-www-form-urlencoded";
        // Some send JSON under that type as well.
        if V::NEEDS_ACCOUNT && says_form && !body.trim_ascii_start().starts_with(b"{") {
            return args::form(body).map(Fields::from);
        }
        Body::read::<V>(request, body)
    }
}

impl Place for Anywhere {
    fn read<V: Version>(request: &HttpRequest, body: &Bytes) -> Result<Fields, Error> {
        if V::NEEDS_ACCOUNT && !args::is_null(body) {
            let mut fields = query::read(request.query_string())?;
            fields.extend(args::json_object(body)?);
            return Ok(Fields::from(fields));
        }
        args::query_and_body(request, body).map(Fields::from)
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody said (v1).
    Anonymous,
    /// A user with a good token (v2).
    Account(Mxid),
}

impl Caller {
    /// Demands that a caller with an account acts for nobody but itself.
    ///
    /// # Errors
    /// 403 `M_UNAUTHORIZED` (BND-07, INV-06).
    pub fn may_act_for(&self, user: &Mxid) -> Result<(), Error> {
        match self {
            Self::Account(own) if own != user => Err(Error::wrong_user()),
            Self::Account(_) | Self::Anonymous => Ok(()),
        }
    }

    /// The user, if there is an account.
    #[must_use]
    pub fn user(&self) -> Option<&Mxid> {
        match self {
            Self::Account(user) => Some(user),
            Self::Anonymous => None,
        }
    }
}

/// A call of a route.
pub struct Call<V, P> {
    /// Who asks.
    pub caller: Caller,
    /// From which address.
    pub client: Option<IpAddr>,
    fields: Fields,
    version_and_place: PhantomData<(V, P)>,
}

impl<V, P> Deref for Call<V, P> {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl<V, P> fmt::Debug for Call<V, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

impl<V: Version, P: Place> FromRequest for Call<V, P> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let app = app_of(&request)?;
            let caller = caller::<V>(&app, &request).await;
            // Read even if it does not matter any more, so that a client that sends
            // first and reads later gets its answer instead of a reset.
            let body = body::read(web::Data::clone(&app), payload).await;
            let (caller, body) = (caller?, body?);
            Ok(Self {
                caller,
                client: ClientIp::of(&request, &app.config.http.trusted_proxies).0,
                fields: P::read::<V>(&request, &body)?,
                version_and_place: PhantomData,
            })
        })
    }
}

/// Who asks, on that version.
///
/// # Errors
/// 401 without a good token, 403 while there are terms to accept.
pub(super) async fn caller<V: Version>(app: &App, request: &HttpRequest) -> Result<Caller, Error> {
    if !V::NEEDS_ACCOUNT {
        return Ok(Caller::Anonymous);
    }
    let terms = app.terms.current();
    let needs_terms = V::NEEDS_TERMS && !terms.is_empty();
    let account = account(app, request, needs_terms).await?;
    if needs_terms && !terms.are_accepted(&account.accepted) {
        return Err(Error::terms_not_signed());
    }
    Ok(Caller::Account(account.user))
}
