//! Removing the binding of an address, the same on v1 and v2.
//!
//! - [`POST /_matrix/identity/v2/3pid/unbind`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv23pidunbind)
//!
//! A homeserver's signature or a validation session authorizes the request; an
//! access token may be missing.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::http::uri::PathAndQuery;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::threepid::SessionRequest;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::request_auth::{SignedRequest, signed_uris};
use crate::domain::secret::{ClientSecret, Sid};
use crate::domain::threepid::ThreePid;
use crate::domain::x_matrix::XMatrix;
use crate::error::{Error, Kind};
use crate::flow::unbind::{self, Binding};
use crate::http::access::{Caller, V2};
use crate::http::args::json_object;
use crate::http::body;
use crate::http::client_ip::ClientIp;
use crate::http::describe::{DescribeRequest, Description};
use crate::http::empty::Empty;
use crate::http::fields::{Fields, Request};
use crate::http::merge_slashes::sent_path;
use crate::http::resource::Endpoint;
use crate::http::token::{AccessToken, app_of};

/// Bytes of a body. A homeserver signs all of it, unknown fields included; the
/// known ones have at most 2 KiB.
const MAX_BODY_BYTES: usize = 32 * 1024;

/// The binding to remove.
#[derive(Deserialize, ToSchema)]
pub struct UnbindRequest {
    /// The user that the address is bound to.
    mxid: Mxid,
    #[schema(inline)]
    threepid: BoundThreepid,
    /// The session that has validated the address, if no homeserver signs the
    /// request.
    #[schema(value_type = Option<Sid>)]
    sid: Option<Value>,
    #[schema(value_type = Option<ClientSecret>)]
    client_secret: Option<Value>,
}

/// An address.
#[derive(Deserialize, ToSchema)]
struct BoundThreepid {
    medium: String,
    address: String,
}

impl Request for UnbindRequest {}

impl UnbindRequest {
    /// The fields of a session, if there are any. They are read only where no
    /// homeserver signs the request.
    fn take_session(&mut self) -> Option<Fields> {
        let named = [
            ("sid", self.sid.take()),
            ("client_secret", self.client_secret.take()),
        ];
        let given = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let given: Map<String, Value> = given.collect();
        (!given.is_empty()).then(|| given.into())
    }

    /// A medium or an address that does not exist is not bound, and no error,
    /// which a homeserver would take for "cannot unbind" (IDN-06, UNB-08).
    fn into_binding(self) -> Binding {
        Binding {
            threepid: ThreePid::parse(&self.threepid.medium, &self.threepid.address).ok(),
            mxid: self.mxid,
        }
    }
}

/// A request to unbind, and how it is authenticated.
pub struct UnbindCall {
    authentication: Authentication,
    fields: Map<String, Value>,
    client: Option<IpAddr>,
    /// Path and query, in each form in which they can have been signed.
    uris: Vec<String>,
}

enum Authentication {
    /// The X-Matrix headers of a homeserver.
    Signatures(Vec<String>),
    /// A valid access token.
    AccessToken,
    /// No header. The body can name a session.
    Nothing,
}

impl FromRequest for UnbindCall {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let app = app_of(&request)?;
            let limit = MAX_BODY_BYTES.min(app.config.http.max_body_bytes);
            let authentication = match authenticate(&app, &request).await {
                Ok(authentication) => authentication,
                Err(refusal) => {
                    // A bad token is a 401 whatever the body holds (GEN-28).
                    body::discard(&request, payload, limit).await;
                    return Err(refusal);
                }
            };
            let client = ClientIp::from_request(&request, &app).0;
            let has_account = matches!(authentication, Authentication::AccessToken);
            let sender = body::sender(&app, client, has_account);
            let body = body::read(&app, &request, payload, limit, Some(sender)).await?;
            let merged = request.uri().path_and_query();
            let merged = merged.map_or("", PathAndQuery::as_str);
            let prefix = app.config.server.public_base_url.path();
            Ok(Self {
                authentication,
                fields: json_object(&body.bytes)?,
                client,
                uris: signed_uris(&sent_path(&request), merged, prefix),
            })
        })
    }
}

