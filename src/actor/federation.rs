//! The owner of the way to homeservers: the client, and what it remembers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, ResponseFuture};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::pool::Fault;
use crate::clock::Clock;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::federation::Client;
pub use crate::federation::{CallError, KeyError, OnbindFailure, UserInfoError};
use crate::metrics::Metrics;

const NAME: &str = "the way to homeservers";

/// The door to it. A homeserver's "no" is part of an answer; a [`Fault`] is that
/// this server could not ask.
#[derive(Clone)]
pub struct FederationDoor {
    owner: Addr<Federation>,
    free: Arc<Semaphore>,
    places: u32,
    clock: Clock,
    metrics: Arc<Metrics>,
}

struct Federation {
    client: Rc<Client>,
}

impl Actor for Federation {
    type Context = Context<Self>;
}

impl FederationDoor {
    /// Starts the owner on an arbiter of its own; at most `places` calls are
    /// under way at a time.
    #[must_use]
    pub fn start(client: Client, places: usize, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let arbiter = Arbiter::new();
        let owner = Federation::start_in_arbiter(&arbiter.handle(), move |_context| Federation {
            client: Rc::new(client),
        });
        Self {
            owner,
            free: Arc::new(Semaphore::new(places)),
            places: u32::try_from(places).unwrap_or(u32::MAX),
            clock,
            metrics,
        }
    }

    /// Who holds an `OpenID` token of that homeserver (ACC-04 … ACC-06).
    ///
    /// # Errors
    /// [`Fault::Busy`] at once when too many calls are under way.
    pub async fn user_info(
        &self,
        server: &ServerName,
        access_token: &str,
    ) -> Result<Result<Mxid, UserInfoError>, Fault> {
        let ask = UserInfo {
            server: server.clone(),
            access_token: access_token.to_owned(),
            now: self.clock.now(),
        };
        let answer = self.ask(ask).await?;
        self.metrics.homeserver_asked(
            "userinfo",
            match &answer {
                Ok(_) => "answered",
                Err(UserInfoError::UnknownToken) => "refused",
                Err(UserInfoError::Unreachable(_)) => "failed",
                Err(UserInfoError::BadAnswer(_) | UserInfoError::ForeignUser) => "bad answer",
            },
        );
        Ok(answer)
    }

    /// The key of that id with which the homeserver signs now; `None` if it has
    /// no such key (NET-17 … NET-20).
    ///
    /// # Errors
    /// [`Fault::Busy`] at once when too many calls are under way.
    pub async fn server_key(
        &self,
        server: &ServerName,
        key_id: &KeyId,
    ) -> Result<Result<Option<[u8; 32]>, KeyError>, Fault> {
        let ask = ServerKey {
            server: server.clone(),
            key_id: key_id.clone(),
            now: self.clock.now(),
        };
        let answer = self.ask(ask).await?;
        self.metrics.homeserver_asked(
            "keys",
            match &answer {
                Ok(_) => "answered",
                Err(KeyError::Unreachable(_)) => "failed",
                Err(KeyError::BadAnswer(_)) => "bad answer",
            },
        );
        Ok(answer)
    }

    /// Tells a homeserver of a binding of one of its users; `body` is JSON
    /// (ONB-01, ONB-02).
    ///
    /// # Errors
    /// [`Fault::Busy`] at once when too many calls are under way.
    pub async fn onbind(
        &self,
        server: &ServerName,
        body: String,
    ) -> Result<Result<(), OnbindFailure>, Fault> {
        let ask = Onbind {
            server: server.clone(),
            body,
            now: self.clock.now(),
        };
        let answer = self.ask(ask).await?;
        self.metrics.homeserver_asked(
            "onbind",
            match &answer {
                Ok(()) => "answered",
                Err(OnbindFailure::Final { .. }) => "refused",
                Err(OnbindFailure::Passing { .. }) => "failed",
            },
        );
        Ok(answer)
    }

    async fn ask<Q>(&self, question: Q) -> Result<Q::Answer, Fault>
    where
        Q: Question,
        Federation: Handler<Call<Q>>,
    {
        let place = Arc::clone(&self.free)
            .try_acquire_owned()
            .map_err(|error| match error {
                TryAcquireError::NoPermits => {
                    self.metrics.owner_refused(NAME);
                    Fault::Busy(NAME)
                }
                TryAcquireError::Closed => Fault::Stopped(NAME),
            })?;
        let call = Call {
            question,
            _place: place,
        };
        let asked = self.owner.send(call).await;
        let answer = asked.unwrap_or(Err(Fault::Stopped(NAME)));
        if let Err(Fault::Panicked(owner)) = &answer {
            self.metrics.owner_panicked(owner);
        }
        answer
    }

