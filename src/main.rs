//! The program: reads the command line and runs what it asks for.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    sydent::cli::Cli::parse().run()
}
