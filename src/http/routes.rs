//! The whole API on one page, a function per listener.
//!
//! The documentation is made from the same table. A path without a route is 404,
//! and a method without one 405 (GEN-10, GEN-11); the envelope answers `OPTIONS`.

use actix_web::{HttpResponse, web};

use super::access::{Access, V1, V2};
use super::client::{
    account, email, hashed_lookup, invite, lookup, msisdn, ping, pubkey, terms, threepid, unbind,
    versions,
};
use super::resource::{Resource, get, post, resource, submit_form, visit};
use super::{captured_mail, internal, operations, replicate};
use crate::app::App;
use crate::config::V1Settings;
use crate::error::Error;

/// Where version 1 of the API is.
pub const V1_PATH: &str = "/_matrix/identity/api/v1";
const V2_PATH: &str = "/_matrix/identity/v2";
const INTERNAL_PATH: &str = "/_matrix/identity/internal";

/// Serves what clients and homeservers call.
pub fn client(app: &App, routes: &mut web::ServiceConfig) {
    let mut resources = client_resources(&app.config.v1);
    // A request is compared with them in this order, and patterns take long.
    resources.sort_by_key(Resource::is_pattern);
    for resource in resources {
        routes.service(resource);
    }
    if !app.config.v1.enabled {
        routes.service(web::scope(V1_PATH).default_service(web::to(v1_disabled)));
    }
}

/// Serves what tools on the same machine call, and the pages of captured mail.
pub fn internal(app: &App, routes: &mut web::ServiceConfig) {
    for resource in internal_resources() {
        routes.service(resource);
    }
    captured_mail::serve(&app.config, routes);
}

/// Serves what monitoring calls.
pub fn operations(_app: &App, routes: &mut web::ServiceConfig) {
    for resource in operations_resources() {
        routes.service(resource);
    }
}

/// Serves what the other servers of a mesh call.
pub fn replication(_app: &App, routes: &mut web::ServiceConfig) {
    for resource in replication_resources() {
        routes.service(resource);
    }
}

/// The endpoints of the client listener.
pub(super) fn client_resources(v1: &V1Settings) -> Vec<Resource> {
    let mut all = vec![resource(
        "/_matrix/identity/versions",
        [get(versions::list, versions::LIST)],
    )];
    all.extend(always::<V2>(V2_PATH));
    all.extend(always::<V1>(V1_PATH));
    all.extend(both_versions::<V2>(V2_PATH));
    all.extend(v2_only());
    if v1.enabled {
        let limited = both_versions::<V1>(V1_PATH).into_iter().chain(v1_only(v1));
        all.extend(limited.map(Resource::for_v1_clients));
    }
    all
}

/// What v1 keeps also when it is disabled: room events refer to the keys, and
/// mails to sign-ed25519, forever (PUB-11, GEN-32, SGN-05).
fn always<V: Access>(version: &str) -> [Resource; 4] {
    let path = |path: &str| format!("{version}/{path}");
    [
        resource(
            path("pubkey/isvalid"),
            [get(pubkey::is_valid, pubkey::IS_VALID)],
        ),
        resource(
            path("pubkey/ephemeral/isvalid"),
            [get(pubkey::is_ephemeral_valid, pubkey::IS_EPHEMERAL_VALID)],
        ),
        resource(path("pubkey/{keyId}"), [get(pubkey::by_id, pubkey::BY_ID)]),
        resource(
            path("sign-ed25519"),
            [post(invite::sign::<V>, invite::SIGN)],
        ),
    ]
}

