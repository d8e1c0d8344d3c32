//! A call of an endpoint: who calls it, from where, and with which arguments.
//!
//! The token is checked first, then the terms, and only then the body is read,
//! so that a bad token is a 401 whatever the body holds (GEN-28).

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;

use super::access::{Access, Caller};
use super::args::{self, Arguments};
use super::body;
use super::client_ip::ClientIp;
use super::fields::{Fields, Request};
use super::logged_person::LoggedPerson;
use super::query;
use super::token::app_of;
use crate::domain::lookup;
use crate::error::Error;
use crate::permits::Room;

/// A call with the access `A` and the arguments of the request `T`, which are
/// where `S` says.
pub struct Call<A, S, T> {
    /// Who makes the call.
    pub caller: Caller,
    /// The IP address of the client.
    pub client: Option<IpAddr>,
    /// Who it is about, for the log.
    pub person: LoggedPerson,
    fields: Fields,
    query_brand: Option<String>,
    /// The request takes room until it is answered.
    _room: Arc<Room>,
    types: PhantomData<(A, S, T)>,
}

impl<A, S, T: Request> Call<A, S, T> {
    /// Reads the request. A second call finds no fields any more.
    ///
    /// # Errors
    /// See [`Fields::parse`].
    pub fn request(&mut self) -> Result<T, Error> {
        mem::take(&mut self.fields).parse()
    }

    /// The arguments as they came, to be read with [`Fields::parse`]. A second call finds no
    /// fields any more.
    pub(super) fn take_fields(&mut self) -> Fields {
        mem::take(&mut self.fields)
    }

    /// The brand that a request names: in its fields or, as for Sydent, in the query
    /// string of a request whose other arguments are in the body (EML-12).
    #[must_use]
    pub fn brand(&self, field: Option<&str>) -> Option<String> {
        let field = field.filter(|brand| !brand.is_empty()).map(str::to_owned);
        field.or_else(|| self.query_brand.clone())
    }

    /// A field that is a string, whatever the others are.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.text(name)
    }
}

impl<A, S, T> fmt::Debug for Call<A, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

impl<A: Access, S: Arguments, T: Request + 'static> FromRequest for Call<A, S, T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let app = app_of(&request)?;
            let small = app.config.http.max_body_bytes;
            let caller = match Caller::authenticate::<A>(&app, &request).await {
                Ok(caller) => caller,
                Err(refusal) => {
                    body::discard(&request, payload, small).await;
                    return Err(refusal);
                }
            };
            let client = ClientIp::from_request(&request, &app).0;
            let sender = body::sender(&app, client, caller.user().is_some());
            let limit = small.max(T::max_body_bytes(&app.config));
            let body = body::read(&app, &request, payload, limit, Some(sender)).await?;
            if body.bytes.len() > small {
                let max_values = lookup::max_values(app.config.lookup.max_addresses);
                args::expect_values(&body.bytes, max_values)?;
            }
            let room = Arc::new(body.room);
            let fields = if T::IS_LONG && S::are_json::<A>(&request, &body.bytes) {
                Fields::json(body.bytes, Arc::clone(&room))
            } else {
                S::read::<A>(&request, &body.bytes)?.into()
            };
            let person = LoggedPerson::note(&app, &request, caller.user(), fields.object());
            Ok(Self {
                caller,
                person,
                client,
                fields,
                _room: room,
                query_brand: query::first(request.query_string(), "brand"),
                types: PhantomData,
            })
        })
    }
}
