//! `sydent demo`, and the commands that it and the README print.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::{CommandOutput, repository};

/// A demonstration that runs, and what it printed.
struct Demo {
    child: Child,
    port: u16,
    text: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    /// Runs in `demo` below the folder. It takes three ports in a row, which
    /// somebody else may be faster to take.
    fn start(folder: &Path) -> Self {
        (0..20)
            .find_map(|_| Self::on(folder, three_free_ports()))
            .expect("three free ports in a row")
    }

    fn on(folder: &Path, port: u16) -> Option<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sydent"))
            .args(["demo", "--dir", "demo", "--port", &port.to_string()])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            text += &line;
            text += "\n";
            if line.starts_with("Ctrl-C stops the server.") {
                return Some(Self { child, port, text });
            }
        }
        let mut told = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{told}");
        assert!(
            told.contains("Set the first one of three free ports with --port"),
            "{told}"
        );
        None
    }

    /// The indented lines, which are there to be copied into a shell.
    fn commands(&self) -> String {
        let commands = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("    "));
        commands.collect::<Vec<_>>().join("\n")
    }

    /// Ctrl-C, and what was said about problems until then.
    fn stop(mut self) -> String {
        let sent = Command::new("kill")
            .args(["-s", "INT", &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut told = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        told
    }
}

fn three_free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < 65534 && (1..3).all(|more| TcpListener::bind(("127.0.0.1", port + more)).is_ok())
        {
            return port;
        }
    }
}

/// Runs commands as somebody does who copies them; answers what they print.
fn shell(folder: &Path, commands: &str) -> String {
    let done = Command::new("sh")
        .args(["-ec", commands])
        .current_dir(folder)
        .output()
        .unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(
        done.status.success() && told.is_empty(),
        "{told}\n{commands}"
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

/// What validating, binding and looking up print.
const MAIN_JOB: [&str; 6] = [
    "SID=",
    "CODE=",
    "{\"success\":true}",
    "\"mxid\":\"@alice:example.org\"",
    "\"signatures\":{\"localhost\":{\"ed25519:",
    "\"mxid\":\"@alice:example.org\"",
];

#[test]
fn the_printed_commands_work_as_they_stand() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let demo = Demo::start(folder.path());
    let printed = shell(folder.path(), &demo.commands());
    in_this_order(&printed, &MAIN_JOB);
    let after = [
        "{\"public_key\":\"",
        "\"mxid\": \"@bob:example.org\"",
        "\"mxid\": \"@bob:example.org\"",
        "The address is no longer bound to this user.",
    ];
    in_this_order(&printed, &[&MAIN_JOB[..], &after].concat());
    assert_eq!(demo.stop(), "", "nothing went wrong");

    // The next start goes on with what is there, the key included.
    let again = Demo::start(folder.path());
    let look = "lookup email alice@example.org --config demo/sydent.toml";
    let found = CommandOutput::by(folder.path(), look);
    let key = demo_key(&printed);
    assert!(found.out.contains(&key), "{}", found.err);
    assert!(again.text.contains(&key));
}

/// The id of the key that signed.
fn demo_key(printed: &str) -> String {
    let (_, rest) = printed
        .split_once("\"signatures\":{\"localhost\":{\"")
        .unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn the_commands_of_the_readme_work_as_they_stand() {
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

#[test]
fn a_demonstration_leaves_foreign_files_and_ports_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let config = folder.path().join("mine/sydent.toml");
    std::fs::write(&config, "[server]\n").unwrap();
    let ended = CommandOutput::by(
        folder.path(),
        &format!("demo --dir mine --port {}", three_free_ports()),
    );
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert_eq!(std::fs::read_to_string(config).unwrap(), "[server]\n");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().min(65533);
    let ended = CommandOutput::by(folder.path(), &format!("demo --port {port}"));
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains(&port.to_string()), "{}", ended.err);
    assert!(!folder.path().join("sydent-demo").exists());
}
