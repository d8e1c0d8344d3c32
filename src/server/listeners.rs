//! Binds the listeners, each with its own routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App as WebApp, HttpServer, web};
use log::info;
use rustls::ServerConfig;

use super::{Addresses, ServerError, client_certificates, sockets};
use crate::app::App;
use crate::http::routes::{self, unknown};
use crate::http::{allow_all_origins, envelope, merge_slashes, same_origin_only, without_upgrade};

/// After a response to a request whose body has not arrived, what still arrives is
/// discarded for so long, and the connection is closed then. Without that, the response
/// could be lost (RFC 9112, section 9.6).
const DISCARD_FOR: Duration = Duration::from_secs(10);

type Routes = fn(&App, &mut web::ServiceConfig);

struct Listener<'a> {
    name: &'a str,
    addresses: &'a [SocketAddr],
    workers: usize,
    routes: Routes,
    pages: Pages,
    tls: Option<ServerConfig>,
}

/// Which web pages may use a listener.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pages {
    /// Those of every site.
    Every,
    /// Those that the listener itself serves.
    Own,
    /// None has a reason to, and there is nothing that one could change.
    Unforeseen,
}

pub(super) fn bind(
    app: &Arc<App>,
    replication_tls: Option<ServerConfig>,
) -> Result<(Vec<Server>, Addresses), ServerError> {
    let config = &app.config;
    let all = [
        Listener {
            name: "client",
            addresses: &config.http.listen,
            workers: config.http.workers,
            routes: routes::client,
            pages: Pages::Every,
            tls: None,
        },
        Listener {
            name: "internal",
            addresses: &config.internal.listen,
            workers: 1,
            routes: routes::internal,
            pages: Pages::Own,
            tls: None,
        },
        Listener {
            name: "operations",
            addresses: &config.operations.listen,
            workers: 1,
            routes: routes::operations,
            pages: Pages::Unforeseen,
            tls: None,
        },
        Listener {
            name: "replication",
            addresses: config.replication.listen.as_slice(),
            workers: 1,
            routes: routes::replication,
            pages: Pages::Unforeseen,
            tls: replication_tls,
        },
    ];
    let mut servers = Vec::new();
    let mut bound = Vec::new();
    for listener in &all {
        let (server, addresses) = listen(app, listener)?;
        for address in &addresses {
            let name = listener.name;
            let scheme = listener.tls.as_ref().map_or("http", |_| "https");
            info!("the {name} listener is at {scheme}://{address}");
        }
        servers.extend(server);
        bound.push(addresses);
    }
    let mut bound = bound.into_iter();
    let mut next = || bound.next().unwrap_or_default();
    Ok((
        servers,
        Addresses {
            client: next(),
            internal: next(),
            operations: next(),
            replication: next(),
        },
    ))
}

fn listen(
    app: &Arc<App>,
    listener: &Listener<'_>,
) -> Result<(Option<Server>, Vec<SocketAddr>), ServerError> {
    let &Listener {
        addresses,
        workers,
        routes,
        pages,
        ref tls,
        ..
    } = listener;
    if addresses.is_empty() {
        return Ok((None, Vec::new()));
    }
    let shared = web::Data::from(Arc::clone(app));
    let factory = move || {
        WebApp::new()
            .app_data(shared.clone())
            .configure(|config| routes(&shared, config))
            .default_service(web::to(unknown))
            .wrap(Condition::new(
                pages == Pages::Own,
                from_fn(same_origin_only),
            ))
            .wrap(from_fn(merge_slashes))
            .wrap(from_fn(envelope))
            .wrap(from_fn(without_upgrade))
            .wrap(Condition::new(
                pages == Pages::Every,
                from_fn(allow_all_origins),
            ))
    };
    let http = &app.config.http;
    let mut server = HttpServer::new(factory)
        .disable_signals()
        .shutdown_timeout(http.shutdown_timeout.as_secs())
        .client_request_timeout(http.request_timeout)
        .client_disconnect_timeout(DISCARD_FOR)
        .keep_alive(http.keep_alive)
        .on_connect(client_certificates::remember_peer);
    if workers > 0 {
        server = server.workers(workers);
    }
    for socket in sockets::open(addresses)? {
        server = match tls {
            Some(tls) => server.listen_rustls_0_23(socket, tls.clone()),
            None => server.listen(socket),
        }?;
    }
    let bound = server.addrs();
    Ok((Some(server.run()), bound))
}
