//! Serves an application on sockets, over connections with deadlines.
//!
//! It does what `actix_web::HttpServer` does for HTTP/1, which takes no stream but that
//! of the socket itself. HTTP/2 is not served.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, KeepAlive, Payload, Request, Response};
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::{
    IntoServiceFactory, Service as _, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory,
    fn_service, map_config,
};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;
use futures_util::future::ready;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::client_certificates::peer_name;
use super::stream::{Deadlines, Guarded};
use super::table::Connections;
use crate::config::HttpSettings;
use crate::http::Connection;

/// After a response to a request whose body has not arrived, what still arrives is
/// discarded for so long, and the connection is closed then. Without that, the response
/// could be lost (RFC 9112, section 9.6).
const DISCARD_FOR: Duration = Duration::from_secs(10);

/// What the sockets of a listener have in common.
pub(in crate::server) struct Serving<'a> {
    pub(in crate::server) http: &'a HttpSettings,
    /// Threads; 0 means one per CPU.
    pub(in crate::server) workers: usize,
    pub(in crate::server) connections: Connections,
    /// Connections that may exist beyond the limit, until closed ones are gone.
    pub(in crate::server) transient: usize,
}

/// Accepts connections.
#[derive(Clone)]
struct Accept {
    connections: Connections,
    deadlines: Deadlines,
    is_plain: bool,
}

impl Accept {
    /// # Errors
    /// There are too many connections, all with a request in work.
    fn accept(&self, socket: TcpStream) -> Result<Guarded<TcpStream>, DispatchError> {
        let peer = socket.peer_addr().ok();
        let admission = self
            .connections
            .admit(peer.map(|peer| peer.ip()))
            .ok_or_else(|| DispatchError::Io(io::ErrorKind::ConnectionRefused.into()))?;
        Ok(Guarded::new(
            socket,
            peer,
            admission,
            self.deadlines,
            self.is_plain,
        ))
    }
}

impl Serving<'_> {
    /// Serves an application on sockets, with or without TLS.
    pub(in crate::server) fn serve<F, I, S, B>(
        &self,
        name: &str,
        sockets: Vec<TcpListener>,
        tls: Option<&ServerConfig>,
        application: F,
    ) -> io::Result<Server>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Response: Into<Response<B>>,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: fmt::Debug,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        let mut builder = self.builder();
        let shutdown = builder.graceful_shutdown_signal();
        let accept = self.accept(tls.is_none());
        for socket in sockets {
            let (accept, application) = (accept.clone(), application.clone());
            let shutdown = shutdown.clone();
            builder = match tls.cloned() {
                None => builder.listen(name, socket, move || {
                    let accept = accept.clone();
                    let mark = |stream: &Guarded<TcpStream>, data: &mut Extensions| {
                        data.insert(stream.connection().clone());
                    };
                    fn_service(move |socket| ready(accept.accept(socket)))
                        .map(|stream| {
                            let peer = stream.peer();
                            (stream, peer)
                        })
                        .and_then(http(application(), shutdown.clone(), mark))
                }),
                Some(tls) => builder.listen(name, socket, move || {
                    let accept = accept.clone();
                    let mark = |stream: &TlsStream<Guarded<TcpStream>>, data: &mut Extensions| {
                        let (guarded, session) = stream.get_ref();
                        data.insert(guarded.connection().clone());
                        data.insert(peer_name(session));
                    };
                    let mut handshake = Acceptor::new(tls.clone());
                    handshake.set_handshake_timeout(accept.deadlines.request);
                    let handshake = handshake.map_err(|_failed| no_handshake());
                    fn_service(move |socket| ready(accept.accept(socket)))
                        .and_then(handshake)
                        .map(|stream| {
                            let peer = stream.get_ref().0.peer();
                            (stream, peer)
                        })
                        .and_then(http(application(), shutdown.clone(), mark))
                }),
            }?;
        }
        Ok(builder.run())
    }

    fn builder(&self) -> ServerBuilder {
        let mut builder = Server::build()
            .disable_signals()
            .shutdown_timeout(self.http.shutdown_timeout.as_secs());
        if self.workers > 0 {
            builder = builder.workers(self.workers);
        }
        // Where a flood is accepted faster than its connections are closed again, the
        // others wait in the queue of the socket.
        let workers = match self.workers {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            workers => workers,
        };
        let all = self.connections.total().saturating_add(self.transient);
        builder.max_concurrent_connections(all.div_ceil(workers))
    }

    fn accept(&self, is_plain: bool) -> Accept {
        Accept {
            connections: self.connections.clone(),
            deadlines: Deadlines {
                request: self.http.request_timeout,
                keep_alive: self.http.keep_alive,
            },
            is_plain,
        }
    }
}

fn no_handshake() -> DispatchError {
    DispatchError::Io(io::ErrorKind::ConnectionAborted.into())
}

/// HTTP/1 on streams of any kind. Each request marks its connection.
fn http<T, I, S, B>(
    application: I,
    shutdown: GracefulShutdownSignal,
    mark: impl Fn(&T, &mut Extensions) + 'static,
) -> impl ServiceFactory<
    (T, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Response: Into<Response<B>>,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let application = application
        .into_factory()
        .map_err(|error| -> Response<BoxBody> { error.into().error_response().into() });
    let application = map_config(application, |()| AppConfig::default());
    let application = apply_fn_factory(application, |mut request: Request, service| {
        let has_body = !matches!(request.payload(), Payload::None);
        let connection: Option<&Connection> = request.conn_data();
        let in_work = connection.map(|connection| connection.request(has_body));
        let response = service.call(request);
        async move {
            let response = response.await;
            drop(in_work);
            response
        }
    });
    HttpService::build()
        // The stream has the deadlines.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(DISCARD_FOR)
        .graceful_shutdown_signal(move || {
            let shutdown = shutdown.clone();
            async move { shutdown.notified().await }
        })
        .on_connect_ext(mark)
        .h1(application)
}
