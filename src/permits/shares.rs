//! A bounded amount of something, of which each of many keys may have a part: no single
//! client or host can then have all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Hands out [`Share`]s. Clones share the amount.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    total: u64,
    per_key: u64,
    used: Mutex<Used>,
    released: Notify,
}

#[derive(Debug, Default)]
struct Used {
    total: u64,
    by_key: HashMap<String, Holder>,
}

#[derive(Debug, Default)]
struct Holder {
    amount: u64,
    waiting: u64,
}

/// What a key has; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    inner: Arc<Inner>,
    key: String,
    amount: u64,
}

/// Why there is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoShare {
    /// Everything is in use.
    Total,
    /// The key has its part.
    Key,
}

/// Somebody who waits; counted until this is dropped.
struct Waiter<'a> {
    inner: &'a Inner,
    key: &'a str,
}

impl Shares {
    /// `total` in all, and `per_key` for each key.
    #[must_use]
    pub(crate) fn new(total: u64, per_key: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                total,
                per_key,
                used: Mutex::default(),
                released: Notify::new(),
            }),
        }
    }

    /// Takes an amount for a key.
    ///
    /// # Errors
    /// At once, when there is not enough.
    pub(crate) fn try_acquire(&self, key: &str, amount: u64) -> Result<Share, NoShare> {
        let mut share = Share {
            inner: Arc::clone(&self.inner),
            key: key.to_owned(),
            amount: 0,
        };
        share.try_grow(amount)?;
        Ok(share)
    }

    /// Takes an amount for a key, and waits for it if its others will give it back. No
    /// more wait than the key's part has room for.
    ///
    /// # Errors
    /// Others wait already, or it takes too long.
    pub(crate) async fn acquire(
        &self,
        key: &str,
        amount: u64,
        limit: Duration,
    ) -> Result<Share, NoShare> {
        if let Ok(share) = self.try_acquire(key, amount) {
            return Ok(share);
        }
        let _waiter = self.inner.wait(key)?;
        let next = async {
            loop {
                let released = self.inner.released.notified();
                let mut released = std::pin::pin!(released);
                // From now on, so that nothing is missed before it is awaited.
                released.as_mut().enable();
                if let Ok(share) = self.try_acquire(key, amount) {
                    return share;
                }
                released.await;
            }
        };
        timeout(limit, next).await.map_err(|_elapsed| NoShare::Key)
    }
}

impl Share {
    /// Takes more.
    ///
    /// # Errors
    /// There is not enough; what it has, it keeps.
    pub(crate) fn try_grow(&mut self, amount: u64) -> Result<(), NoShare> {
        let mut used = self.inner.lock();
        let total = used.total.saturating_add(amount);
        let of_key = used.by_key.get(&self.key).map_or(0, |holder| holder.amount);
        let of_key = of_key.saturating_add(amount);
        if of_key > self.inner.per_key {
            return Err(NoShare::Key);
        }
        if total > self.inner.total {
            return Err(NoShare::Total);
        }
        used.total = total;
        used.by_key.entry(self.key.clone()).or_default().amount = of_key;
        self.amount = self.amount.saturating_add(amount);
        Ok(())
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, key: &'a str) -> Result<Waiter<'a>, NoShare> {
        let mut used = self.lock();
        let holder = used.by_key.entry(key.to_owned()).or_default();
        if holder.waiting >= self.per_key {
            return Err(NoShare::Key);
        }
        holder.waiting = holder.waiting.saturating_add(1);
        Ok(Waiter { inner: self, key })
    }
}

impl Used {
    fn change(&mut self, key: &str, change: impl FnOnce(&mut Holder)) {
        if let Some(holder) = self.by_key.get_mut(key) {
            change(holder);
            if holder.amount == 0 && holder.waiting == 0 {
                self.by_key.remove(key);
            }
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut used = self.inner.lock();
        used.change(self.key, |holder| {
            holder.waiting = holder.waiting.saturating_sub(1);
        });
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // One that could not be taken; those who wait would try again for nothing.
        if self.amount == 0 {
            return;
        }
        let mut used = self.inner.lock();
        used.total = used.total.saturating_sub(self.amount);
        used.change(&self.key, |holder| {
            holder.amount = holder.amount.saturating_sub(self.amount);
        });
        drop(used);
        self.inner.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_part_of_the_total() {
        let shares = Shares::new(10, 4);
        let mut first = shares.try_acquire("a", 3).unwrap();
        assert_eq!(shares.try_acquire("a", 2).unwrap_err(), NoShare::Key);
        first.try_grow(1).unwrap();
        assert_eq!(first.try_grow(1).unwrap_err(), NoShare::Key);
        let _second = shares.try_acquire("b", 4).unwrap();
        assert_eq!(shares.try_acquire("c", 3).unwrap_err(), NoShare::Total);
        drop(first);
        assert!(shares.try_acquire("c", 3).is_ok());
        assert_eq!(
            shares.inner.lock().by_key.len(),
            1,
            "nothing is left behind"
        );
        assert_eq!(shares.inner.lock().total, 4);
    }

    #[tokio::test]
    async fn acquire_waits_for_its_own_key() {
        let shares = Shares::new(10, 1);
        let held = shares.try_acquire("a", 1).unwrap();
        let long = Duration::from_secs(30);
        let other = shares.clone();
        let waiting = tokio::spawn(async move { other.acquire("a", 1, long).await });
        tokio::task::yield_now().await;
        // One waits, and has the only place for that.
        assert_eq!(
            shares.acquire("a", 1, long).await.unwrap_err(),
            NoShare::Key
        );
        assert!(shares.acquire("b", 1, long).await.is_ok());
        drop(held);
        let share = waiting.await.unwrap().unwrap();
        let short = Duration::from_millis(1);
        assert_eq!(
            shares.acquire("a", 1, short).await.unwrap_err(),
            NoShare::Key
        );
        drop(share);
        assert!(shares.inner.lock().by_key.is_empty());
    }
}
