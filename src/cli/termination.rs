//! Cleanup before a signal ends a command that runs no actix System.

use std::io;
use std::process;
use std::thread;

use futures_util::future::select_all;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;

/// Runs `clean_up` and exits the process at SIGINT, SIGTERM or SIGHUP, with the
/// exit code that a shell reports (128 plus the signal's number).
///
/// # Errors
/// When the signal handlers cannot be installed.
pub(super) fn on_termination(clean_up: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let signals = {
        let _entered = runtime.enter();
        [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ]
        .map(|kind| Ok((kind.as_raw_value(), signal(kind)?)))
        .into_iter()
        .collect::<io::Result<Vec<_>>>()?
    };
    thread::Builder::new()
        .name("termination".to_owned())
        .spawn(move || {
            let waits = signals.into_iter().map(|(number, mut signal)| {
                Box::pin(async move {
                    signal.recv().await;
                    number
                })
            });
            let (number, _, _) = runtime.block_on(select_all(waits));
            clean_up();
            process::exit(128 + number);
        })?;
    Ok(())
}
