//! The owner of the way to homeservers: the client, and what it remembers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, Context, Handler, Message, ResponseFuture};
use futures_util::future::join_all;
use zeroize::Zeroizing;

use super::pool::Fault;
use crate::clock::Clock;
use crate::domain::ids::{KeyId, Mxid, ServerName};
pub use crate::federation::{CallError, KeyError, OnbindFailure, UserInfoError};
use crate::federation::{Client, NoPlace, Place, Places};
use crate::metrics::Metrics;

const NAME: &str = "the way to homeservers";

/// So many calls of one kind may be under way to any host at least.
const LEAST_SHARE: usize = 4;

/// The door to it. A homeserver's "no" is part of an answer; a [`Fault`] is that
/// this server could not ask.
#[derive(Clone)]
pub struct FederationDoor {
    owner: Addr<Federation>,
    // Apart from each other: whoever fills one of them leaves the others free.
    user_infos: Places,
    keys: Places,
    notices: Places,
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
    /// Starts the owner on an arbiter of its own. At most `places` tokens are
    /// asked about at a time, and half as many keys are asked for, and half as
    /// many notices given. One host has a tenth of the former two and half of
    /// the latter, four at least.
    #[must_use]
    pub fn start(client: Client, places: usize, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let half = (places / 2).max(1);
        let arbiter = Arbiter::new();
        let owner = Federation::start_in_arbiter(&arbiter.handle(), move |_context| Federation {
            client: Rc::new(client),
        });
        Self {
            owner,
            user_infos: Places::new(places, (places / 10).max(LEAST_SHARE)),
            keys: Places::new(half, (half / 10).max(LEAST_SHARE)),
            notices: Places::new(half, (half / 2).max(LEAST_SHARE)),
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
        let place = self.place(&self.user_infos, server)?;
        let ask = UserInfo {
            server: server.clone(),
            access_token: Zeroizing::new(access_token.to_owned()),
            now: self.clock.now(),
        };
        let answer = self.ask(ask, place).await?;
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
        let place = self.place(&self.keys, server)?;
        let ask = ServerKey {
            server: server.clone(),
            key_id: key_id.clone(),
            now: self.clock.now(),
        };
        let answer = self.ask(ask, place).await?;
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
    /// (ONB-01, ONB-02). It may be told later where it is being told too much at
    /// a time already.
    ///
    /// # Errors
    /// [`Fault::Busy`] at once when too many calls are under way.
    pub async fn onbind(
        &self,
        server: &ServerName,
        body: String,
    ) -> Result<Result<(), OnbindFailure>, Fault> {
        let place = match self.notices.take(server) {
            Err(NoPlace::HostBusy) => {
                let what = "it is being told of many bindings at this moment".to_owned();
                return Ok(Err(OnbindFailure::Passing { what }));
            }
            taken => taken.map_err(|why| self.refuse(why))?,
        };
        let ask = Onbind {
            server: server.clone(),
            body,
            now: self.clock.now(),
        };
        let answer = self.ask(ask, place).await?;
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

    fn place(&self, places: &Places, server: &ServerName) -> Result<Place, Fault> {
        places.take(server).map_err(|why| self.refuse(why))
    }

    fn refuse(&self, why: NoPlace) -> Fault {
        match why {
            NoPlace::Full | NoPlace::HostBusy => {
                self.metrics.owner_refused(NAME);
                Fault::Busy(NAME)
            }
            NoPlace::Closed => Fault::Stopped(NAME),
        }
    }

    async fn ask<Q>(&self, question: Q, place: Place) -> Result<Q::Answer, Fault>
    where
        Q: Question,
        Federation: Handler<Call<Q>>,
    {
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
        let all = [&self.user_infos, &self.keys, &self.notices];
        let ended = all.map(|places| places.drain(patience));
        join_all(ended).await.into_iter().all(|ended| ended)
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
    access_token: Zeroizing<String>,
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
    _place: Place,
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
        let server = ServerName::parse("hs.example").unwrap();
        let place = || door.place(&door.user_infos, &server).unwrap();
        for _ in 0..3 {
            let panicked = door.ask(Panic, place()).await;
            assert!(
                matches!(panicked, Err(Fault::Panicked(NAME))),
                "{panicked:?}"
            );
            assert!(
                door.ask(Nothing, place()).await.is_ok(),
                "its place is free again"
            );
        }
        assert!(door.is_running());
        let counted = format!("sydent_owner_panics_total{{owner=\"{NAME}\"}} 3");
        assert!(metrics.render().unwrap().contains(&counted));
    }
}
