//! Binds the listeners, each with its own routes.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as WebApp, HttpServer, web};
use log::info;

use super::{Addresses, ServerError};
use crate::app::App;
use crate::http::envelope;
use crate::http::routes::{self, unknown};

type Routes = fn(&App, &mut web::ServiceConfig);

pub(super) fn bind(app: &Arc<App>) -> Result<(Vec<Server>, Addresses), ServerError> {
    let config = &app.config;
    let all: [(&str, &[SocketAddr], usize, Routes); 3] = [
        (
            "client",
            &config.http.listen,
            config.http.workers,
            routes::client,
        ),
        ("internal", &config.internal.listen, 1, routes::internal),
        (
            "operations",
            &config.operations.listen,
            1,
            routes::operations,
        ),
    ];
    let mut servers = Vec::new();
    let mut bound = Vec::new();
    for (name, addresses, workers, routes) in all {
        let (server, addresses) = listen(app, addresses, workers, routes)?;
        for address in &addresses {
            info!("the {name} listener is at http://{address}");
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
        },
    ))
}

fn listen(
    app: &Arc<App>,
    addresses: &[SocketAddr],
    workers: usize,
    routes: Routes,
) -> Result<(Option<Server>, Vec<SocketAddr>), ServerError> {
    if addresses.is_empty() {
        return Ok((None, Vec::new()));
    }
    let shared = web::Data::from(Arc::clone(app));
    let factory = move || {
        WebApp::new()
            .app_data(shared.clone())
            .configure(|config| routes(&shared, config))
            .default_service(web::to(unknown))
            .wrap(from_fn(envelope))
    };
    let http = &app.config.http;
    let mut server = HttpServer::new(factory)
        .disable_signals()
        .shutdown_timeout(http.shutdown_timeout.as_secs())
        .client_request_timeout(http.request_timeout);
    if workers > 0 {
        server = server.workers(workers);
    }
    for address in addresses {
        server = server
            .bind(address)
            .map_err(|error| ServerError::Listen(*address, error))?;
    }
    let bound = server.addrs();
    Ok((Some(server.run()), bound))
}
