//! Several instances of a server on one database, behind a load balancer.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use sydent::app::App;
use sydent::clock::Clock;
use sydent::config::{Config, Settings};
use sydent::server::{Addresses, Server};
use tokio::sync::oneshot;

use super::{Backend, Balancer, TestDatabase, repository};

/// What does not run on several instances: modules (with `::`) and tests, each with the
/// reason. `tests/run fleet` reads it.
#[cfg(test)]
const ONE_PROCESS: &str = "
architecture::  reads the source
bind_limits::notifications_per_homeserver_are_limited  each instance counts by itself
command_line::  runs commands
commits::  reads the metrics of one instance
config_command::  runs a command
conformance_map::  reads the source
connections::  breaks the rules of HTTP, which one process notices
crash::  kills a process
database_command::  runs a command on SQLite
debug_texts::  needs no server
demo::  runs a command, which has one instance
drain::  signals processes
drops::  needs no server
expand_contract::  needs no server
fair_limits::mails_in_all_are_limited  reads the metrics of one instance
hangup::  blocks the actors of one instance
harvesting::only_new_addresses_count_for_an_account  a new address counts up to once on each instance
harvesting::some_lookups_go_on_while_writes_wait  blocks the actors of one instance
hashed_lookup::many::entries_per_account_are_limited  each instance counts by itself
import_conf::  runs a command
key_rotation::  starts processes
log_hygiene::  reads the log of a process
mesh_receive::changes::invalid_changes_are_skipped  reads the metrics of one instance
mesh_receive::changes::push_with_the_wrong_key_is_refused  reads the metrics of one instance
mesh_receive::refusals::peer_without_a_valid_certificate_is_refused  reads the metrics of one instance
migrations::  needs no server
operations::  reads the metrics of one instance
outage::  starts processes
overload::  blocks the actors of one instance
pauses::  each instance leaves a provider alone by itself
person::retention::rows_are_removed_when_they_are_old  reads the metrics of one instance
readme::  reads the documents
register::limits_apply_per_client_and_per_homeserver  each instance counts what it refuses
relay::mails_share_one_connection  each instance has connections of its own
relay_stalls::clock_jump_does_not_send_a_mail_twice  the clocks of all instances jump, so a lease ends
relay_troubles::relay_that_wants_a_login_is_reported  reads what one instance reports
relay_troubles::unknown_code_after_the_message_is_a_refusal  reads the metrics of one instance
replica::  has a standby of its own
rolling::  starts processes
shared_waits::few_copies_of_a_request_wait  each instance counts by itself
shared_waits::waiting_requests_of_one_client_are_limited  each instance counts by itself
shutdown::  signals a process
sign_ed25519::signatures_per_client_are_limited  each instance counts by itself
sms_limits::submits_per_client_are_limited_for_all_media  each instance counts by itself
smtp_server::  needs no server
start::  starts processes
store_invite::limits::probing_bound_addresses_counts_as_lookups  each instance counts by itself
submit_page::overloaded_server_shows_an_error_page  blocks the actors of one instance
templates_command::  runs a command
unbind::homeserver_unbinds_like_synapse  each instance has a cache of its own
unbind::limits::cached_keys_cost_no_charge  each instance has a cache of its own
unbind::limits::malformed_signatures_are_counted  each instance counts what it refuses
v1_switches::lookups_per_client_are_limited  each instance counts by itself
worker_loops::  the tests start the other instance, and say what it does alone
";

/// How many instances each test server has: `TEST_INSTANCES`, which needs PostgreSQL.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says how many instances there are"
)]
pub fn number_of_instances(database: &TestDatabase) -> usize {
    let Ok(number) = std::env::var("TEST_INSTANCES") else {
        return 1;
    };
    assert!(database.is_postgres(), "TEST_INSTANCES needs PostgreSQL");
    number.parse().expect("TEST_INSTANCES is a number")
}

/// One or more instances with the same settings.
pub struct Fleet {
    /// Those of the load balancer if there is one. The operations listeners have none: each
    /// answers for its instance, and these are those of the first.
    pub addresses: Addresses,
    instances: Vec<Instance>,
    balancers: Vec<Balancer>,
}

