//! The federation actor: it owns the client for homeservers and its caches.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, Addr, Arbiter, ArbiterHandle, AsyncContext as _, Context, Handler, Message,
    ResponseFuture,
};
use futures_util::future::join_all;
use zeroize::Zeroizing;

use super::pool::Fault;
use crate::clock::Clock;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::public_key::PublicKey;
pub use crate::federation::{CallError, KeyError, OnbindFailure, UserInfoError};
use crate::federation::{Client, ConnectionLimit, ConnectionPermit, LimitReached};
use crate::metrics::Metrics;

const NAME: &str = "federation";

/// Calls of one kind that every host may have under way at least.
const MIN_PER_HOST: usize = 4;

/// The address of the federation actor. A homeserver's refusal is part of the
/// result; a [`Fault`] means that this server could not make the call.
#[derive(Clone)]
pub struct FederationHandle {
    actor: Addr<Federation>,
    arbiter: ArbiterHandle,
    // Separate limits, so that calls of one kind cannot use up those of another.
    user_info_limit: ConnectionLimit,
    key_limit: ConnectionLimit,
    onbind_limit: ConnectionLimit,
    clock: Clock,
    metrics: Arc<Metrics>,
}

struct Federation {
    client: Rc<Client>,
}

impl Actor for Federation {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(Client::IDLE_TIME / 2, |federation, _context| {
            federation.client.close_idle();
        });
    }
}

impl FederationHandle {
    /// Starts the actor on its own arbiter. At most `concurrency` userinfo calls
    /// are under way at a time, and half as many each for keys and onbind. One
    /// host gets a tenth of the former two and half of the latter, and at least
    /// four.
    #[must_use]
    pub fn start(client: Client, concurrency: usize, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let half = (concurrency / 2).max(1);
        let arbiter = Arbiter::new();
        let actor = Federation::start_in_arbiter(&arbiter.handle(), move |_context| Federation {
            client: Rc::new(client),
        });
        Self {
            actor,
            arbiter: arbiter.handle(),
            user_info_limit: ConnectionLimit::new(
                concurrency,
                (concurrency / 10).max(MIN_PER_HOST),
            ),
            key_limit: ConnectionLimit::new(half, (half / 10).max(MIN_PER_HOST)),
            onbind_limit: ConnectionLimit::new(half, (half / 2).max(MIN_PER_HOST)),
            clock,
            metrics,
        }
    }

    /// The user of an `OpenID` token of that homeserver, which a client asks for (ACC-04
    /// to ACC-06).
    ///
    /// # Errors
    /// [`Fault::QueueFull`] at once when too many calls are under way.
    pub async fn user_info(
        &self,
        server: &ServerName,
        access_token: &str,
        client: Option<IpAddr>,
    ) -> Result<Result<Mxid, UserInfoError>, Fault> {
        let permit = self.permit(&self.user_info_limit, server, client)?;
        let request = UserInfo {
            server: server.clone(),
            access_token: Zeroizing::new(access_token.to_owned()),
            now: self.clock.now().as_i64(),
        };
        let result = self.send(request, permit).await?;
        self.metrics.homeserver_called(
            "userinfo",
            match &result {
                Ok(_) => "answered",
                Err(UserInfoError::UnknownToken) => "refused",
                Err(UserInfoError::Unreachable(_)) => "failed",
                Err(UserInfoError::InvalidResponse(_) | UserInfoError::ForeignUser) => "bad answer",
            },
        );
        Ok(result)
    }

    /// What [`Self::server_key`] returns if that needs no call; otherwise `None`.
    ///
    /// # Errors
    /// [`Fault::QueueFull`] at once when too many calls are under way.
    pub async fn known_key(
        &self,
        server: &ServerName,
        key_id: &KeyId,
        client: Option<IpAddr>,
    ) -> Result<Option<Result<Option<PublicKey>, KeyError>>, Fault> {
        let permit = self.permit(&self.key_limit, server, client)?;
        let request = KnownKey(ServerKey {
            server: server.clone(),
            key_id: key_id.clone(),
            now: self.clock.now().as_i64(),
        });
        self.send(request, permit).await
    }

    /// The current signing key of the homeserver with that id; `None` if it has
    /// no such key (NET-17 to NET-20).
    ///
    /// # Errors
    /// [`Fault::QueueFull`] at once when too many calls are under way.
    pub async fn server_key(
        &self,
        server: &ServerName,
        key_id: &KeyId,
        client: Option<IpAddr>,
    ) -> Result<Result<Option<PublicKey>, KeyError>, Fault> {
        let permit = self.permit(&self.key_limit, server, client)?;
        let request = ServerKey {
            server: server.clone(),
            key_id: key_id.clone(),
            now: self.clock.now().as_i64(),
        };
        let result = self.send(request, permit).await?;
        self.metrics.homeserver_called(
            "keys",
            match &result {
                Ok(_) => "answered",
                Err(KeyError::Unreachable(_)) => "failed",
                Err(KeyError::InvalidResponse(_)) => "bad answer",
            },
        );
        Ok(result)
    }

