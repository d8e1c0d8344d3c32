//! The whole API on one page, a function per listener.
//!
//! `get` routes answer `HEAD` too; the envelope answers `OPTIONS` everywhere;
//! another method is 405 and another path 404 (GEN-10, GEN-11).

use actix_web::dev::HttpServiceFactory;
use actix_web::guard::{Guard, GuardContext};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, Route, web};

use super::call::{V1, V2, Version};
use super::captured_mail::CapturedMail;
use super::client::{
    account, email, hashed_lookup, invite, lookup, msisdn, ping, pubkey, terms, threepid, unbind,
    versions,
};
use super::envelope::survive;
use super::{captured_mail, internal, operations, replicate};
use crate::app::App;
use crate::error::Error;

const V1_PATH: &str = "/_matrix/identity/api/v1";
const V2_PATH: &str = "/_matrix/identity/v2";
const INTERNAL: &str = "/_matrix/identity/internal";
const PUSH: &str = "/_matrix/identity/replicate/v1/push";

/// What clients and homeservers call.
pub fn client(app: &App, routes: &mut web::ServiceConfig) {
    routes.service(path("/_matrix/identity/versions", [get(versions::list)]));
    for version in [V2_PATH, V1_PATH] {
        public_keys(version, routes);
    }
    // Mails hold it, and clients without an account call it (GEN-32, SGN-05).
    routes.service(path(
        &format!("{V1_PATH}/sign-ed25519"),
        [post(invite::sign::<V1>)],
    ));
    routes.service(path(
        &format!("{V2_PATH}/sign-ed25519"),
        [post(invite::sign::<V2>)],
    ));
    both_versions::<V2>(V2_PATH, routes);
    accounts(routes);
    routes.service(path(
        &format!("{V2_PATH}/3pid/bind"),
        [post(threepid::bind::<V2>)],
    ));
    hashed_lookups(routes);
    if app.config.v1.enabled {
        both_versions::<V1>(V1_PATH, routes);
        v1_alone(app, routes);
    } else {
        routes.service(web::scope(V1_PATH).default_service(web::to(v1_switched_off)));
    }
}

/// What v1 does not have: accounts and terms.
fn accounts(routes: &mut web::ServiceConfig) {
    routes
        .service(path(
            &format!("{V2_PATH}/account/register"),
            [post(account::register)],
        ))
        .service(path(&format!("{V2_PATH}/account"), [get(account::user)]))
        .service(path(
            &format!("{V2_PATH}/account/logout"),
            [post(account::logout)],
        ))
        .service(path(
            &format!("{V2_PATH}/terms"),
            [get(terms::list), post(terms::accept)],
        ));
}

/// The v1 paths are there for ever: room events hold them (PUB-11).
fn public_keys(version: &str, routes: &mut web::ServiceConfig) {
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

/// What v2 and v1 share; their callers differ.
fn both_versions<V: Version>(version: &str, routes: &mut web::ServiceConfig) {
    routes
        .service(path(version, [get(ping::pong)]))
        .service(path(&format!("{version}/"), [get(ping::pong)]))
        .service(path(
            &format!("{version}/validate/email/requestToken"),
            [post(email::request_token::<V>)],
        ))
        .service(path(
            &format!("{version}/validate/email/submitToken"),
            [post(email::submit_token::<V>), visit(email::submit_page)],
        ))
        .service(path(
            &format!("{version}/validate/msisdn/requestToken"),
            [post(msisdn::request_token::<V>)],
        ))
        .service(path(
            &format!("{version}/validate/msisdn/submitToken"),
            [post(msisdn::submit_token::<V>), visit(msisdn::submit_page)],
        ))
        .service(path(
            &format!("{version}/3pid/getValidated3pid"),
            [get(threepid::get_validated::<V>)],
        ))
        .service(path(
            &format!("{version}/store-invite"),
            [post(invite::store::<V>)],
        ))
        .service(path(
            &format!("{version}/3pid/unbind"),
            [post(unbind::unbind)],
        ));
}

fn hashed_lookups(routes: &mut web::ServiceConfig) {
    routes
        .service(path(
            &format!("{V2_PATH}/hash_details"),
            [get(hashed_lookup::details)],
        ))
        .service(path(
            &format!("{V2_PATH}/lookup"),
            [post(hashed_lookup::lookup)],
        ));
}

/// Binding and looking up without an account, each with a switch of its own
/// (BND-08, V1L-08).
fn v1_alone(app: &App, routes: &mut web::ServiceConfig) {
    let bind = format!("{V1_PATH}/3pid/bind");
    if app.config.v1.bind {
        routes.service(path(&bind, [post(threepid::bind::<V1>)]));
    } else {
        routes.service(web::resource(bind).to(v1_switched_off));
    }
    let (one, many) = (
        format!("{V1_PATH}/lookup"),
        format!("{V1_PATH}/bulk_lookup"),
    );
    if app.config.v1.lookup {
        routes
            .service(path(&one, [get(lookup::lookup)]))
            .service(path(&many, [post(lookup::bulk_lookup)]));
    } else {
        routes
            .service(web::resource(one).to(v1_switched_off))
            .service(web::resource(many).to(v1_switched_off));
    }
}

async fn v1_switched_off() -> Result<HttpResponse, Error> {
    Err(Error::v1_disabled())
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
    if let Some(captured) = CapturedMail::of(&app.config) {
        routes
            .app_data(web::Data::new(captured))
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

/// What the other servers of a mesh call.
pub fn replication(_app: &App, routes: &mut web::ServiceConfig) {
    routes.service(path(PUSH, [post(replicate::push)]));
}

/// The answer to every path that no route has.
///
/// # Errors
/// Always.
pub async fn unknown() -> Result<HttpResponse, Error> {
    Err(Error::unknown_path())
}

/// A route for reading: `GET`, and `HEAD` with it.
fn get<F, Args>(handler: F) -> (AllowedMethods, Route)
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    (
        AllowedMethods(&[Method::GET, Method::HEAD]),
        web::to(handler),
    )
}

/// A link that does something when a person opens it: a scanner that only asks
/// for its head does not.
fn visit<F, Args>(handler: F) -> (AllowedMethods, Route)
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    (AllowedMethods(&[Method::GET]), web::to(handler))
}

fn post<F, Args>(handler: F) -> (AllowedMethods, Route)
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    (AllowedMethods(&[Method::POST]), web::to(handler))
}

struct AllowedMethods(&'static [Method]);

impl Guard for AllowedMethods {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        self.0.contains(&context.head().method)
    }
}

fn path<const N: usize>(
    pattern: &str,
    routes: [(AllowedMethods, Route); N],
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
