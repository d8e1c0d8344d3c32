//! `POST …/3pid/unbind`, the same in v1 and v2 (section 14 of the conformance
//! list). The access token is one proof of several here, so the body comes first.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::actor::sessions::ValidatedSession;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::request_auth::SignedRequest;
use crate::domain::secret::{ClientSecret, Sid};
use crate::domain::threepid::{Medium, ThreePid};
use crate::domain::x_matrix::XMatrix;
use crate::error::Error;
use crate::flow::unbind::{self, Binding};
use crate::http::args::{Fields, JsonArgs};
use crate::http::call::{V2, caller};
use crate::http::token::AccessToken;

/// Removes the binding of an address to a user; `{}` whether or not there was
/// one (UNB-09).
///
/// # Errors
/// See UNB-04 … UNB-08.
pub async fn unbind(
    app: web::Data<App>,
    http: HttpRequest,
    args: JsonArgs,
) -> Result<HttpResponse, Error> {
    args.require(&["mxid", "threepid"])?;
    let binding = binding(&args)?;
    let stated = signatures(&http)?;
    let inner = app.clone().into_inner();
    if !stated.is_empty() {
        let request = SignedRequest::new("POST", uri(&http), args.all())
            .map_err(|_invalid| Error::unbind_refused())?;
        let unbound = unbind::by_homeserver(inner, binding, request, stated);
        app.detached_waits.run(unbound).await??;
    } else if args.value("sid").is_some() || args.value("client_secret").is_some() {
        let session = session(&app, &args)?;
        if AccessToken::of(&http, false).is_some() {
            caller::<V2>(&app, &http).await?;
        }
        let unbound = unbind::by_session(inner, binding, session);
        app.detached.run(unbound).await??;
    } else {
        // No proof by itself: whoever a user showed an OpenID token to could have
        // got one (UNB-05).
        caller::<V2>(&app, &http).await?;
        return Err(Error::unbind_refused());
    }
    Ok(HttpResponse::Ok().json(json!({})))
}

fn binding(args: &Fields) -> Result<Binding, Error> {
    let mxid = args.parse("mxid", Mxid::parse)?;
    let Some(Value::Object(threepid)) = args.value("threepid") else {
        return Err(Error::invalid_param("threepid", "must be an object"));
    };
    let threepid = Fields::from(threepid.clone());
    threepid.require(&["medium", "address"])?;
    let medium = threepid.parse("medium", Medium::parse)?;
    let parse = |address: &str| ThreePid::parse(medium.as_str(), address);
    Ok(Binding {
        threepid: threepid.parse("address", parse)?,
        mxid,
    })
}

/// Every signature that the request states (UNB-17).
fn signatures(http: &HttpRequest) -> Result<Vec<XMatrix>, Error> {
    http.headers()
        .get_all(header::AUTHORIZATION)
        .filter_map(|value| XMatrix::parse(&String::from_utf8_lossy(value.as_bytes())))
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
