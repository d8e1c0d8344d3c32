//! The program `sydent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sydent::cli::main()
}
