//! Three processes on one database, behind a load balancer that gives each request to the
//! next one and asks `/ready`.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web::block;
use futures_util::future::{join, join_all};

use crate::harness::{
    Api, Backend, Balancer, Signal, SmtpServer, TestDatabase, TestProcess, fresh_address,
    wait_until,
};

const USER: &str = "@a:example.org";

/// How long a process serves on after SIGTERM: longer than the balancers need to notice.
const DELAY: Duration = Duration::from_secs(3);

fn start(url: &str) -> TestProcess {
    let database = TestDatabase::existing(url);
    TestProcess::start(&database, |settings| {
        settings.http.shutdown_delay = DELAY;
        // All clients have the same address.
        settings.limits.bind_per_client.burst = 0;
        settings.limits.new_addresses_per_client.burst = 0;
        settings.limits.lookup_per_client.burst = 0;
        settings.limits.submit_per_client.burst = 0;
    })
}

/// OPS-11
#[actix_web::test]
async fn three_start_at_once_on_an_empty_database() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    let starts = (0..3).map(|_| {
        let url = database.url.clone();
        block(move || start(&url))
    });
    let mut processes = Vec::new();
    for process in join_all(starts).await {
        processes.push(process.unwrap());
    }
    assert_eq!(database.count("lookup_peppers"), 1);
    let address = fresh_address("three");
    let bound = processes[0].internal();
    let bound = bound.internal_bind("email", &address, USER);
    bound.await.ok();
    for process in &processes {
        process.operations().get("/ready").await.ok();
        let found = process.api().lookup("email", &address).await.ok();
        assert_eq!(found["mxid"], USER);
    }
}

/// The load balancers of the client and the internal listeners.
struct Front {
    client: Balancer,
    internal: Balancer,
}

impl Front {
    fn of(processes: &[TestProcess]) -> Self {
        let balance = |of: fn(&TestProcess) -> SocketAddr| {
            Balancer::start(processes.iter().map(|process| backend(process, of)))
        };
        Self {
            client: balance(|process| process.client),
            internal: balance(|process| process.internal),
        }
    }

    async fn wait_until_used(&self, process: &TestProcess) {
        wait_until("the balancers to use a process", || {
            self.client.uses(process.client) && self.internal.uses(process.internal)
        })
        .await;
    }

    fn add(&self, process: &TestProcess) {
        self.client.add(backend(process, |it| it.client));
        self.internal.add(backend(process, |it| it.internal));
    }

    /// Stops a process while the others serve, and takes it out.
    async fn stop(&self, mut process: TestProcess) {
        process.signal(Signal::TERM);
        let (client, internal) = (process.client, process.internal);
        let ended = block(move || process.wait());
        assert!(ended.await.unwrap().success());
        self.client.remove(client);
        self.internal.remove(internal);
    }

    fn clients(&self) -> (Api, Api) {
        let api = |balancer: &Balancer| Api::new(format!("http://{}", balancer.address));
        (api(&self.client), api(&self.internal))
    }
}

fn backend(process: &TestProcess, of: fn(&TestProcess) -> SocketAddr) -> Backend {
    Backend {
        address: of(process),
        operations: Some(process.operations),
    }
}

/// What a client was answered with success.
#[derive(Default)]
struct Acknowledged {
    bound: RefCell<Vec<String>>,
    /// The address and the sid.
    sent: RefCell<Vec<(String, String)>>,
}

/// Binds, looks up and requests mails until it shall stop.
async fn use_it(front: &Front, done: &Acknowledged, stop: &Cell<bool>) {
    let (api, internal) = front.clients();
    while !stop.get() {
        let address = fresh_address("rolling");
        let bound = internal.internal_bind("email", &address, USER);
        bound.await.ok();
        let found = api.lookup("email", &address).await.ok();
        assert_eq!(found["mxid"], USER);
        done.bound.borrow_mut().push(address);
        let address = fresh_address("rolling");
        let sent = api.request_token(&address, "secret", 1).await.ok();
        let sid = sent["sid"].as_str().unwrap().to_owned();
        done.sent.borrow_mut().push((address, sid));
    }
}

/// OPS-10, OPS-11
#[actix_web::test]
async fn three_are_replaced_in_turn_under_load() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    let processes = [0; 3].map(|_| start(&database.url));
    let front = Front::of(&processes);
    for process in &processes {
        front.wait_until_used(process).await;
    }
    let (done, stop) = (Acknowledged::default(), Cell::new(false));
    let mut next = Vec::new();
    let replace = async {
        for process in processes {
            front.stop(process).await;
            let url = database.url.clone();
            let process = block(move || start(&url)).await.unwrap();
            front.add(&process);
            front.wait_until_used(&process).await;
            next.push(process);
        }
        stop.set(true);
    };
    let clients = join_all((0..3).map(|_| use_it(&front, &done, &stop)));
    join(clients, replace).await;
    let (api, _) = front.clients();
    let (bound, sent) = (done.bound.take(), done.sent.take());
    assert!(bound.len() > 30 && sent.len() > 30, "{}", bound.len());
    for address in bound {
        let found = api.lookup("email", &address).await.ok();
        assert_eq!(found["mxid"], USER);
    }
    for (address, sid) in sent {
        let mail = SmtpServer::shared().mail_to(&address).await;
        let submitted = api.submit_token(&sid, "secret", &mail.token()).await.ok();
        assert_eq!(submitted["success"], true);
    }
    assert_eq!(database.queued("kind = 'mail'"), 0);
}
