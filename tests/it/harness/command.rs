//! A command of the real binary that ends by itself.

use std::path::Path;
use std::process::{Command, Output};

/// The output of a command, and its exit code.
pub struct CommandOutput {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl CommandOutput {
    /// Runs a command in that folder, with an empty environment.
    pub fn run(folder: &Path, arguments: &str) -> Self {
        Self::run_with(folder, arguments, &[])
    }

    /// Runs a command in that folder, with only these environment variables.
    pub fn run_with(folder: &Path, arguments: &str, variables: &[(&str, &str)]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_sydent"))
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .env_clear()
            .envs(variables.iter().copied())
            .output();
        Self::from(output.unwrap())
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!err.contains("panicked"), "{err}");
        let code = output.status.code().expect("it ends by itself");
        Self { code, out, err }
    }
}

/// The permissions of a file: `0o600` allows only its owner.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
