//! A server inside the test process: what `main` starts, in a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use sydent::actor::accounts::OpenAccount;
use sydent::app::App;
use sydent::clock::Clock;
use sydent::config::Settings;
use sydent::domain::secret::TokenHash;
use sydent::server::{Addresses, Server};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{
    Api, BASE_URL, KEY_FILE, Listener, Mail, SERVER_NAME, SmtpServer, TestDatabase, TestDns,
    eventually, fresh_address,
};

/// A running server. It stops when it goes out of scope.
pub struct TestServer {
    pub app: Arc<App>,
    pub addresses: Addresses,
    pub database: TestDatabase,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    clock: Option<Arc<AtomicI64>>,
    _folder: TempDir,
}

/// A session whose token was shown.
pub struct Validated {
    pub sid: String,
    pub client_secret: String,
    pub address: String,
}

impl TestServer {
    /// A server with every listener on, mail to the shared SMTP server, and
    /// what `change` makes of the settings.
    pub fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::run(TestDatabase::fresh(), Clock::system(), None, change)
    }

    /// A server whose clock stands still until [`Self::advance`] moves it.
    pub fn start_with_clock(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with_clock_on(TestDatabase::fresh(), change)
    }

    /// The same on a database that is there already; all such clocks begin at
    /// the same moment.
    pub fn start_with_clock_on(database: TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        let (clock, hand) = Clock::settable(1_800_000_000_000);
        Self::run(database, clock, Some(hand), change)
    }

    /// A server whose clock stands still, until [`Self::advance`] moves it, at
    /// the moment of its start: other servers can understand its times.
    pub fn start_with_clock_of_now(change: impl FnOnce(&mut Settings)) -> Self {
        let (clock, hand) = Clock::settable(Clock::system().now());
        Self::run(TestDatabase::fresh(), clock, Some(hand), change)
    }

    /// A server on a database that is there already.
    pub fn start_on(database: TestDatabase, change: impl FnOnce(&mut Settings)) -> Self {
        Self::run(database, Clock::system(), None, change)
    }

    fn run(
        database: TestDatabase,
        clock: Clock,
        hand: Option<Arc<AtomicI64>>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, &database);
        change(&mut settings);
        let config = settings
            .into_config()
            .unwrap_or_else(|problems| panic!("{problems}"));
        let (tell_started, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = Server::start(config, clock).unwrap_or_else(|error| panic!("{error}"));
                tell_started
                    .send((Arc::clone(server.app()), server.addresses().clone()))
                    .unwrap();
                let stop = async { drop(stopped.await) };
                server
                    .run(stop)
                    .await
                    .unwrap_or_else(|error| panic!("{error}"));
            });
        });
        let (app, addresses) = started.recv().expect("the server starts");
        Self {
            app,
            addresses,
            database,
            stop: Some(stop),
            thread: Some(thread),
            clock: hand,
            _folder: folder,
        }
    }

    /// A client of the public listener.
    pub fn api(&self) -> Api {
        Api::new(format!("http://{}", self.addresses.client[0]))
    }

    /// A client of v2 with a fresh access token of that user, who has accepted
    /// no terms.
    pub async fn account(&self, user: &str) -> Api {
        let api = self.api();
        let token = fresh_address("token");
        let open = OpenAccount {
            user: user.parse().unwrap(),
            token_hash: TokenHash::of(&token),
            now: self.now(),
        };
        self.app.accounts.send(open).await.unwrap();
        api.with_token(token)
    }

    /// A client of that listener whom nothing refuses for want of an account.
    pub async fn admitted(&self, listener: Listener) -> Api {
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

    /// What the clock says, ms.
    pub fn now(&self) -> i64 {
        self.app.clock.now()
    }

    /// Asks for a token and finds the mail that carries it; answers the sid.
    pub async fn requested(&self, address: &str, client_secret: &str) -> (String, Mail) {
        let sid = self
            .api()
            .request_token(address, client_secret, 1)
            .await
            .ok();
        let mail = SmtpServer::shared().mail_to(address).await;
        (sid["sid"].as_str().unwrap().to_owned(), mail)
    }

    /// Waits until no mail is on its way any more. Notices may be: most users of
    /// tests have no homeserver.
    pub async fn queue_is_empty(&self) {
        eventually("an empty queue", async || {
            (self.database.queued("kind <> 'onbind'") == 0).then_some(())
        })
        .await;
    }

    /// All mails to an address, the oldest first, once none is on its way any
    /// more.
    pub async fn mails_sent(&self, address: &str) -> Vec<Mail> {
        self.queue_is_empty().await;
        SmtpServer::shared().mails_to(address)
    }

    /// Goes all the way to a validated session.
    pub async fn validated(&self, address: &str) -> Validated {
        let (sid, mail) = self.requested(address, "secret").await;
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

    /// Says stop as SIGTERM does.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Stops as SIGTERM does, and waits for the end.
    pub fn stop(&mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the server ended badly"
            );
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The settings that every test server begins with.
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
    // All tests come from one address.
    settings.limits.email_per_client.burst = 0;
    settings.limits.invites_per_client.burst = 0;
    settings.limits.invites_per_sender.burst = 0;
    settings.limits.register_per_client.burst = 0;
    settings.limits.sms_per_client.burst = 0;
    SmtpServer::shared().configure(&mut settings);
    // Names that a test does not define lead nowhere, and nobody outside is asked.
    TestDns::empty().configure(&mut settings);
    settings
}
