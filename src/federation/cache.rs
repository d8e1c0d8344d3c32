//! A bounded cache with expiry times.

use std::collections::HashMap;
use std::hash::Hash;

/// Values with the time, in milliseconds since the epoch, at which each expires.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    entries: HashMap<K, (V, i64)>,
    capacity: usize,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            capacity,
        }
    }

    /// The value of `key`, unless it has expired.
    pub(super) fn get(&self, key: &K, now: i64) -> Option<&V> {
        let (value, expires_at) = self.entries.get(key)?;
        (*expires_at > now).then_some(value)
    }

    /// Stores a value. If the cache is full, this evicts all expired entries, or
    /// else the one that expires first.
    pub(super) fn insert(&mut self, key: K, value: V, expires_at: i64, now: i64) {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.evict(now);
        }
        self.entries.insert(key, (value, expires_at));
    }

    fn evict(&mut self, now: i64) {
        self.entries.retain(|_, (_, expires_at)| *expires_at > now);
        if self.entries.len() >= self.capacity {
            let first = self
                .entries
                .iter()
                .min_by_key(|(_, (_, expires_at))| *expires_at)
                .map(|(key, _)| key.clone());
            if let Some(first) = first {
                self.entries.remove(&first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_expires() {
        let mut cache = Cache::new(10);
        cache.insert("a", 1, 100, 0);
        assert_eq!(cache.get(&"a", 99), Some(&1));
        assert_eq!(cache.get(&"a", 100), None);
        cache.insert("a", 2, 300, 200);
        assert_eq!(cache.get(&"a", 200), Some(&2));
    }

    /// OPS-02
    #[test]
    fn size_is_limited() {
        let mut cache = Cache::new(3);
        for key in 0..100_i64 {
            cache.insert(key, (), 1000 - key, 0);
            assert!(cache.entries.len() <= 3);
            assert!(cache.get(&key, 0).is_some(), "the new entry is stored");
        }
        cache.insert(-1, (), 50, 0);
        cache.insert(-2, (), 60, 55);
        assert!(
            cache.get(&-1, 0).is_none(),
            "expired entries are evicted first"
        );
    }
}
