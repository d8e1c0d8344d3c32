//! `sydent demo` in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::process::{Signal, send_signal};

/// A running demo, and what it printed. It stops when it goes out of scope.
pub struct Demo {
    child: Child,
    pub port: u16,
    pub text: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    /// Starts one that keeps its files in `demo` below the folder. It needs
    /// three ports in a row; it tries others if another program takes one.
    pub fn start(folder: &Path) -> Self {
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
        let mut stderr = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("Set the first one of three free ports with --port"),
            "{stderr}"
        );
        None
    }

    /// Stops it as Ctrl-C does, and returns what it wrote to standard error.
    pub fn stop(mut self) -> String {
        send_signal(&self.child, Signal::INT);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        stderr
    }
}

pub fn three_free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < 65534 && (1..3).all(|more| TcpListener::bind(("127.0.0.1", port + more)).is_ok())
        {
            return port;
        }
    }
}
