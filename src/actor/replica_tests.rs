//! Which of both servers a lookup asks.

use std::sync::Mutex;

use super::*;
use crate::actor::pool::PoolLimits;
use crate::db::DbError;
use crate::domain::freshness::Unfit;

/// A server that has a number, and may not answer.
struct Server {
    number: u32,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl State for Server {
    const NAME: &'static str = "server";
}

#[derive(Clone)]
struct Number;

impl Operation for Number {
    type State = Server;
    type Output = u32;

    fn run(self, server: &mut Server) -> Result<u32, Fault> {
        match server.faults.lock().unwrap().pop() {
            Some(fault) => Err(fault),
            None => Ok(server.number),
        }
    }
}

const PRIMARY: u32 = 1;
const STANDBY: u32 = 2;

/// A primary and a standby that fails so often.
fn reads(state: &Arc<ReplicaState>, faults: Vec<Fault>) -> Reads<Server> {
    let metrics = Arc::<Metrics>::default();
    let pool = |number, faults: Vec<Fault>| {
        let faults = Arc::new(Mutex::new(faults));
        let limits = PoolLimits {
            max_queued: 8,
            timeout: Duration::from_secs(5),
        };
        Pool::start(1, limits, Arc::clone(&metrics), move || {
            let faults = Arc::clone(&faults);
            Ok(Server { number, faults })
        })
    };
    Reads::new(pool(PRIMARY, Vec::new())).with_standby(
        pool(STANDBY, faults),
        Arc::clone(state),
        Arc::clone(&metrics),
    )
}

fn lost() -> Fault {
    DbError::Open("gone".to_owned()).into()
}

#[test]
fn standby_is_asked_while_it_is_fresh() {
    actix::System::new().block_on(async {
        let state = Arc::<ReplicaState>::default();
        let reads = reads(&state, Vec::new());
        for (source, expected) in [
            (Source::Primary(Unfit::Stale), PRIMARY),
            (Source::Standby { until: 60_000 }, STANDBY),
            (Source::StandbyAlone, STANDBY),
            (Source::Neither, STANDBY),
            (Source::Nowhere(Unfit::Stale), PRIMARY),
        ] {
            state.publish(source, 60_000);
            let answer = reads.send(Number, |_number| true).await.unwrap();
            assert_eq!(answer, expected, "{source:?}");
        }
        state.publish(Source::Standby { until: 60_000 }, 60_000);
        let answer = reads.send(Number, |number| *number == PRIMARY).await;
        assert_eq!(answer.unwrap(), PRIMARY, "the other is not final");
    });
}

#[test]
fn error_of_the_standby_is_not_returned() {
    actix::System::new().block_on(async {
        let state = Arc::<ReplicaState>::default();
        let reads = reads(&state, vec![lost(), lost()]);
        state.publish(Source::Standby { until: 60_000 }, 60_000);
        let ask = async || reads.send(Number, |_number| true).await.unwrap();
        assert_eq!(ask().await, PRIMARY);
        assert_eq!(state.place(), Place::Primary, "it is left alone");
        assert_eq!(ask().await, PRIMARY);
        // The second attempt finds a new connection.
        state.publish(Source::StandbyAlone, 60_000);
        assert_eq!(ask().await, STANDBY);
    });
}

#[test]
fn conflict_with_recovery_concerns_one_query() {
    actix::System::new().block_on(async {
        let state = Arc::<ReplicaState>::default();
        let reads = reads(&state, vec![DbError::recovery_conflict().into()]);
        state.publish(Source::Standby { until: 60_000 }, 60_000);
        let ask = async || reads.send(Number, |_number| true).await.unwrap();
        assert_eq!(ask().await, PRIMARY);
        assert_eq!(ask().await, STANDBY);
    });
}

#[test]
fn published_place_ends_with_its_time() {
    let state = ReplicaState::default();
    assert_eq!(state.place(), Place::Primary);
    for (source, place) in [
        (Source::Standby { until: 60_000 }, Place::Standby),
        (Source::StandbyAlone, Place::StandbyAlone),
        (Source::Neither, Place::Neither),
        (Source::Primary(Unfit::Stale), Place::Primary),
        (Source::Nowhere(Unfit::Stale), Place::Nowhere),
    ] {
        state.publish(source, 60_000);
        assert_eq!(state.place(), place);
    }
    assert!(state.is_primary_away());
    let state = ReplicaState {
        started: Instant::now().checked_sub(Duration::from_mins(1)).unwrap(),
        ..ReplicaState::default()
    };
    state.publish(Source::StandbyAlone, 59_000);
    assert_eq!(state.place(), Place::Primary);
    assert!(!state.is_primary_away());
}

#[test]
fn failed_standby_is_left_alone_for_a_while() {
    let state = ReplicaState::default();
    state.publish(Source::Standby { until: 60_000 }, 60_000);
    state.pause(&Fault::TimedOut("lookups"));
    assert_eq!(state.place(), Place::Primary);
    state.publish(Source::StandbyAlone, 60_000);
    assert_eq!(state.place(), Place::StandbyAlone, "there is nothing else");
}

#[test]
fn primary_that_is_away_is_not_waited_for() {
    actix::System::new().block_on(async {
        let state = Arc::<ReplicaState>::default();
        let reads = reads(&state, Vec::new());
        let (release, released) = std::sync::mpsc::channel();
        let primary = reads.primary.clone();
        tokio::task::spawn_local(async move { primary.send(Hang(released)).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        for source in [
            Source::StandbyAlone,
            Source::Neither,
            Source::Nowhere(Unfit::Stale),
        ] {
            state.publish(source, 60_000);
            let started = Instant::now();
            let answer = reads.send(Number, |_number| false).await;
            assert!(
                matches!(answer, Err(Fault::TimedOut("server"))),
                "{answer:?}"
            );
            assert!(started.elapsed() < Duration::from_secs(3), "{source:?}");
        }
        drop(release);
        let metrics = reads.standby.as_ref().unwrap().metrics.render().unwrap();
        assert!(
            !metrics.contains("source=\"primary\""),
            "it has not answered"
        );
    });
}

/// Takes until it is released.
struct Hang(std::sync::mpsc::Receiver<()>);

impl Operation for Hang {
    type State = Server;
    type Output = ();

    fn run(self, _server: &mut Server) -> Result<(), Fault> {
        let _ = self.0.recv();
        Ok(())
    }
}

#[tokio::test]
async fn what_can_be_spared_is_not_waited_for() {
    let state = ReplicaState::default();
    let never = std::future::pending::<Result<u32, Fault>>;
    assert!(state.spare(never()).await.is_none(), "it may be away");
    let answer = state.spare(async { Ok(1) }).await;
    assert_eq!(answer.unwrap().unwrap(), 1);
    state.publish(Source::StandbyAlone, 60_000);
    assert!(state.spare(async { Ok(1) }).await.is_none());
}