    /// Whether the owner lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.owner.connected()
    }

    /// Lets nothing more in and waits for the calls that are under way; answers
    /// whether all of them ended within `patience`.
    pub async fn drain(&self, patience: Duration) -> bool {
        let all = tokio::time::timeout(patience, self.free.acquire_many(self.places)).await;
        self.free.close();
        all.is_ok()
    }
}

/// What is asked of a homeserver.
trait Question: Send + 'static {
    type Answer: Send + 'static;

    /// Asks it.
    async fn put(self, client: &Client) -> Self::Answer;
}

struct UserInfo {
    server: ServerName,
    access_token: String,
    now: i64,
}

impl Question for UserInfo {
    type Answer = Result<Mxid, UserInfoError>;

    async fn put(self, client: &Client) -> Self::Answer {
        let Self { server, now, .. } = &self;
        client.user_info(server, &self.access_token, *now).await
    }
}

struct ServerKey {
    server: ServerName,
    key_id: KeyId,
    now: i64,
}

impl Question for ServerKey {
    type Answer = Result<Option<[u8; 32]>, KeyError>;

    async fn put(self, client: &Client) -> Self::Answer {
        client
            .server_key(&self.server, &self.key_id, self.now)
            .await
    }
}

struct Onbind {
    server: ServerName,
    body: String,
    now: i64,
}

impl Question for Onbind {
    type Answer = Result<(), OnbindFailure>;

    async fn put(self, client: &Client) -> Self::Answer {
        client.onbind(&self.server, &self.body, self.now).await
    }
}

struct Call<Q> {
    question: Q,
    // Travels with the question, so that the door counts what is under way, also
    // when nobody waits for it any more.
    _place: OwnedSemaphorePermit,
}

impl<Q: Question> Message for Call<Q> {
    type Result = Result<Q::Answer, Fault>;
}

impl<Q: Question> Handler<Call<Q>> for Federation {
    type Result = ResponseFuture<Result<Q::Answer, Fault>>;

    fn handle(&mut self, call: Call<Q>, _context: &mut Context<Self>) -> Self::Result {
        let client = Rc::clone(&self.client);
        // In a task of its own: what a homeserver sends must not be able to end
        // the owner, should it make something panic.
        let asked = tokio::task::spawn_local(async move {
            let Call { question, _place } = call;
            question.put(&client).await
        });
        Box::pin(async move { asked.await.map_err(|_panicked| Fault::Panicked(NAME)) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config;
    use crate::domain::homeservers::HomeserverLists;

    /// A question that no homeserver should be able to provoke.
    struct Panic;

    impl Question for Panic {
        type Answer = ();

        async fn put(self, _client: &Client) {
            panic!("a test wants it");
        }
    }

    /// One that is answered without asking anybody.
    struct Nothing;

    impl Question for Nothing {
        type Answer = ();

        async fn put(self, _client: &Client) {}
    }

    #[actix_web::test]
    async fn a_panic_ends_a_call_and_not_the_owner() {
        let settings = config::Federation {
            allow_ranges: Vec::new(),
            block_ranges: Vec::new(),
            extra_authorities: Vec::new(),
            verify_certificates: true,
            proxy: None,
            timeout: Duration::from_secs(1),
            concurrency: 1,
            dns_servers: vec!["127.0.0.1:9".parse().unwrap()],
            homeservers: HomeserverLists::default(),
            hosts: BTreeMap::new(),
        };
        let client = Client::open(&settings).unwrap();
        let metrics: Arc<Metrics> = Arc::default();
        let door = FederationDoor::start(client, 1, Clock::system(), Arc::clone(&metrics));
        for _ in 0..3 {
            let panicked = door.ask(Panic).await;
            assert!(
                matches!(panicked, Err(Fault::Panicked(NAME))),
                "{panicked:?}"
            );
            assert!(door.ask(Nothing).await.is_ok(), "its place is free again");
        }
        assert!(door.is_running());
        let counted = format!("sydent_owner_panics_total{{owner=\"{NAME}\"}} 3");
        assert!(metrics.render().unwrap().contains(&counted));
    }
}
