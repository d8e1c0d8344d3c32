//! Binds the listeners, each with its own routes.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App as WebApp, web};
use log::info;
use rustls::ServerConfig;

use super::connections::{Budget, Connections, Limits, Serving, raise_limit};
use super::{Addresses, ServerError, sockets};
use crate::app::App;
use crate::http::routes::{self, unknown};
use crate::http::{
    allow_all_origins, envelope, merge_slashes, same_origin_only, share_per_client, without_upgrade,
};

type Routes = fn(&App, &mut web::ServiceConfig);

struct Listener<'a> {
    name: &'static str,
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
    let budget = Budget::new(config, raise_limit());
    let mut servers = Vec::new();
    let mut bound = Vec::new();
    for listener in &all {
        let (server, addresses) = listen(app, listener, budget)?;
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
    budget: Budget,
) -> Result<(Option<Server>, Vec<SocketAddr>), ServerError> {
    let &Listener {
        name,
        addresses,
        workers,
        routes,
        pages,
        ref tls,
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
            .wrap(Condition::new(
                pages == Pages::Every,
                from_fn(share_per_client),
            ))
            .wrap(from_fn(merge_slashes))
            .wrap(from_fn(envelope))
            .wrap(from_fn(without_upgrade))
            .wrap(Condition::new(
                pages == Pages::Every,
                from_fn(allow_all_origins),
            ))
    };
    let serving = Serving {
        http: &app.config.http,
        workers,
        connections: Connections::new(limits(app, listener, budget)),
        transient: budget.transient,
    };
    let sockets = sockets::open(addresses)?;
    let bound: Result<Vec<_>, _> = sockets.iter().map(TcpListener::local_addr).collect();
    let server = serving.serve(name, sockets, tls.as_ref(), factory)?;
    Ok((Some(server), bound?))
}

fn limits(app: &App, listener: &Listener<'_>, budget: Budget) -> Limits {
    let metrics = app.metrics.listener(listener.name);
    if listener.pages == Pages::Every {
        Limits {
            total: budget.client,
            per_client: Some(budget.per_client),
            proxies: app.config.http.trusted_proxies.clone(),
            delegating: app.config.limits.delegating_homeservers.clone(),
            metrics,
        }
    } else {
        Limits {
            total: budget.other,
            metrics,
            ..Limits::default()
        }
    }
}
