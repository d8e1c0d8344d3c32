//! What is remembered for a while, and no more of it than fits.

use std::collections::HashMap;
use std::hash::Hash;

/// Values with a time, milliseconds since the epoch, when each is forgotten.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    entries: HashMap<K, (V, i64)>,
    most: usize,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    /// Holds at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: HashMap::new(),
            most,
        }
    }

    /// What is remembered under `key` at `now`.
    pub(super) fn get(&self, key: &K, now: i64) -> Option<&V> {
        let (value, until) = self.entries.get(key)?;
        (*until > now).then_some(value)
    }

    /// Remembers a value until then. If there is no room, what has had its time
    /// makes it, else what would be forgotten first.
    pub(super) fn put(&mut self, key: K, value: V, until: i64, now: i64) {
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.entries.retain(|_, (_, until)| *until > now);
            if self.entries.len() >= self.most {
                let first = self.entries.iter().min_by_key(|(_, (_, until))| *until);
                if let Some(first) = first.map(|(key, _)| key.clone()) {
                    self.entries.remove(&first);
                }
            }
        }
        self.entries.insert(key, (value, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_forgotten_at_its_time() {
        let mut cache = Cache::new(10);
        cache.put("a", 1, 100, 0);
        assert_eq!(cache.get(&"a", 99), Some(&1));
        assert_eq!(cache.get(&"a", 100), None);
        cache.put("a", 2, 300, 200);
        assert_eq!(cache.get(&"a", 200), Some(&2));
    }

    #[test]
    fn ops_02_it_never_holds_more_than_it_may() {
        let mut cache = Cache::new(3);
        for key in 0..100_i64 {
            cache.put(key, (), 1000 - key, 0);
            assert!(cache.entries.len() <= 3);
            assert!(cache.get(&key, 0).is_some(), "the new one is kept");
        }
        cache.put(-1, (), 50, 0);
        cache.put(-2, (), 60, 55);
        assert!(
            cache.get(&-1, 0).is_none(),
            "what has had its time went first"
        );
    }
}