/// What v1 and v2 have in common, apart from who may call it.
fn both_versions<V: Access>(version: &str) -> [Resource; 10] {
    let path = |path: &str| format!("{version}/{path}");
    [
        resource(version, [get(ping::ping, ping::PING)]),
        resource(path(""), [get(ping::ping, ping::PING)]),
        resource(
            path("validate/email/requestToken"),
            [post(email::request_token::<V>, email::REQUEST_TOKEN)],
        ),
        resource(
            path("validate/email/submitToken"),
            [
                post(email::submit_token::<V>, email::SUBMIT_TOKEN),
                visit(email::submit_page, email::SUBMIT_PAGE),
            ],
        ),
        resource(
            path("validate/email/confirm"),
            [submit_form(email::confirm_page, email::CONFIRM_PAGE)],
        ),
        resource(
            path("validate/msisdn/requestToken"),
            [post(msisdn::request_token::<V>, msisdn::REQUEST_TOKEN)],
        ),
        resource(
            path("validate/msisdn/submitToken"),
            [
                post(msisdn::submit_token::<V>, msisdn::SUBMIT_TOKEN),
                visit(msisdn::submit_page, msisdn::SUBMIT_PAGE),
            ],
        ),
        resource(
            path("validate/msisdn/confirm"),
            [submit_form(msisdn::confirm_page, msisdn::CONFIRM_PAGE)],
        ),
        resource(
            path("3pid/getValidated3pid"),
            [get(threepid::get_validated::<V>, threepid::GET_VALIDATED)],
        ),
        resource(path("3pid/unbind"), [post(unbind::unbind, unbind::UNBIND)]),
    ]
}

/// Accounts, terms, hashed lookups, and binding and inviting with an account.
fn v2_only() -> [Resource; 8] {
    let path = |path: &str| format!("{V2_PATH}/{path}");
    [
        resource(
            path("account/register"),
            [post(account::register, account::REGISTER)],
        ),
        resource(path("account"), [get(account::user, account::USER)]),
        resource(
            path("account/logout"),
            [post(account::logout, account::LOGOUT)],
        ),
        resource(
            path("terms"),
            [
                get(terms::list, terms::LIST),
                post(terms::accept, terms::ACCEPT),
            ],
        ),
        resource(
            path("hash_details"),
            [get(hashed_lookup::details, hashed_lookup::DETAILS)],
        ),
        resource(
            path("lookup"),
            [post(hashed_lookup::lookup, hashed_lookup::LOOKUP)],
        ),
        resource(
            path("3pid/bind"),
            [post(threepid::bind::<V2>, threepid::BIND)],
        ),
        resource(
            path("store-invite"),
            [post(invite::store::<V2>, invite::STORE)],
        ),
    ]
}

/// Binding, lookups and invitations without an account, each with a setting of its
/// own (BND-08, V1L-08, INV-27).
fn v1_only(v1: &V1Settings) -> [Resource; 4] {
    let path = |path: &str| format!("{V1_PATH}/{path}");
    [
        resource(
            path("3pid/bind"),
            [post(threepid::bind::<V1>, threepid::BIND)],
        )
        .enabled_if(v1.bind, Error::v1_disabled),
        resource(path("lookup"), [get(lookup::lookup, lookup::LOOKUP)])
            .enabled_if(v1.lookup, Error::v1_disabled),
        resource(
            path("bulk_lookup"),
            [post(lookup::bulk_lookup, lookup::BULK_LOOKUP)],
        )
        .enabled_if(v1.lookup, Error::v1_disabled),
        resource(
            path("store-invite"),
            [post(invite::store::<V1>, invite::STORE)],
        )
        .enabled_if(v1.store_invite, Error::v1_disabled),
    ]
}

/// The endpoints of the internal listener.
pub(super) fn internal_resources() -> [Resource; 3] {
    let path = |path: &str| format!("{INTERNAL_PATH}/{path}");
    [
        resource(path("bind"), [post(internal::bind, internal::BIND)]),
        resource(path("unbind"), [post(internal::unbind, internal::UNBIND)]),
        resource(path("lookup"), [get(internal::lookup, internal::LOOKUP)]),
    ]
}

/// The endpoints of the operations listener.
pub(super) fn operations_resources() -> [Resource; 3] {
    [
        resource("/health", [get(operations::health, operations::HEALTH)]),
        resource("/ready", [get(operations::ready, operations::READY)]),
        resource("/metrics", [get(operations::metrics, operations::METRICS)]),
    ]
}

/// The endpoint of the replication listener.
pub(super) fn replication_resources() -> [Resource; 1] {
    [resource(
        "/_matrix/identity/replicate/v1/push",
        [post(replicate::push, replicate::PUSH)],
    )]
}

/// The response to every path that has no route.
///
/// # Errors
/// Always `404 M_UNRECOGNIZED`.
pub async fn unknown() -> Result<HttpResponse, Error> {
    Err(Error::unknown_path())
}

async fn v1_disabled() -> Result<HttpResponse, Error> {
    Err(Error::v1_disabled())
}
