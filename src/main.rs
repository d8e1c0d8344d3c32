//! The program `sydent`: parses the command line and runs the command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    sydent::cli::Cli::parse().run()
}
