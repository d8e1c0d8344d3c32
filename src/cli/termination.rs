//! Signal handlers on a thread of their own, which need no actix System.

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
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    Ok(on_signals(&kinds, move |kind| {
        clean_up();
        process::exit(128 + kind.as_raw_value());
    })?)
}

/// Calls `handle` for each signal of these kinds, on a thread of its own. When this
/// returns, the handlers are installed.
pub(super) fn on_signals(
    kinds: &[SignalKind],
    mut handle: impl FnMut(SignalKind) + Send + 'static,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _entered = runtime.enter();
        let signals = kinds.iter().map(|kind| Ok((*kind, signal(*kind)?)));
        signals.collect::<io::Result<Vec<_>>>()?
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            loop {
                let waits = signals.iter_mut().map(|(kind, signal)| {
                    Box::pin(async move {
                        signal.recv().await;
                        *kind
                    })
                });
                let (kind, _, _) = runtime.block_on(select_all(waits));
                handle(kind);
            }
        })?;
    Ok(())
}
