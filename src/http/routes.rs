//! The whole API on one page, a function per listener.
//!
//! `get` routes answer `HEAD` too; the envelope answers `OPTIONS` everywhere;
//! another method is 405 and another path 404 (GEN-10, GEN-11).

use actix_web::dev::HttpServiceFactory;
use actix_web::guard::{Guard, GuardContext};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, Route, web};

use super::captured_mail::CapturedMail;
use super::client::{email, lookup, ping, pubkey, threepid, versions};
use super::envelope::survive;
use super::{captured_mail, internal, operations};
use crate::app::App;
use crate::config::MailTransport;
use crate::error::Error;

const V1: &str = "/_matrix/identity/api/v1";
const V2: &str = "/_matrix/identity/v2";
const INTERNAL: &str = "/_matrix/identity/internal";

/// What clients and homeservers call.
pub fn client(app: &App, routes: &mut web::ServiceConfig) {
    routes
        .service(path("/_matrix/identity/versions", [get(versions::list)]))
        .service(path(V2, [get(ping::pong)]))
        .service(path(&format!("{V2}/"), [get(ping::pong)]))
        .service(path(
            &format!("{V2}/validate/email/submitToken"),
            [visit(email::submit_page)],
        ));
    // Room events hold the v1 addresses of keys for ever (PUB-11).
    for version in [V2, V1] {
        routes
            .service(path(
                &format!("{version}/pubkey/isvalid"),
                [get(pubkey::is_valid)],
            ))
            .service(path(
                &format!("{version}/pubkey/ephemeral/isvalid"),
                [get(pubkey::is_ephemeral_valid)],
            ))
            .service(path(
                &format!("{version}/pubkey/{{key_id}}"),
                [get(pubkey::by_id)],
            ));
    }
    if app.config.v1.enabled {
        routes
            .service(path(V1, [get(ping::pong)]))
            .service(path(&format!("{V1}/"), [get(ping::pong)]))
            .service(path(
                &format!("{V1}/validate/email/requestToken"),
                [post(email::request_token)],
            ))
            .service(path(
                &format!("{V1}/validate/email/submitToken"),
                [post(email::submit_token), visit(email::submit_page)],
            ))
            .service(path(
                &format!("{V1}/3pid/getValidated3pid"),
                [get(threepid::get_validated)],
            ));
        if app.config.v1.bind {
            routes.service(path(&format!("{V1}/3pid/bind"), [post(threepid::bind)]));
        } else {
            routes.service(web::resource(format!("{V1}/3pid/bind")).to(v1_switched_off));
        }
        if app.config.v1.lookup {
            routes
                .service(path(&format!("{V1}/lookup"), [get(lookup::lookup)]))
                .service(path(
                    &format!("{V1}/bulk_lookup"),
                    [post(lookup::bulk_lookup)],
                ));
        } else {
            routes
                .service(web::resource(format!("{V1}/lookup")).to(v1_switched_off))
                .service(web::resource(format!("{V1}/bulk_lookup")).to(v1_switched_off));
        }
    } else {
        routes.service(web::scope(V1).default_service(web::to(v1_switched_off)));
    }
}

async fn v1_switched_off() -> Result<HttpResponse, Error> {
    Err(Error::v1_switched_off())
}

/// What tools on this machine call, and the pages of captured mail.
pub fn internal(app: &App, routes: &mut web::ServiceConfig) {
    routes
        .service(path(&format!("{INTERNAL}/bind"), [post(internal::bind)]))
        .service(path(
            &format!("{INTERNAL}/unbind"),
            [post(internal::unbind)],
        ))
        .service(path(&format!("{INTERNAL}/lookup"), [get(internal::lookup)]));
    if let MailTransport::File(file) = &app.config.email.transport {
        routes
            .app_data(web::Data::new(CapturedMail::of(&file.dir)))
            .service(path("/", [get(captured_mail::start)]))
            .service(path("/mail", [get(captured_mail::list)]))
            .service(path("/mail/{name}.eml", [get(captured_mail::file)]))
            .service(path("/mail/{name}", [get(captured_mail::message)]))
            .service(path("/mail/{name}/html", [get(captured_mail::html)]))
            .service(path("/mail/{name}/text", [get(captured_mail::text)]));
    }
}

/// What monitoring calls.
pub fn operations(_app: &App, routes: &mut web::ServiceConfig) {
    routes
        .service(path("/health", [get(operations::health)]))
        .service(path("/ready", [get(operations::ready)]))
        .service(path("/metrics", [get(operations::metrics)]));
}

/// The answer to every path that no route has.
///
/// # Errors
/// Always.
pub async fn unknown() -> Result<HttpResponse, Error> {
    Err(Error::unknown_path())
}

/// A route for reading: `GET`, and `HEAD` with it.
fn get<F, Args>(handler: F) -> (Takes, Route)
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    (Takes(&[Method::GET, Method::HEAD]), web::to(handler))
}

/// A link that does something when a person opens it: a scanner that only asks
/// for its head does not.
fn visit<F, Args>(handler: F) -> (Takes, Route)
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    (Takes(&[Method::GET]), web::to(handler))
}

fn post<F, Args>(handler: F) -> (Takes, Route)
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    (Takes(&[Method::POST]), web::to(handler))
}

struct Takes(&'static [Method]);

impl Guard for Takes {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        self.0.contains(&context.head().method)
    }
}

fn path<const N: usize>(
    pattern: &str,
    routes: [(Takes, Route); N],
) -> impl HttpServiceFactory + 'static {
    let mut allow = vec!["OPTIONS"];
    let mut resource = web::resource(pattern);
    for (takes, route) in routes {
        allow.extend(takes.0.iter().map(Method::as_str));
        resource = resource.route(route.guard(takes));
    }
    let allow = allow.join(", ");
    resource
        .default_service(web::to(move || {
            let allow = allow.clone();
            async move { Err::<HttpResponse, _>(Error::wrong_method(allow)) }
        }))
        .wrap(from_fn(survive))
}
