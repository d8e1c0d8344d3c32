//! How many bytes of request bodies are kept at a time: in total, and for one client.
//!
//! Bytes count as they arrive, since a body that was only announced takes no memory,
//! and until the request is answered.

use super::shares::{NoShare, Share, Shares};
use crate::domain::rate::Network;

/// Bytes are counted in steps.
const STEP: u64 = 16 * 1024;

/// The least room for short bodies, in bytes.
const MIN_SHORT: u64 = 32 * 1024 * 1024;

/// One of so many parts of the room is for one client.
const CLIENTS: u64 = 8;

/// The room for the bodies of strangers.
#[derive(Debug, Clone)]
pub(crate) struct BodyLimits {
    /// Bytes of a body that count as short.
    short_bytes: u64,
    /// For the first bytes of each body.
    short: Shares,
    /// For the others, of callers without an account.
    long_anonymous: Shares,
    /// For the others, of accounts.
    long_of_accounts: Shares,
}

/// Whose body it is.
#[derive(Debug)]
pub(crate) struct Sender {
    /// The networks of the client.
    pub(crate) networks: Vec<Network>,
    /// Whether it has an account.
    pub(crate) has_account: bool,
}

/// The room that one body takes; it is free again when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Room {
    reserved: u64,
    short: Option<Share>,
    long: Option<Share>,
}

impl BodyLimits {
    /// Room for eight of the longest bodies, one of each client, and for many short ones.
    #[must_use]
    pub(crate) fn new(short_bytes: usize, longest_bytes: usize) -> Self {
        let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let steps = |bytes: u64| bytes.div_ceil(STEP).saturating_mul(STEP);
        let short_bytes = steps(bytes(short_bytes));
        let short = short_bytes.saturating_mul(8 * CLIENTS).max(MIN_SHORT);
        let long = steps(bytes(longest_bytes)).saturating_mul(CLIENTS);
        let shares = |total: u64| Shares::new(total, total / CLIENTS);
        Self {
            short_bytes,
            short: shares(short),
            long_anonymous: shares(long),
            long_of_accounts: shares(long),
        }
    }

    /// Makes room for a body of which `received` bytes have arrived.
    ///
    /// # Errors
    /// There is none for this client, or none at all.
    pub(crate) fn make_room(
        &self,
        room: &mut Room,
        sender: &Sender,
        received: usize,
    ) -> Result<(), NoShare> {
        let received = u64::try_from(received).unwrap_or(u64::MAX);
        while room.reserved < received {
            let (shares, share) = if room.reserved < self.short_bytes {
                (&self.short, &mut room.short)
            } else if sender.has_account {
                (&self.long_of_accounts, &mut room.long)
            } else {
                (&self.long_anonymous, &mut room.long)
            };
            match share {
                Some(share) => share.try_grow(STEP)?,
                none => *none = Some(shares.try_acquire(sender.networks.clone(), STEP)?),
            }
            room.reserved = room.reserved.saturating_add(STEP);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn sender(client: &str, has_account: bool) -> Sender {
        Sender {
            networks: vec![Network::single(client)],
            has_account,
        }
    }

    /// GEN-21
    #[test]
    fn clients_and_kinds_of_bodies_have_own_room() {
        let limits = BodyLimits::new(32 * 1024, 8 * MIB);
        let keep = |client: &str, has_account, bytes| {
            let mut room = Room::default();
            let made = limits.make_room(&mut room, &sender(client, has_account), bytes);
            made.map(|()| room)
        };
        let mut kept = vec![keep("a", false, 8 * MIB).unwrap()];
        assert_eq!(keep("a", false, 8 * MIB).unwrap_err(), NoShare::Network);
        // Only its long bodies have no room, and only those without an account.
        kept.push(keep("a", false, 32 * 1024).unwrap());
        kept.push(keep("a", true, 8 * MIB).unwrap());
        for client in ["b", "c", "d", "e", "f", "g", "h"] {
            kept.push(keep(client, false, 8 * MIB).unwrap());
        }
        assert_eq!(keep("i", false, 8 * MIB).unwrap_err(), NoShare::Total);
        kept.push(keep("i", true, 8 * MIB).unwrap());
        kept.push(keep("i", false, 1).unwrap());
        drop(kept);
        assert!(keep("i", false, 8 * MIB).is_ok());
    }

    /// GEN-21
    #[test]
    fn one_client_keeps_few_short_bodies() {
        let limits = BodyLimits::new(32 * 1024, 8 * MIB);
        let keep = |client: &str| {
            let mut room = Room::default();
            let made = limits.make_room(&mut room, &sender(client, false), 32 * 1024);
            made.map(|()| room)
        };
        let kept: Vec<_> = (0..1000).map_while(|_| keep("a").ok()).collect();
        assert_eq!(kept.len(), 128);
        assert!(keep("b").is_ok());
    }
}
