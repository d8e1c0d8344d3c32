//! A server in the test process: what `main` starts, in a thread. With `TEST_INSTANCES` it
//! has several instances, between which a load balancer spreads the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sydent::actor::accounts::OpenAccount;
use sydent::app::App;
use sydent::clock::Clock;
use sydent::config::Settings;
use sydent::domain::secret::TokenHash;
use sydent::server::Addresses;
use tempfile::TempDir;

use super::instances::{Fleet, number_of_instances};
use super::{
    Api, BASE_URL, KEY_FILE, Listener, Mail, SERVER_NAME, SmtpServer, TestDatabase, TestDns,
    fresh_address, wait_for,
};

/// A running server. It stops when it goes out of scope.
pub struct TestServer {
    /// Of the first instance.
    pub app: Arc<App>,
    /// Those of the load balancer if there is one.
    pub addresses: Addresses,
    pub database: TestDatabase,
    fleet: Fleet,
    clock: Option<Arc<AtomicI64>>,
    _folder: TempDir,
}

/// A validated session.
pub struct Validated {
    pub sid: String,
    pub client_secret: String,
    pub address: String,
}

impl TestServer {
    /// A server with all listeners, mail to the shared SMTP server, and the
    /// changes that `change` makes to the settings.
    pub fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::run(TestDatabase::fresh(), &Clock::system(), None, change)
    }

    /// A server whose clock moves only by [`Self::advance`].
    pub fn start_with_clock(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with_clock_on(TestDatabase::fresh(), change)
    }

    /// The same on an existing database. All these clocks start at the same time.
    pub fn start_with_clock_on(database: TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        let (clock, handle) = Clock::settable(1_800_000_000_000);
        Self::run(database, &clock, Some(handle), change)
    }

    /// A server whose clock starts at the current time, for tests with servers that
    /// have real clocks, and moves only by [`Self::advance`].
    pub fn start_with_clock_at_now(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with_clock_at(Clock::system().now().as_i64(), change)
    }

    /// A server whose clock starts at that time. Set back later, the janitor's first
    /// run could take what is queued then for expired.
    pub fn start_with_clock_at(now: i64, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with_clock_on_at(TestDatabase::fresh(), now, change)
    }

    /// The same on an existing database.
    pub fn start_with_clock_on_at(
        database: TestDatabase,
        now: i64,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let (clock, handle) = Clock::settable(now);
        Self::run(database, &clock, Some(handle), change)
    }

    /// A server on an existing database.
    pub fn start_on(database: TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        Self::run(database, &Clock::system(), None, change)
    }

    fn run(
        database: TestDatabase,
        clock: &Clock,
        handle: Option<Arc<AtomicI64>>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, &database);
        change(&mut settings);
        let fleet = Fleet::start(&settings, clock, number_of_instances(&database));
        Self {
            app: fleet.app(),
            addresses: fleet.addresses.clone(),
            database,
            fleet,
            clock: handle,
            _folder: folder,
        }
    }

    /// A client of the public listener.
    pub fn api(&self) -> Api {
        Api::new(format!("http://{}", self.addresses.client[0]))
    }

    /// A client of v2 with a new access token of that user, who has not accepted
    /// the terms.
    pub async fn account(&self, user: &str) -> Api {
        let api = self.api();
        let token = fresh_address("token");
        let open = OpenAccount {
            user: user.parse().unwrap(),
            token_hash: TokenHash::new(&token),
            now: self.now(),
        };
        self.app.accounts.send(open).await.unwrap();
        api.with_token(token)
    }

    /// A client of that listener, with an access token if it needs one.
    pub async fn api_with_access(&self, listener: Listener) -> Api {
        match listener {
            Listener::Client => self.account("@a:example.org").await,
            other => self.listener(other),
        }
    }

    /// A client of the internal listener.
    pub fn internal(&self) -> Api {
        Api::new(format!("http://{}", self.addresses.internal[0]))
    }

    /// A client of the operations listener.
    pub fn operations(&self) -> Api {
        Api::new(format!("http://{}", self.addresses.operations[0]))
    }

    /// A client of that listener.
    pub fn listener(&self, listener: Listener) -> Api {
        match listener {
            Listener::Client => self.api(),
            Listener::Internal => self.internal(),
            Listener::Operations => self.operations(),
        }
    }

    /// Moves the clock.
    pub fn advance(&self, ms: i64) {
        self.clock
            .as_ref()
            .expect("start_with_clock")
            .fetch_add(ms, Ordering::SeqCst);
    }

    /// The time of its clock, ms.
    pub fn now(&self) -> i64 {
        self.app.clock.now().as_i64()
    }

    /// Requests a token by mail; returns the sid and the mail.
    pub async fn request_mail(&self, address: &str, client_secret: &str) -> (String, Mail) {
        let sid = self
            .api()
            .request_token(address, client_secret, 1)
            .await
            .ok();
        let mail = SmtpServer::shared().mail_to(address).await;
        (sid["sid"].as_str().unwrap().to_owned(), mail)
    }

    /// Waits until the queue has no mails. Onbind notifications may remain: most
    /// users of the tests have no homeserver.
    pub async fn wait_until_queue_empty(&self) {
        wait_for("an empty queue", async || {
            (self.database.queued("kind <> 'onbind'") == 0).then_some(())
        })
        .await;
    }

    /// All mails to an address, the oldest first, after the queue is empty.
    pub async fn mails_sent(&self, address: &str) -> Vec<Mail> {
        self.wait_until_queue_empty().await;
        SmtpServer::shared().mails_to(address)
    }

    /// Validates an address.
    pub async fn validate(&self, address: &str) -> Validated {
        let (sid, mail) = self.request_mail(address, "secret").await;
        self.api()
            .submit_token(&sid, "secret", &mail.token())
            .await
            .ok();
        Validated {
            sid,
            client_secret: "secret".to_owned(),
            address: address.to_owned(),
        }
    }

    /// Starts a stopped server again on the same database.
    pub fn start_again(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        self.stop();
        let url = self.database.url.clone();
        let old = std::mem::replace(&mut self.database, TestDatabase::existing(&url));
        Self::start_on(old, change)
    }

    /// The same with a clock that starts at that time and moves only by
    /// [`Self::advance`].
    pub fn start_again_at(mut self, now: i64, change: impl FnOnce(&mut Settings)) -> Self {
        self.stop();
        let url = self.database.url.clone();
        let old = std::mem::replace(&mut self.database, TestDatabase::existing(&url));
        let (clock, handle) = Clock::settable(now);
        Self::run(old, &clock, Some(handle), change)
    }

    /// Loads the terms again, as SIGHUP does.
    pub fn reload_terms(&self) {
        self.fleet.reload_terms();
    }

    /// Starts the shutdown, as SIGTERM does.
    pub fn begin_stop(&mut self) {
        self.fleet.begin_stop();
    }

    /// Shuts down, as SIGTERM does, and waits until it ended.
    pub fn stop(&mut self) {
        self.fleet.stop();
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The settings of every test server, before a test changes them.
pub fn settings(folder: &TempDir, database: &TestDatabase) -> Settings {
    let key_file = folder.path().join("signing.key");
    std::fs::write(&key_file, KEY_FILE).unwrap();
    let here = || vec!["127.0.0.1:0".parse().unwrap()];
    let mut settings = Settings::default();
    settings.server.name = Some(SERVER_NAME.parse().unwrap());
    settings.server.public_base_url = Some(BASE_URL.to_owned());
    settings.server.signing_key_file = Some(key_file);
    settings.database.url = Some(database.url.clone().into());
    settings.database.readers = 2;
    settings.database.writers = 2;
    settings.http.listen = here();
    settings.http.workers = 2;
    settings.internal.listen = here();
    settings.operations.listen = here();
    // All tests have the same client address.
    settings.limits.email_per_client.burst = 0;
    settings.limits.invites_per_client.burst = 0;
    settings.limits.invites_per_sender.burst = 0;
    settings.limits.register_per_client.burst = 0;
    settings.limits.sms_per_client.burst = 0;
    SmtpServer::shared().configure(&mut settings);
    // No name resolves, and no name server outside is queried.
    TestDns::empty().configure(&mut settings);
    settings
}
