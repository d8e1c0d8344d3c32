//! The pool: queue full, timeout, panic, reopened state, gone callers, drain.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

struct Counter {
    opened: usize,
}

impl State for Counter {
    const NAME: &'static str = "counter";
}

struct Which;
impl Operation for Which {
    type State = Counter;
    type Output = usize;
    fn run(self, state: &mut Counter) -> Result<usize, Fault> {
        Ok(state.opened)
    }
}

struct Panic;
impl Operation for Panic {
    type State = Counter;
    type Output = ();
    fn run(self, _state: &mut Counter) -> Result<(), Fault> {
        panic!("on purpose")
    }
}

struct LostConnection;
impl Operation for LostConnection {
    type State = Counter;
    type Output = ();
    fn run(self, _state: &mut Counter) -> Result<(), Fault> {
        Err(DbError::Open("gone".to_owned()).into())
    }
}

/// Reports that it has started, then blocks until it is released.
struct Hold {
    started: mpsc::Sender<()>,
    released: mpsc::Receiver<()>,
}
impl Operation for Hold {
    type State = Counter;
    type Output = ();
    fn run(self, _state: &mut Counter) -> Result<(), Fault> {
        self.started.send(()).unwrap();
        self.released.recv().unwrap();
        Ok(())
    }
}

/// Lets the thread of the pool wait until it is released. Returns the result of the
/// operation that waits, and what releases it.
async fn occupy(pool: &Pool<Counter>) -> (oneshot::Receiver<Result<(), Fault>>, mpsc::Sender<()>) {
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let pool = pool.clone();
    let sent = async move { pool.send(Hold { started, released }).await };
    let result = Arbiter::current().spawn_with_result(sent);
    while has_started.try_recv().is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (result, release)
}

fn pool(max_queued: u32) -> Pool<Counter> {
    let opened = AtomicUsize::new(0);
    let open = move || {
        Ok(Counter {
            opened: opened.fetch_add(1, Ordering::SeqCst) + 1,
        })
    };
    let limits = PoolLimits {
        max_queued,
        timeout: Duration::from_secs(5),
    };
    Pool::start(1, limits, Arc::default(), open)
}

pub(super) fn in_system(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

#[test]
fn panic_fails_the_operation_and_reopens_state() {
    in_system(async {
        let pool = pool(4);
        assert_eq!(pool.send(Which).await.unwrap(), 1);
        assert!(matches!(
            pool.send(Panic).await,
            Err(Fault::Panicked("counter"))
        ));
        assert_eq!(
            pool.send(Which).await.unwrap(),
            2,
            "the state is opened again"
        );
        assert!(pool.is_running());
    });
}

#[test]
fn lost_connection_is_reopened() {
    in_system(async {
        let pool = pool(4);
        assert_eq!(pool.send(Which).await.unwrap(), 1);
        assert!(pool.send(LostConnection).await.is_err());
        assert_eq!(pool.send(Which).await.unwrap(), 2);
        assert_eq!(pool.send(Which).await.unwrap(), 2);
    });
}

#[test]
fn full_queue_is_rejected_and_recovers() {
    in_system(async {
        let pool = pool(2);
        let (first, release) = occupy(&pool).await;
        let waiting = pool.clone();
        let second = Arbiter::current().spawn_with_result(async move { waiting.send(Which).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(matches!(
            pool.send(Which).await,
            Err(Fault::QueueFull("counter"))
        ));
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(second.await.unwrap().unwrap(), 1);
        assert_eq!(pool.send(Which).await.unwrap(), 1);
    });
}

#[test]
fn background_work_and_requests_do_not_compete() {
    in_system(async {
        let pool = pool(1);
        let background = pool.for_background();
        let (first, release) = occupy(&background).await;
        let request = pool.clone();
        let request =
            Arbiter::current().spawn_with_result(async move { request.send(Which).await });
        let waiting: Vec<_> = (0..=MAX_BACKGROUND)
            .map(|_| {
                let background = background.clone();
                let work = async move { background.send(Which).await };
                Arbiter::current().spawn_with_result(work)
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(request.await.unwrap().unwrap(), 1);
        for work in waiting {
            assert_eq!(work.await.unwrap().unwrap(), 1);
        }
        assert!(pool.drain(Duration::from_secs(5)).await);
        let late = background.send(Which).await;
        assert!(matches!(late, Err(Fault::Stopped("counter"))), "{late:?}");
    });
}

#[test]
fn reply_comes_after_its_place_is_free() {
    in_system(async {
        let pool = pool(1);
        for _ in 0..1000 {
            assert_eq!(pool.send(Which).await.unwrap(), 1);
        }
    });
}

#[test]
fn blocked_actor_times_out_its_callers() {
    in_system(async {
        let mut pool = pool(2);
        let (first, release) = occupy(&pool).await;
        pool.timeout = Duration::from_millis(1);
        assert!(matches!(
            pool.send(Which).await,
            Err(Fault::TimedOut("counter"))
        ));
        // It keeps its permit, so that no more are queued than the limit.
        assert!(matches!(
            pool.send(Which).await,
            Err(Fault::QueueFull("counter"))
        ));
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert!(pool.drain(Duration::from_secs(5)).await);
    });
}

#[test]
fn abandoned_operation_is_not_run() {
    static STARTED: Mutex<bool> = Mutex::new(false);
    struct Mark;
    impl Operation for Mark {
        type State = Counter;
        type Output = ();
        fn run(self, _state: &mut Counter) -> Result<(), Fault> {
            *STARTED.lock().unwrap() = true;
            Ok(())
        }
    }
    in_system(async {
        let pool = pool(4);
        let (first, release) = occupy(&pool).await;
        let gone = tokio::time::timeout(Duration::from_millis(1), pool.send(Mark)).await;
        assert!(gone.is_err());
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        pool.send(Which).await.unwrap();
        assert!(!*STARTED.lock().unwrap());
    });
}

#[test]
fn drain_waits_for_running_and_rejects_new() {
    in_system(async {
        let pool = pool(4);
        let (first, release) = occupy(&pool).await;
        assert!(
            !pool.clone().drain(Duration::from_millis(1)).await,
            "it is still running"
        );
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert!(matches!(
            pool.send(Which).await,
            Err(Fault::Stopped("counter"))
        ));
    });
}

#[test]
fn spare_pool_holds_nothing_up() {
    in_system(async {
        for (is_spare, expected) in [(true, None), (false, Some(1))] {
            let pool = pool(1);
            let pool = if is_spare { pool.as_spare() } else { pool };
            let (first, release) = occupy(&pool).await;
            let full = pool.send(Which).await;
            assert!(matches!(full, Err(Fault::QueueFull("counter"))), "{full:?}");
            let metrics = pool.metrics.render().unwrap();
            let counted = metrics.lines().find_map(|line| {
                line.strip_prefix("sydent_actor_rejected_total{actor=\"counter\"} ")
            });
            assert_eq!(counted.map(|it| it.parse::<u32>().unwrap()), expected);
            assert_eq!(pool.drain(Duration::from_millis(1)).await, is_spare);
            let late = pool.send(Which).await;
            assert!(matches!(late, Err(Fault::Stopped("counter"))), "{late:?}");
            release.send(()).unwrap();
            first.await.unwrap().unwrap();
        }
    });
}

/// Runs a future on an arbiter and returns its result.
pub(super) trait SpawnWithResult {
    fn spawn_with_result<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T>;
}

impl SpawnWithResult for actix::ArbiterHandle {
    fn spawn_with_result<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (send, receive) = oneshot::channel();
        self.spawn(async move {
            let _ = send.send(future.await);
        });
        receive
    }
}
