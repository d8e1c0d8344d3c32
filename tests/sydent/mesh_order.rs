//! A Python Sydent and two of these servers answer alike after random changes of
//! the same addresses, with clocks apart, restarts, kills and outages.
//!
//! `MESH_SEEDS=1,2,3 MESH_OPERATIONS=2000 cargo test --test sydent mesh_order` runs
//! it for longer.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use serde_json::json;

use crate::harness::mesh::{Load, bound_user};
use crate::harness::{Api, Node, TestDatabase, TestProcess, TestServer};
use crate::python::RealSydent;

/// How far each clock is from the real one at most, ms: two are up to five minutes
/// apart.
const APART: i64 = 150_000;

/// The members: one in the test's process, one that can be killed, and a Sydent.
struct Mesh {
    nodes: [Node; 3],
    one: Option<TestServer>,
    two: Option<TestProcess>,
    database: TestDatabase,
    sydent: RealSydent,
    sydent_is_up: bool,
    /// How far the clock of the first and of the Sydent are from the real one.
    apart: [i64; 2],
}

fn real_now() -> i64 {
    sydent::clock::Clock::system().now().as_i64()
}

impl Mesh {
    async fn start(apart: [i64; 2]) -> Self {
        let nodes = ["a.mesh.test", "b.mesh.test", "c.mesh.test"].map(Node::new);
        let [a, b, c] = &nodes;
        let one = TestServer::start_with_clock_at(real_now() + apart[0], |settings| {
            a.configure(&[b, c], settings);
        });
        let database = TestDatabase::fresh();
        let two = TestProcess::start(&database, |settings| b.configure(&[a, c], settings));
        let sydent = RealSydent::start(|conf| c.configure_sydent(&[a, b], conf)).await;
        a.introduce_to(&sydent);
        b.introduce_to(&sydent);
        sydent.set_clock_apart(apart[1]);
        Self {
            nodes,
            one: Some(one),
            two: Some(two),
            database,
            sydent,
            sydent_is_up: true,
            apart,
        }
    }

    /// Lets the settable clock follow the real one.
    fn tick(&self) {
        if let Some(one) = &self.one {
            one.advance(real_now() + self.apart[0] - one.now());
        }
    }

    fn internal(&self, member: usize) -> Option<Api> {
        match member {
            0 => self.one.as_ref().map(TestServer::internal),
            1 => self.two.as_ref().map(TestProcess::internal),
            _ => self.sydent_is_up.then(|| self.sydent.internal()),
        }
    }

    /// Ends or starts a member.
    async fn toggle(&mut self, member: usize) {
        let [a, b, c] = &self.nodes;
        match member {
            0 => {
                let one = self.one.take().unwrap();
                let now = real_now() + self.apart[0];
                let one = one.start_again_at(now, |settings| a.configure(&[b, c], settings));
                self.one = Some(one);
            }
            1 => {
                if let Some(mut two) = self.two.take() {
                    two.kill();
                } else {
                    let configure = |settings: &mut _| b.configure(&[a, c], settings);
                    self.two = Some(TestProcess::start(&self.database, configure));
                }
            }
            _ if self.sydent_is_up => {
                self.sydent.stop();
                self.sydent_is_up = false;
            }
            _ => {
                self.sydent.restart().await;
                self.sydent_is_up = true;
            }
        }
    }

    /// Moves the clock of the first member or of the Sydent.
    fn step(&mut self, which: usize, apart: i64) {
        self.apart[which] = apart;
        self.sydent.set_clock_apart(self.apart[1]);
        self.tick();
    }

    /// Makes a member push everything once more.
    fn push_again(&self, member: usize) {
        let again = "UPDATE replication_peers SET sent_id = 0";
        match member {
            0 => self.one.as_ref().unwrap().database.execute(again),
            1 => self.database.execute(again),
            _ => {
                let database = self.sydent.database();
                crate::harness::database::sqlite(database.to_str().unwrap())
                    .batch_execute("UPDATE peers SET lastSentVersion = 0")
                    .unwrap();
            }
        }
    }
}

/// Runs the load, and returns in how many addresses the members differ at the end,
/// by the v1 and by the hashed lookup.
async fn differing(seed: u64, operations: usize, apart: [i64; 2], stepping: bool) -> [usize; 2] {
    let mut mesh = Mesh::start(apart).await;
    let mut load = Load::new(seed, 25);
    let mut done = 0;
    while done < operations {
        mesh.tick();
        let member = load.random.below(3);
        if let Some(internal) = mesh.internal(member) {
            load.change(&internal).await;
            done += 1;
        }
        if load.random.one_in(20) {
            let pause = load.random.below(1500) as u64;
            actix_web::rt::time::sleep(Duration::from_millis(pause)).await;
        }
        if load.random.one_in(60) {
            mesh.toggle(load.random.below(3)).await;
        }
        if stepping && load.random.one_in(40) {
            let which = load.random.below(2);
            let apart = load.random.within(APART);
            mesh.step(which, apart);
        }
        if load.random.one_in(50) {
            mesh.push_again(load.random.below(3));
        }
    }
    if mesh.two.is_none() {
        mesh.toggle(1).await;
    }
    if !mesh.sydent_is_up {
        mesh.toggle(2).await;
    }
    // A Sydent does not find its own bindings until its clock has reached them.
    mesh.step(1, APART + 1000);
    let apis = [
        mesh.one.as_ref().unwrap().api(),
        mesh.two.as_ref().unwrap().api(),
        mesh.sydent.api(),
    ];
    let left = load.settle(&apis, 60, || mesh.tick()).await;
    for (address, answers) in &left {
        println!("seed {seed}: {address}: {answers:?}");
    }
    let user = mesh.sydent.account();
    let pepper = user.hash_details().await.ok()["lookup_pepper"].clone();
    let entries: Vec<String> = load
        .addresses
        .iter()
        .map(|it| format!("{it} email"))
        .collect();
    let asked = json!({"algorithm": "none", "pepper": pepper, "addresses": entries});
    let found = user.hashed_lookup(asked).await.ok();
    let mut hashed = 0;
    for (address, entry) in load.addresses.iter().zip(&entries) {
        let expected = bound_user(&apis[0], address).await;
        hashed += usize::from(found["mappings"][entry].as_str() != expected.as_deref());
    }
    [left.len(), hashed]
}

/// INT-03, UNB-18
#[actix_web::test]
async fn all_answer_alike_after_random_changes() {
    let seeds = variable("MESH_SEEDS", "1");
    let operations = variable("MESH_OPERATIONS", "150").parse().unwrap();
    let mut failed = false;
    for seed in seeds.split(',').map(|seed| seed.parse().unwrap()) {
        for (apart, stepping) in [
            ([0, 0], false),
            ([-APART, APART], false),
            ([APART, -APART], true),
        ] {
            let [plain, hashed] = differing(seed, operations, apart, stepping).await;
            println!(
                "seed {seed}, {operations} operations, clocks {apart:?} ms, stepping {stepping}: \
                 {plain} of 25 differ (hashed lookup: {hashed})"
            );
            failed |= plain > 0;
        }
    }
    assert!(!failed, "see the output");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment says how long to test"
)]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}
