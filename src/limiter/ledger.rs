//! Which addresses each payer has looked up lately, and how many new ones it may look up
//! before the database is asked again (LKP-18, V1L-06).
//!
//! The database counts the new addresses of all instances, in leases of a few hundred. An
//! address that is looked up again costs nothing, so that a client may ask for all its
//! contacts every day. This instance remembers addresses as short hashes; one that is
//! forgotten costs once more. What is lost at a restart is no gain for a client: neither the
//! memory nor the rest of a lease. Only what was lent while the database did not answer is
//! then never charged.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::counter::Limit;

/// How long an address is remembered at least, unless there are too many, ms.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;

/// This part of a burst is lent: little, since it comes on top of what a day allows.
const PARTS_LENT: u32 = 25;

/// The memory is that of two generations. A hash needs 6 to 11 bytes.
const BOUNDS: Bounds = Bounds {
    hashes: 2_000_000,
    pages: 50_000,
};

/// The size of a generation.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Hashes of all payers.
    hashes: usize,
    /// Payers.
    pages: usize,
}

/// All payers.
#[derive(Debug)]
pub struct Ledger {
    bounds: Bounds,
    state: Mutex<State>,
    // Seeded, so that clients cannot choose addresses with equal hashes.
    hasher: RandomState,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::with_bounds(BOUNDS)
    }
}

/// The memory in two generations: when the newer one is full or old, it takes the place
/// of the older one. What is looked up again moves to the newer one.
#[derive(Debug, Default)]
struct State {
    current: Pages,
    older: Pages,
    /// Hashes in `current`.
    hashes: usize,
    since: i64,
}

type Pages = HashMap<String, Page>;

/// What is known of one payer.
#[derive(Debug, Default)]
struct Page {
    seen: HashSet<u32, BuildHasherDefault<Spread>>,
    /// New addresses that are paid for already.
    credit: u32,
    /// New addresses that were looked up while the database did not answer.
    owed: u32,
}

/// Spreads hashes, which are random already, over all bits that the set uses.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A payer that needs a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The limit.
    pub limit: Limit,
    /// New addresses that it has looked up without a lease.
    pub owed: u32,
    /// New addresses that are not paid for yet.
    pub missing: u32,
}

/// The addresses of one lookup, and who pays for them. Clones are one claim, which must
/// be paid once.
#[derive(Debug, Clone)]
pub struct Claim(Arc<Lookup>);

#[derive(Debug)]
struct Lookup {
    ledger: Arc<Ledger>,
    payers: Vec<Limit>,
    hashes: Vec<u32>,
    now: i64,
}

impl Claim {
    /// Pays for the addresses that are new to a payer, and remembers them; or does
    /// neither, for all payers.
    ///
    /// # Errors
    /// The payers that need a lease.
    pub fn pay(&self) -> Result<(), Vec<Shortage>> {
        let Lookup {
            ledger,
            payers,
            hashes,
            now,
        } = &*self.0;
        if payers.is_empty() {
            return Ok(());
        }
        let mut state = ledger.lock();
        state.turn(*now, ledger.bounds);
        let mut shortages = Vec::new();
        let mut costs = Vec::with_capacity(payers.len());
        for payer in payers {
            let (page, older) = state.page(&payer.counted);
            let cost = page.count_new(older, hashes);
            if cost > page.credit {
                shortages.push(Shortage {
                    limit: payer.clone(),
                    owed: page.owed,
                    missing: cost - page.credit,
                });
            }
            costs.push(cost);
        }
        if !shortages.is_empty() {
            return Err(shortages);
        }
        for (payer, cost) in payers.iter().zip(costs) {
            let (page, _) = state.page(&payer.counted);
            page.credit -= cost;
            let before = page.seen.len();
            page.seen.extend(hashes);
            let added = page.seen.len() - before;
            state.hashes += added;
        }
        Ok(())
    }
}

impl Ledger {
    fn with_bounds(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// A claim for these entries, which count once each, also if they match nothing.
    #[must_use]
    pub fn claim<T: std::hash::Hash>(
        self: &Arc<Self>,
        payers: Vec<Limit>,
        entries: impl IntoIterator<Item = T>,
        now: i64,
    ) -> Claim {
        let mut hashes = Vec::new();
        if !payers.is_empty() {
            hashes.extend(entries.into_iter().map(|entry| self.hash(entry)));
            hashes.sort_unstable();
            hashes.dedup();
        }
        Claim(Arc::new(Lookup {
            ledger: Arc::clone(self),
            payers,
            hashes,
            now,
        }))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a part of the hash suffices"
    )]
    fn hash(&self, entry: impl std::hash::Hash) -> u32 {
        self.hasher.hash_one(entry) as u32
    }

    /// Adds a lease of so many new addresses, with which the payer has paid what it owed.
    pub fn add_lease(&self, shortage: &Shortage, addresses: u32) {
        let mut state = self.lock();
        let (page, _) = state.page(&shortage.limit.counted);
        page.credit = page.credit.saturating_add(addresses);
        page.owed = page.owed.saturating_sub(shortage.owed);
    }

    /// Records that the payer has paid what it owed.
    pub fn add_payment(&self, shortage: &Shortage) {
        self.add_lease(shortage, 0);
    }

    /// Lends each payer what it misses, while the database does not answer: a small part of
    /// its burst. Returns whether it did, for all of them.
    pub fn lend(&self, shortages: &[Shortage]) -> bool {
        let mut state = self.lock();
        for shortage in shortages {
            let (page, _) = state.page(&shortage.limit.counted);
            let most = shortage.limit.rate.burst / PARTS_LENT;
            if page.owed.saturating_add(shortage.missing) > most {
                return false;
            }
        }
        for shortage in shortages {
            let (page, _) = state.page(&shortage.limit.counted);
            page.credit = page.credit.saturating_add(shortage.missing);
            page.owed = page.owed.saturating_add(shortage.missing);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets the older generation if the newer one is full or old.
    fn turn(&mut self, now: i64, bounds: Bounds) {
        let is_full = self.hashes >= bounds.hashes || self.current.len() >= bounds.pages;
        let is_new = (self.since..self.since.saturating_add(REMEMBERED_MS)).contains(&now);
        if is_new && !is_full {
            return;
        }
        let forgotten = mem::replace(&mut self.older, mem::take(&mut self.current));
        self.hashes = 0;
        self.since = now;
        for (counted, Page { owed, .. }) in forgotten {
            if owed > 0 {
                self.page(&counted).0.owed += owed;
            }
        }
    }

    /// The page of a payer, and that of the older generation.
    fn page(&mut self, counted: &str) -> (&mut Page, Option<&Page>) {
        let mut older = self.older.get_mut(counted);
        if !self.current.contains_key(counted) {
            let mut page = Page::default();
            if let Some(older) = &mut older {
                page.credit = mem::take(&mut older.credit);
                page.owed = mem::take(&mut older.owed);
            }
            self.current.insert(counted.to_owned(), page);
        }
        let older = older.map(|older| &*older);
        (self.current.entry(counted.to_owned()).or_default(), older)
    }
}

impl Page {
    fn count_new(&self, older: Option<&Self>, hashes: &[u32]) -> u32 {
        let is_new = |hash: &&u32| {
            !self.seen.contains(*hash) && older.is_none_or(|older| !older.seen.contains(*hash))
        };
        u32::try_from(hashes.iter().filter(is_new).count()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
