//! The signals of the commands that stay until they are told to end.
//!
//! Their handlers stand before anything else happens: service managers send SIGHUP as
//! soon as the process exists, and its default action ends the process. They run on a
//! thread of their own, so that a signal also counts while the start waits for a
//! database.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::SignalKind;
use tokio::sync::Notify;

use super::termination::on_signals;

/// What the signals that have arrived since the process began ask the server to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    is_serving: AtomicBool,
    reload: Notify,
    stop: Notify,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The operating system refuses them.
    pub(super) fn install() -> io::Result<Self> {
        let signals = Self::default();
        let kinds = [
            SignalKind::hangup(),
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ];
        let requests = Arc::clone(&signals.0);
        let mut is_stopping = false;
        on_signals(&kinds, move |kind| {
            requests.handle(kind, &mut is_stopping);
        })?;
        Ok(signals)
    }

    /// Says that clients can connect: SIGTERM and SIGINT no longer end the process at once.
    pub(super) fn serving(&self) {
        self.0.is_serving.store(true, Ordering::SeqCst);
    }

    /// Waits for SIGHUP. One that has arrived before counts.
    pub(super) async fn reload(&self) {
        self.0.reload.notified().await;
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn stop(&self) {
        self.0.stop.notified().await;
    }
}

impl Requests {
    fn handle(&self, kind: SignalKind, is_stopping: &mut bool) {
        if kind == SignalKind::hangup() {
            self.reload.notify_one();
        } else if kind == SignalKind::terminate() || kind == SignalKind::interrupt() {
            if *is_stopping {
                process::exit(130);
            }
            if !self.is_serving.load(Ordering::SeqCst) {
                log::info!("stopped during the start");
                process::exit(0);
            }
            *is_stopping = true;
            self.stop.notify_one();
        } else {
            log::info!("ignoring signal {}", kind.as_raw_value());
        }
    }
}