impl DescribeRequest for UnbindCall {
    fn describe(operation: &mut Description) {
        operation.body::<UnbindRequest>(&["application/json"], None);
        operation.homeserver_signature();
        operation.access_token();
        operation.no_authentication();
        operation.errors.extend([
            Kind::MISSING_PARAMS,
            Kind::INVALID_PARAM,
            Kind::TERMS_NOT_SIGNED,
        ]);
    }
}

async fn authenticate(app: &App, request: &HttpRequest) -> Result<Authentication, Error> {
    let signatures: Vec<String> = request
        .headers()
        .get_all(header::AUTHORIZATION)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .filter(|value| XMatrix::has_scheme(value))
        .map(Cow::into_owned)
        .collect();
    if !signatures.is_empty() {
        return Ok(Authentication::Signatures(signatures));
    }
    if AccessToken::find(request, false).is_none() {
        return Ok(Authentication::Nothing);
    }
    Caller::authenticate::<V2>(app, request).await?;
    Ok(Authentication::AccessToken)
}

pub(in crate::http) const UNBIND: Endpoint = Endpoint {
    summary: "Remove the binding of an address to a Matrix user",
    // UNB-04, UNB-05, UNB-06, UNB-07, UNB-08
    errors: &[
        Kind::UNBIND_UNAUTHENTICATED,
        Kind::UNBIND_REFUSED,
        Kind::UNBIND_NO_VALID_SESSION,
        Kind::UNBIND_SESSION_NOT_VALIDATED,
        Kind::UNBIND_SESSION_EXPIRED,
        Kind::HOMESERVER_NOT_ALLOWED,
        Kind::LIMIT_EXCEEDED,
        Kind::BAD_HOMESERVER_RESPONSE,
        Kind::HOMESERVER_UNREACHABLE,
    ],
};

/// Removes the binding of an address to a user; the response is the same when
/// there was none (UNB-09).
pub async fn unbind(app: web::Data<App>, call: UnbindCall) -> Result<web::Json<Empty>, Error> {
    let mut request: UnbindRequest = Fields::from(call.fields.clone()).parse()?;
    let session = request.take_session();
    let binding = request.into_binding();
    match (&call.authentication, session) {
        (Authentication::Signatures(headers), _) => {
            by_homeserver(&app, &call, headers, binding).await
        }
        (_, Some(session)) => by_session(&app, session.parse()?, binding).await,
        // An access token is no proof: anyone who got an OpenID token from a user can
        // have one (UNB-05).
        (Authentication::AccessToken, None) => Err(Error::unbind_refused()),
        (Authentication::Nothing, None) => Err(Error::unbind_unauthenticated()),
    }
}

async fn by_session(
    app: &web::Data<App>,
    session: SessionRequest,
    binding: Binding,
) -> Result<web::Json<Empty>, Error> {
    let session = session.at(app.clock.now().as_i64());
    let inner = app.clone().into_inner();
    app.detached
        .run(unbind::by_session(inner, binding, session))
        .await??;
    Ok(web::Json(Empty {}))
}

/// Such a request makes this server call the homeserver that it names, so it is
/// limited. The client's limit comes first: malformed headers count as well.
async fn by_homeserver(
    app: &web::Data<App>,
    call: &UnbindCall,
    headers: &[String],
    binding: Binding,
) -> Result<web::Json<Empty>, Error> {
    let limits = &app.limiters.unbinds;
    limits
        .take_for_client(call.client)
        .map_err(Error::limit_exceeded)?;
    let signatures = parse_signatures(headers)?;
    // The flow refuses signatures of several origins.
    let first = signatures.first().ok_or_else(Error::unbind_refused)?;
    limits
        .take_for_homeserver(call.client, &first.origin)
        .map_err(Error::limit_exceeded)?;
    let request = SignedRequest::new("POST", call.uris.clone(), &call.fields)
        .map_err(|_not_canonical| Error::unbind_refused())?;
    let inner = app.clone().into_inner();
    app.detached_unbinds
        .run(unbind::by_homeserver(
            inner,
            binding,
            request,
            signatures,
            call.client,
        ))
        .await??;
    Ok(web::Json(Empty {}))
}

/// Every signature of the request (UNB-17).
fn parse_signatures(headers: &[String]) -> Result<Vec<XMatrix>, Error> {
    let headers = headers.iter();
    headers
        .filter_map(|header| XMatrix::parse(header))
        .collect::<Result<_, _>>()
        .map_err(|_malformed| Error::unbind_refused())
}
