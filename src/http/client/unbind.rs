//! `POST …/3pid/unbind`, the same in v1 and v2 (section 14 of the conformance
//! list). The access token is one proof of several here, so that it may be missing.

use std::borrow::Cow;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::actor::sessions::ValidatedSession;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::request_auth::SignedRequest;
use crate::domain::secret::{ClientSecret, Sid};
use crate::domain::threepid::ThreePid;
use crate::domain::x_matrix::XMatrix;
use crate::error::Error;
use crate::flow::unbind::{self, Binding};
use crate::http::args::{self, Fields};
use crate::http::body;
use crate::http::call::{V2, caller};
use crate::http::client_ip::ClientIp;
use crate::http::token::AccessToken;

/// Bytes of a body. A homeserver signs it whole, with its unknown fields; the
/// known ones have at most 2 KiB.
const LARGEST_BODY: usize = 32 * 1024;

/// Removes the binding of an address to a user; `{}` whether or not there was
/// one (UNB-09).
///
/// # Errors
/// See UNB-04 … UNB-08; 413 for a large body, 429 for many signed requests.
pub async fn unbind(
    app: web::Data<App>,
    http: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    let is_signed = x_matrix_headers(&http).next().is_some();
    let has_token = !is_signed && AccessToken::of(&http, false).is_some();
    // A bad token is a 401 whatever the body says (GEN-28).
    let asker = if has_token {
        caller::<V2>(&app, &http).await.map(drop)
    } else {
        Ok(())
    };
    // Read even if it does not matter any more, as for every other call.
    let body = body::read_at_most(LARGEST_BODY, app.clone(), payload.into_inner()).await;
    let ((), body) = (asker?, body?);
    let args = Fields::from(args::json_object(&body)?);
    args.require(&["mxid", "threepid"])?;
    let binding = binding(&args)?;
    let inner = app.clone().into_inner();
    if is_signed {
        // Such a request makes this server call the homeserver that it names. The
        // client's limit comes first, so that malformed headers count as well.
        let client = ClientIp::of(&http, &app.config.http.trusted_proxies).0;
        let limits = &app.unbind_limits;
        limits
            .take_for_client(client)
            .map_err(Error::limit_exceeded)?;
        let stated = signatures(&http)?;
        // All are of one origin, or the flow refuses them.
        let origin = stated.first().ok_or_else(Error::unbind_refused)?;
        limits
            .take_for_homeserver(client, &origin.origin)
            .map_err(Error::limit_exceeded)?;
        let request = SignedRequest::new("POST", uri(&http), args.all())
            .map_err(|_invalid| Error::unbind_refused())?;
        let unbound = unbind::by_homeserver(inner, binding, request, stated);
        app.detached_waits.run(unbound).await??;
    } else if args.value("sid").is_some() || args.value("client_secret").is_some() {
        let session = session(&app, &args)?;
        let unbound = unbind::by_session(inner, binding, session);
        app.detached.run(unbound).await??;
    } else if has_token {
        // No proof by itself: whoever a user showed an OpenID token to could have
        // got one (UNB-05).
        return Err(Error::unbind_refused());
    } else {
        return Err(Error::unbind_unauthenticated());
    }
    Ok(HttpResponse::Ok().json(json!({})))
}

/// What has no medium or address that can be bound is nobody's (IDN-06): it is
/// `None`, and no error, which a homeserver would take for "cannot unbind".
fn binding(args: &Fields) -> Result<Binding, Error> {
    let mxid = args.parse("mxid", Mxid::parse)?;
    let Some(Value::Object(threepid)) = args.value("threepid") else {
        return Err(Error::invalid_param("threepid", "must be an object"));
    };
    let threepid = Fields::from(threepid.clone());
    threepid.require(&["medium", "address"])?;
    let (medium, address) = (threepid.text("medium")?, threepid.text("address")?);
    Ok(Binding {
        threepid: ThreePid::parse(medium, address).ok(),
        mxid,
    })
}

fn x_matrix_headers(http: &HttpRequest) -> impl Iterator<Item = Cow<'_, str>> {
    http.headers()
        .get_all(header::AUTHORIZATION)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .filter(|value| XMatrix::is_scheme_of(value))
}

/// Every signature that the request states (UNB-17).
fn signatures(http: &HttpRequest) -> Result<Vec<XMatrix>, Error> {
    x_matrix_headers(http)
        .filter_map(|value| XMatrix::parse(&value))
        .collect::<Result<_, _>>()
        .map_err(|_malformed| Error::unbind_refused())
}

/// Path and query as they came.
fn uri(http: &HttpRequest) -> String {
    let path_and_query = http.uri().path_and_query();
    path_and_query.map_or_else(String::new, ToString::to_string)
}

fn session(app: &App, args: &Fields) -> Result<ValidatedSession, Error> {
    args.require(&["sid", "client_secret"])?;
    Ok(ValidatedSession {
        sid: args.parse("sid", Sid::parse)?,
        client_secret: args.parse("client_secret", ClientSecret::parse)?,
        now: app.clock.now(),
    })
}
