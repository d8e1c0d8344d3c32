//! A bounded number of things at a time for each of many clients. Their others wait for
//! their turn, in the order in which they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

use crate::domain::rate::Network;

/// Hands out [`Turn`]s. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    at_a_time: usize,
    max_waiting: usize,
    queues: Arc<Mutex<HashMap<String, Queue>>>,
}

/// The users of one network: those who have a turn, and those who wait for it.
#[derive(Debug)]
struct Queue {
    turns: Arc<Semaphore>,
    users: usize,
}

/// A place in the queues of the networks of a client.
#[derive(Debug)]
pub(crate) struct Place {
    queues: Arc<Mutex<HashMap<String, Queue>>>,
    /// From the smallest network on.
    held: Vec<(Network, Arc<Semaphore>)>,
}

/// The right to do something now; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _permits: Vec<SemaphorePermit<'a>>,
}

impl Turns {
    /// `at_a_time` for each client, and `max_waiting` more that wait.
    #[must_use]
    pub(crate) fn new(at_a_time: usize, max_waiting: usize) -> Self {
        Self {
            at_a_time,
            max_waiting,
            queues: Arc::default(),
        }
    }

    /// A place in the queues of these networks, from the smallest on; `None` if one of
    /// them is full.
    #[must_use]
    pub(crate) fn place(&self, networks: Vec<Network>) -> Option<Place> {
        let mut queues = lock(&self.queues);
        let room = self.at_a_time.saturating_add(self.max_waiting);
        let is_full = |network: &Network| {
            let users = queues.get(&network.name).map_or(0, |queue| queue.users);
            users >= room.saturating_mul(clients(network))
        };
        if networks.iter().any(is_full) {
            return None;
        }
        let mut held = Vec::with_capacity(networks.len());
        for network in networks {
            let queue = queues.entry(network.name.clone()).or_insert_with(|| {
                let turns = self.at_a_time.saturating_mul(clients(&network));
                Queue {
                    turns: Arc::new(Semaphore::new(turns.min(Semaphore::MAX_PERMITS))),
                    users: 0,
                }
            });
            queue.users += 1;
            held.push((network, Arc::clone(&queue.turns)));
        }
        drop(queues);
        Some(Place {
            queues: Arc::clone(&self.queues),
            held,
        })
    }
}

impl Place {
    /// The turn, if it is there at once.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        let permits = self.held.iter().map(|(_, turns)| turns.try_acquire().ok());
        let permits = permits.collect::<Option<_>>()?;
        Some(Turn { _permits: permits })
    }

    /// Waits for the turn; `None` if that takes too long.
    pub(crate) async fn turn(&self, limit: Duration) -> Option<Turn<'_>> {
        let end = tokio::time::Instant::now() + limit;
        let mut permits = Vec::with_capacity(self.held.len());
        // All take them in this order, so that nobody waits for somebody who waits for it.
        for (_, turns) in &self.held {
            permits.push(timeout_at(end, turns.acquire()).await.ok()?.ok()?);
        }
        Some(Turn { _permits: permits })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues);
        for (network, _) in &self.held {
            if let Some(queue) = queues.get_mut(&network.name) {
                queue.users = queue.users.saturating_sub(1);
                if queue.users == 0 {
                    queues.remove(&network.name);
                }
            }
        }
    }
}

fn clients(network: &Network) -> usize {
    usize::try_from(network.clients).unwrap_or(usize::MAX)
}

fn lock(queues: &Mutex<HashMap<String, Queue>>) -> MutexGuard<'_, HashMap<String, Queue>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rate::networks;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(1);

    fn one(name: &str) -> Vec<Network> {
        vec![Network::single(name)]
    }

    #[tokio::test]
    async fn users_of_a_network_take_turns_in_order() {
        let turns = Turns::new(1, 2);
        let first = turns.place(one("a")).unwrap();
        let turn = first.turn(LONG).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..2)
            .map(|number| {
                let (place, order) = (turns.place(one("a")).unwrap(), Arc::clone(&order));
                tokio::spawn(async move {
                    let _turn = place.turn(LONG).await.unwrap();
                    order.lock().unwrap().push(number);
                    tokio::task::yield_now().await;
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(turns.place(one("a")).is_none(), "two wait already");
        assert!(turns.place(one("b")).unwrap().turn(LONG).await.is_some());
        assert!(order.lock().unwrap().is_empty());
        drop(turn);
        drop(first);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1]);
        assert!(lock(&turns.queues).is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_its_place() {
        let turns = Turns::new(1, 1);
        let first = turns.place(one("a")).unwrap();
        let turn = first.turn(LONG).await.unwrap();
        for _ in 0..3 {
            let place = turns.place(one("a")).unwrap();
            assert!(place.turn(SHORT).await.is_none());
        }
        drop(turn);
        let second = turns.place(one("a")).unwrap();
        assert!(second.turn(SHORT).await.is_some());
        drop((first, second));
        assert!(lock(&turns.queues).is_empty(), "nothing is left behind");
    }

    /// OPS-02
    #[tokio::test]
    async fn larger_networks_have_a_few_turns() {
        let turns = Turns::new(1, 1);
        let place =
            |host: u8| turns.place(networks(format!("2001:db8:0:{host}::1").parse().unwrap()));
        let places: Vec<_> = (0..9).map_while(place).collect();
        assert_eq!(places.len(), 4, "a /56 has the room of two clients");
        let first = places[0].turn(SHORT).await;
        let second = places[1].turn(SHORT).await;
        assert!(first.is_some() && second.is_some());
        assert!(places[2].turn(SHORT).await.is_none());
        drop(first);
        assert!(places[2].turn(SHORT).await.is_some());
    }
}
