//! Work on all CPUs.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

/// Maps items on as many threads as there are CPUs, in their order.
pub(super) fn map<T: Sync, U: Send>(items: &[T], f: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let per_thread = items.len().div_ceil(threads).max(1);
    let f = &f;
    thread::scope(|scope| {
        let parts = items.chunks(per_thread);
        let started: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(f).collect::<Vec<U>>()))
            .collect();
        let results = started
            .into_iter()
            .map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)));
        results.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        for length in [0, 1, 2, 3, 1000] {
            let items: Vec<usize> = (0..length).collect();
            let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(map(&items, |item| item * 2), doubled);
        }
    }
}