    /// Sends an onbind notification, a JSON `body`, to a homeserver (ONB-01,
    /// ONB-02). When too many are under way to its host, the failure is a passing
    /// one.
    ///
    /// # Errors
    /// [`Fault::QueueFull`] at once when too many calls are under way in total.
    pub async fn onbind(
        &self,
        server: &ServerName,
        body: String,
    ) -> Result<Result<(), OnbindFailure>, Fault> {
        let permit = match self.onbind_limit.try_acquire(server, None) {
            Err(LimitReached::Host) => {
                let reason = "too many notifications to this homeserver at once".to_owned();
                return Ok(Err(OnbindFailure::Busy { reason }));
            }
            acquired => acquired.map_err(|reason| self.rejected(reason))?,
        };
        let request = Onbind {
            server: server.clone(),
            body,
            now: self.clock.now().as_i64(),
        };
        let result = self.send(request, permit).await?;
        self.metrics.homeserver_called(
            "onbind",
            match &result {
                Ok(()) => "answered",
                Err(OnbindFailure::Permanent { .. }) => "refused",
                Err(OnbindFailure::Busy { .. }) => "busy",
                Err(OnbindFailure::Transient { .. }) => "failed",
            },
        );
        Ok(result)
    }

    fn permit(
        &self,
        limit: &ConnectionLimit,
        server: &ServerName,
        client: Option<IpAddr>,
    ) -> Result<ConnectionPermit, Fault> {
        limit
            .try_acquire(server, client)
            .map_err(|reason| self.rejected(reason))
    }

    fn rejected(&self, reason: LimitReached) -> Fault {
        match reason {
            LimitReached::Total | LimitReached::Host | LimitReached::Client => {
                self.metrics.actor_rejected(NAME);
                Fault::QueueFull(NAME)
            }
            LimitReached::Closed => Fault::Stopped(NAME),
        }
    }

    async fn send<R>(&self, request: R, permit: ConnectionPermit) -> Result<R::Output, Fault>
    where
        R: Request,
        Federation: Handler<Call<R>>,
    {
        let call = Call { request, permit };
        let result = self
            .actor
            .send(call)
            .await
            .unwrap_or(Err(Fault::Stopped(NAME)));
        if let Err(Fault::Panicked(actor)) = &result {
            self.metrics.actor_panicked(actor);
        }
        result
    }

    /// Whether the actor is alive.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.actor.connected()
    }

    /// Accepts no more calls, waits for those under way, and ends the actor and its thread.
    /// Returns whether they ended within `limit`; otherwise the actor goes on with them.
    pub async fn drain(&self, limit: Duration) -> bool {
        let limits = [&self.user_info_limit, &self.key_limit, &self.onbind_limit];
        let drained = join_all(limits.map(|calls| calls.drain(limit))).await;
        let are_done = drained.into_iter().all(|drained| drained);
        if are_done {
            self.arbiter.stop();
        }
        are_done
    }
}

/// A request to a homeserver.
trait Request: Send + 'static {
    type Output: Send + 'static;

    async fn run(self, client: &Client) -> Self::Output;
}

struct UserInfo {
    server: ServerName,
    access_token: Zeroizing<String>,
    now: i64,
}

impl Request for UserInfo {
    type Output = Result<Mxid, UserInfoError>;

    async fn run(self, client: &Client) -> Self::Output {
        let Self { server, now, .. } = &self;
        client.user_info(server, &self.access_token, *now).await
    }
}

struct ServerKey {
    server: ServerName,
    key_id: KeyId,
    now: i64,
}

impl Request for ServerKey {
    type Output = Result<Option<PublicKey>, KeyError>;

    async fn run(self, client: &Client) -> Self::Output {
        client
            .server_key(&self.server, &self.key_id, self.now)
            .await
    }
}

struct KnownKey(ServerKey);

impl Request for KnownKey {
    type Output = Option<Result<Option<PublicKey>, KeyError>>;

    async fn run(self, client: &Client) -> Self::Output {
        let Self(ServerKey {
            server,
            key_id,
            now,
        }) = self;
        client.known_key(&server, &key_id, now)
    }
}

struct Onbind {
    server: ServerName,
    body: String,
    now: i64,
}

impl Request for Onbind {
    type Output = Result<(), OnbindFailure>;

    async fn run(self, client: &Client) -> Self::Output {
        client.onbind(&self.server, &self.body, self.now).await
    }
}

struct Call<R> {
    request: R,
    // Travels with the request, so that it counts even when its caller is gone.
    permit: ConnectionPermit,
}

impl<R: Request> Message for Call<R> {
    type Result = Result<R::Output, Fault>;
}

impl<R: Request> Handler<Call<R>> for Federation {
    type Result = ResponseFuture<Result<R::Output, Fault>>;

    fn handle(&mut self, call: Call<R>, _context: &mut Context<Self>) -> Self::Result {
        let client = Rc::clone(&self.client);
        let Call { request, permit } = call;
        // In its own task: a panic caused by a homeserver's response must not end
        // the actor.
        let task = tokio::task::spawn_local(async move { request.run(&client).await });
        Box::pin(async move {
            let result = task.await;
            // Together with the reply, so that a drain does not end the thread before it.
            drop(permit);
            result.map_err(|_panicked| Fault::Panicked(NAME))
        })
    }
}

#[cfg(test)]
mod tests;
