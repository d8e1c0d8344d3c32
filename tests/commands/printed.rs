//! The commands that `sydent demo` and the README print.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{CommandOutput, Demo, repository};

/// The indented lines of what a demo printed, which users copy into a shell.
fn commands(demo: &Demo) -> String {
    let lines = demo.text.lines();
    let commands: Vec<_> = lines.filter_map(|line| line.strip_prefix("    ")).collect();
    commands.join("\n")
}

/// Runs commands in a shell and returns what they print.
fn shell(folder: &Path, commands: &str) -> String {
    let curl = Command::new("curl").arg("--version").output();
    assert!(
        curl.is_ok(),
        "curl is missing; `tests/run commands` installs it"
    );
    let done = Command::new("sh")
        .args(["-ec", commands])
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8(done.stderr).unwrap();
    assert!(
        done.status.success() && stderr.is_empty(),
        "{stderr}\n{commands}"
    );
    String::from_utf8(done.stdout).unwrap()
}

#[track_caller]
fn in_this_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let after = rest.split_once(part).map(|(_, after)| after);
        rest = after.unwrap_or_else(|| panic!("{part} is missing in\n{text}"));
    }
}

/// What the commands for validation, bind and lookup print.
const MAIN_JOB: [&str; 6] = [
    "SID=",
    "CODE=",
    "{\"success\":true}",
    "\"mxid\":\"@alice:example.org\"",
    "\"signatures\":{\"localhost\":{\"ed25519:",
    "\"mxid\":\"@alice:example.org\"",
];

#[test]
fn printed_commands_work_unchanged() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let printed = shell(folder.path(), &commands(&demo));
    in_this_order(&printed, &MAIN_JOB);
    let after = [
        "{\"public_key\":\"",
        "\"mxid\": \"@bob:example.org\"",
        "\"mxid\": \"@bob:example.org\"",
        "The binding was removed.",
    ];
    in_this_order(&printed, &[&MAIN_JOB[..], &after].concat());
    assert_eq!(demo.stop(), "", "nothing went wrong");

    // The next start uses the same data and key.
    let again = Demo::start(folder.path());
    let look = "lookup email alice@example.org --config demo/sydent.toml";
    let found = CommandOutput::run(folder.path(), look);
    let key = demo_key(&printed);
    assert!(found.out.contains(&key), "{}", found.err);
    assert!(again.text.contains(&key));
}

/// The id of the signing key.
fn demo_key(printed: &str) -> String {
    let (_, rest) = printed
        .split_once("\"signatures\":{\"localhost\":{\"")
        .unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn readme_commands_work_unchanged() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let commands = readme
        .split("```sh\n")
        .find(|block| block.starts_with("ID=http"))
        .unwrap();
    let commands = commands.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let here = commands
        .replace("127.0.0.1:8090", &format!("127.0.0.1:{}", demo.port))
        .replace("127.0.0.1:8091", &format!("127.0.0.1:{}", demo.port + 1));
    in_this_order(&shell(folder.path(), &here), &MAIN_JOB);
}
