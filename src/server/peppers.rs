//! Rotation of the lookup pepper by a command, while servers may run on the database.

use std::thread;
use std::time::{Duration, Instant};

use super::ServerError;
use super::resources::read_keys;
use crate::actor::associations::Associations;
use crate::actor::pool::Operation as _;
use crate::actor::rotation::{RotatePepper, RotationStart, RotationStep, fresh_pepper};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Database, Owner, peppers};
use crate::domain::lookup::Pepper;

/// Rotates to `pepper`, or to a random one; returns the number of associations that were
/// hashed with it, or `None` if it is the current pepper already.
///
/// # Errors
/// When the database cannot be read or written, or no server has created its schema.
/// Nothing is changed then.
pub fn rotate(
    config: &Config,
    clock: &Clock,
    pepper: Option<Pepper>,
) -> Result<Option<usize>, ServerError> {
    let keys = read_keys(config)?;
    let owner = Owner {
        name: &config.server.name,
        keys: &keys,
    };
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let pepper = pepper.map_or_else(fresh_pepper, Ok)?;
    let mut associations = Associations {
        store: database.writer_on_current_schema(Some(owner))?,
        origin: config.server.name.clone(),
        own_keys: Vec::new(),
    };
    let current = peppers::current(&mut associations.store.read())?;
    if current.is_some_and(|current| current.pepper == pepper) {
        return Ok(None);
    }
    let has_one_writer = database.has_one_writer();
    let mut start = RotationStart::Now;
    let mut hashed = 0;
    loop {
        let step = RotatePepper {
            pepper: pepper.clone(),
            start,
            now: clock.now().as_i64(),
        };
        let started = Instant::now();
        match step.run(&mut associations)? {
            RotationStep::Hashed(count) => hashed += count,
            RotationStep::Finished(count) => return Ok(Some(hashed + count)),
            // A server has taken the last steps.
            RotationStep::Idle => return Ok(Some(hashed)),
        }
        start = RotationStart::Never;
        if has_one_writer {
            let_others_write(started.elapsed());
        }
    }
}

/// Waits after a step that took that long. SQLite has no queue of those that wait for its
/// lock: they look at longer and longer intervals whether it is free.
#[expect(
    clippy::disallowed_methods,
    reason = "a command has a thread of its own"
)]
fn let_others_write(step: Duration) {
    thread::sleep((2 * step).min(LONGEST_PAUSE));
}

const LONGEST_PAUSE: Duration = Duration::from_millis(100);
