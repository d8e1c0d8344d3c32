//! A mesh under a random load, and the comparison of what its members answer.

use std::time::Duration;

use super::{Api, fresh_address};

/// Random numbers that are the same for the same seed (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % limit as u64).unwrap()
    }

    /// Whether it is one of so many cases.
    pub fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    /// A time between `-ms` and `ms`.
    pub fn within(&mut self, ms: i64) -> i64 {
        let span = usize::try_from(2 * ms + 1).unwrap();
        i64::try_from(self.below(span)).unwrap() - ms
    }
}

/// Addresses that all members bind and unbind.
pub struct Load {
    pub random: Random,
    pub addresses: Vec<String>,
    users: Vec<String>,
}

impl Load {
    pub fn new(seed: u64, addresses: usize) -> Self {
        Self {
            random: Random::new(seed),
            addresses: (0..addresses).map(|_| fresh_address("shared")).collect(),
            users: (0..4).map(|user| format!("@u{user}:example.org")).collect(),
        }
    }

    /// Binds or unbinds a random address at the internal listener of a member.
    pub async fn change(&mut self, internal: &Api) {
        let (addresses, users) = (self.addresses.len(), self.users.len());
        let address = &self.addresses[self.random.below(addresses)];
        let user = &self.users[self.random.below(users)];
        if self.random.one_in(2) {
            internal.internal_bind("email", address, user).await.ok();
        } else {
            internal.internal_unbind("email", address, user).await.ok();
        }
    }

    /// The addresses for which the members do not all answer the same, with the
    /// answers.
    pub async fn differences(&self, members: &[Api]) -> Vec<(String, Vec<Option<String>>)> {
        let mut differences = Vec::new();
        for address in &self.addresses {
            let mut answers = Vec::new();
            for member in members {
                answers.push(bound_user(member, address).await);
            }
            if answers.windows(2).any(|pair| pair[0] != pair[1]) {
                differences.push((address.clone(), answers));
            }
        }
        differences
    }

    /// Waits until all members answer alike for every address; `meanwhile` runs
    /// before each comparison, of which there are up to `tries`, one a second.
    pub async fn settle(
        &self,
        members: &[Api],
        tries: usize,
        mut meanwhile: impl FnMut(),
    ) -> Vec<(String, Vec<Option<String>>)> {
        let mut differences = Vec::new();
        let mut alike = 0;
        for _ in 0..tries {
            meanwhile();
            differences = self.differences(members).await;
            alike = if differences.is_empty() { alike + 1 } else { 0 };
            // What is still under way may disturb them once more.
            if alike == 3 {
                break;
            }
            actix_web::rt::time::sleep(Duration::from_secs(1)).await;
        }
        differences
    }
}

/// The user that an address is bound to, according to a member.
pub async fn bound_user(member: &Api, address: &str) -> Option<String> {
    let found = member.lookup("email", address).await.ok();
    found["mxid"].as_str().map(str::to_owned)
}

/// Waits until a member has each of these bindings: up to a minute, since a Python
/// Sydent pushes a batch to its peers every 10 s.
pub async fn wait_until_found(member: &Api, expected: &[(&String, Option<&str>)]) {
    for (address, mxid) in expected {
        let mut found = None;
        for _ in 0..600 {
            found = bound_user(member, address).await;
            if found.as_deref() == *mxid {
                break;
            }
            actix_web::rt::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(found.as_deref(), *mxid);
    }
}
