//! `sydent import`: taking over an existing server.

use std::io::IsTerminal as _;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use super::import_sydent::Sydent;
use super::import_verify::Verify;

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Take over a Python Sydent of any version: its configuration, its signing
    /// key and what its database knows.
    ///
    /// Nothing of Sydent is changed, and it may go on running. Either everything
    /// is taken over or nothing.
    Sydent(Sydent),
    /// Ask an old server and the new one that took it over the same questions,
    /// and tell which answers differ.
    ///
    /// The exit code is 0 if nothing differs but what docs/from-sydent.md says,
    /// 1 if something else does, and 2 if not everything could be asked.
    Verify(Verify),
}

impl ImportCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Sydent(sydent) => sydent.run(),
            Self::Verify(verify) => verify.run(),
        }
    }
}

/// Shown to people only.
pub(super) fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_bad| ProgressStyle::default_bar()))
}