impl Fleet {
    /// Starts all of them at once.
    pub fn start(settings: &Settings, clock: &Clock, number: usize) -> Self {
        let mut starting = Vec::new();
        let mut of_each = settings.clone();
        if number > 1 {
            free_ports(&mut of_each);
        }
        for index in 0..number {
            if index == 1 {
                for address in &mut of_each.operations.listen {
                    address.set_port(0);
                }
            }
            let config = of_each.clone().into_config();
            let config = config.unwrap_or_else(|problems| panic!("{problems}"));
            starting.push(Starting::new(config, clock.clone()));
        }
        let instances = starting.into_iter().map(Starting::wait);
        let mut fleet = Self {
            addresses: Addresses::default(),
            instances: instances.collect(),
            balancers: Vec::new(),
        };
        fleet.addresses = fleet.instances[0].addresses.clone();
        if number > 1 {
            fleet.balance(settings);
        }
        fleet
    }

    /// The first instance.
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.instances[0].app)
    }

    /// Loads the terms again, as SIGHUP does.
    pub fn reload_terms(&self) {
        for instance in &self.instances {
            instance.app.terms.reload();
        }
    }

    pub fn begin_stop(&mut self) {
        for instance in &mut self.instances {
            drop(instance.stop.take());
        }
    }

    pub fn stop(&mut self) {
        self.begin_stop();
        for instance in &mut self.instances {
            instance.wait_for_end();
        }
        self.balancers.clear();
    }

    /// Starts load balancers where the settings say that the server listens.
    fn balance(&mut self, settings: &Settings) {
        let replication = settings.replication.listen.parse::<SocketAddr>().ok();
        self.addresses.client = self.in_front_of(&settings.http.listen, |all| &all.client);
        self.addresses.internal = self.in_front_of(&settings.internal.listen, |all| &all.internal);
        self.addresses.replication =
            self.in_front_of(replication.as_slice(), |all| &all.replication);
    }

    fn in_front_of(
        &mut self,
        listen: &[SocketAddr],
        of: fn(&Addresses) -> &Vec<SocketAddr>,
    ) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for (index, address) in listen.iter().enumerate() {
            let backends = self.instances.iter().map(|instance| Backend {
                address: of(&instance.addresses)[index],
                operations: None,
            });
            let balancer = Balancer::start_at(*address, backends);
            addresses.push(balancer.address);
            self.balancers.push(balancer);
        }
        addresses
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lets the load balancer have the ports.
fn free_ports(settings: &mut Settings) {
    let listen = [&mut settings.http.listen, &mut settings.internal.listen];
    for address in listen.into_iter().flatten() {
        address.set_port(0);
    }
    if let Ok(mut address) = settings.replication.listen.parse::<SocketAddr>() {
        address.set_port(0);
        settings.replication.listen = address.to_string();
    }
}

/// A running instance.
struct Instance {
    app: Arc<App>,
    addresses: Addresses,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Instance {
    fn wait_for_end(&mut self) {
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the server panicked"
            );
        }
    }
}

/// An instance that is about to run.
struct Starting {
    started: mpsc::Receiver<(Arc<App>, Addresses)>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Starting {
    fn new(config: Config, clock: Clock) -> Self {
        let (send_started, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = Server::start(config, clock).unwrap_or_else(|error| panic!("{error}"));
                send_started
                    .send((Arc::clone(server.app()), server.addresses().clone()))
                    .unwrap();
                let stop = async { drop(stopped.await) };
                server
                    .run(stop)
                    .await
                    .unwrap_or_else(|error| panic!("{error}"));
            });
        });
        Self {
            started,
            stop,
            thread,
        }
    }

    fn wait(self) -> Instance {
        let (app, addresses) = self.started.recv().expect("the server starts");
        Instance {
            app,
            addresses,
            stop: Some(self.stop),
            thread: Some(self.thread),
        }
    }
}

#[test]
fn what_needs_one_process_exists() {
    for entry in ONE_PROCESS.trim().lines() {
        let (name, reason) = entry.split_once(' ').unwrap_or((entry, ""));
        assert!(!reason.trim().is_empty(), "{entry}: without a reason");
        let (module, test) = name.rsplit_once("::").unwrap();
        let file = repository(&format!("tests/it/{}.rs", module.replace("::", "/")));
        let source =
            std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("no module: {entry}"));
        let is_there = test.is_empty() || source.contains(&format!(" fn {test}("));
        assert!(is_there, "no test: {entry}");
    }
}
