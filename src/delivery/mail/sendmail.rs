//! Messages to a local program with `sendmail`'s command line.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;

use super::{Envelope, SendFailure};

/// Runs `<command> -i -f FROM -- TO` for each message and writes the message
/// to its input.
#[derive(Debug)]
pub struct SendmailTransport {
    command: PathBuf,
    timeout: Duration,
}

impl SendmailTransport {
    /// `command` is the program, run without a shell; a run that takes longer
    /// than `timeout` is killed.
    #[must_use]
    pub fn new(command: PathBuf, timeout: Duration) -> Self {
        Self { command, timeout }
    }

    /// Runs the program once.
    pub(super) async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<(), SendFailure> {
        let mut fed = false;
        let outcome = timeout(self.timeout, self.run(envelope, message, &mut fed)).await;
        outcome.unwrap_or_else(|_elapsed| {
            let failure = SendFailure::passing(format!(
                "the sendmail command did not finish within {:?}",
                self.timeout
            ));
            Err(if fed {
                failure.after_the_message()
            } else {
                failure
            })
        })
    }

    /// Runs the program; `fed` becomes true once it was given everything.
    async fn run(
        &self,
        envelope: &Envelope,
        message: &[u8],
        fed: &mut bool,
    ) -> Result<(), SendFailure> {
        let mut child = Command::new(&self.command)
            // `-i`: a line with a lone dot does not end the message.
            .arg("-i")
            .arg("-f")
            .arg::<&str>(envelope.from.as_ref())
            .arg("--")
            .arg::<&str>(envelope.to.as_ref())
            .stdin(Stdio::piped())
            // What it prints may quote addresses.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                SendFailure::passing(format!("the sendmail command could not be run: {error}"))
            })?;
        if let Some(input) = child.stdin.take() {
            *fed = feed(input, &with_line_feeds(message)).await;
        }
        let status = child.wait().await.map_err(|error| {
            SendFailure::passing(format!("the sendmail command was lost sight of: {error}"))
        })?;
        judge(status, *fed)
    }
}

/// Whether the program read everything. One that refuses a recipient may end
/// before, and then its exit code says more than the broken pipe does.
async fn feed(mut input: ChildStdin, message: &[u8]) -> bool {
    input.write_all(message).await.is_ok() && input.shutdown().await.is_ok()
}

/// Programs on this side of SMTP expect the system's line ends.
fn with_line_feeds(message: &[u8]) -> Vec<u8> {
    let following = message.iter().skip(1).map(Some).chain([None]);
    message
        .iter()
        .zip(following)
        .filter(|&(&byte, next)| !(byte == b'\r' && next == Some(&b'\n')))
        .map(|(&byte, _)| byte)
        .collect()
}

/// Reads the exit code as `sysexits.h` means it.
///
/// Refused for good is only what the code blames on the message or on its
/// recipient. A wrong command line, missing rights or a broken configuration
/// are the administrator's to mend, and a service that is not available (69)
/// may be back later: no message is lost meanwhile.
fn judge(status: ExitStatus, read_all: bool) -> Result<(), SendFailure> {
    let refused = |why: &str, code: i32, address: bool| {
        Err(SendFailure::Refused {
            what: format!("the sendmail command refused {why} (exit code {code})"),
            code: None,
            enhanced: None,
            address,
        })
    };
    match status.code() {
        Some(0) if read_all => Ok(()),
        Some(0) => Err(SendFailure::passing(
            "the sendmail command ended without reading the whole message",
        )),
        Some(code @ 65) => refused("the message's data", code, false),
        Some(code @ 67) => refused("the recipient", code, true),
        Some(code @ 68) => refused("the recipient's host", code, true),
        Some(code) => Err(SendFailure::passing(format!(
            "the sendmail command failed with exit code {code}"
        ))),
        None => {
            let failure = SendFailure::passing("the sendmail command was killed by a signal");
            Err(if read_all {
                failure.after_the_message()
            } else {
                failure
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Instant;

    /// A program of shell lines. A child writes it, because a file that this
    /// process holds open for writing, even for a moment in another test's
    /// fork, cannot be run.
    fn program(folder: &Path, lines: &str) -> PathBuf {
        let path = folder.join("sendmail");
        let done = std::process::Command::new("/bin/sh")
            .args([
                "-c",
                "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"",
                "sh",
            ])
            .arg(&path)
            .arg(lines)
            .status()
            .unwrap();
        assert!(done.success());
        path
    }

    fn envelope() -> Envelope {
        Envelope {
            from: "house@example.com".parse().unwrap(),
            to: "-alice@example.com".parse().unwrap(),
        }
    }

    async fn send(lines: &str, message: &[u8]) -> Result<(), SendFailure> {
        let folder = tempfile::tempdir().unwrap();
        let command = program(folder.path(), lines);
        SendmailTransport::new(command, Duration::from_secs(20))
            .send(&envelope(), message)
            .await
    }

    #[tokio::test]
    async fn the_program_gets_the_envelope_and_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let lines = format!("printf '%s\\n' \"$@\" >{0}; cat >>{0}", out.display());
        let command = program(folder.path(), &lines);
        SendmailTransport::new(command, Duration::from_secs(20))
            .send(&envelope(), b"Subject: x\r\n\r\n.\r\na\rb\r\n")
            .await
            .unwrap();
        assert_eq!(
            std::fs::read_to_string(&out).unwrap(),
            "-i\n-f\nhouse@example.com\n--\n-alice@example.com\nSubject: x\n\n.\na\rb\n"
        );
    }

    #[tokio::test]
    async fn exit_codes_are_read_as_sysexits_means_them() {
        for (code, for_good) in [
            (1, false),
            (64, false),
            (65, true),
            (66, false),
            (67, true),
            (68, true),
            (69, false),
            (70, false),
            (71, false),
            (73, false),
            (74, false),
            (75, false),
            (76, false),
            (77, false),
            (78, false),
            (127, false),
        ] {
            let failure = send(&format!("cat >/dev/null; exit {code}"), b"x")
                .await
                .unwrap_err();
            let refused = matches!(failure, SendFailure::Refused { .. });
            assert_eq!(refused, for_good, "{code}: {failure:?}");
            assert!(failure.to_string().contains(&code.to_string()), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_code_counts_even_if_the_message_was_not_read() {
        let large = vec![b'x'; 1 << 20];
        let refused = send("exit 67", &large).await.unwrap_err();
        assert!(
            matches!(refused, SendFailure::Refused { address: true, .. }),
            "{refused:?}"
        );
        let unread = send("exit 0", &large).await.unwrap_err();
        assert!(matches!(unread, SendFailure::Passing { .. }), "{unread:?}");
    }

    #[tokio::test]
    async fn a_signal_and_a_missing_program_are_not_for_good() {
        let killed = send("kill -9 $$", b"x").await.unwrap_err();
        assert!(killed.to_string().contains("signal"), "{killed}");
        let missing =
            SendmailTransport::new("/nonexistent/sendmail".into(), Duration::from_secs(9))
                .send(&envelope(), b"x")
                .await
                .unwrap_err();
        assert!(
            matches!(missing, SendFailure::Passing { .. }),
            "{missing:?}"
        );
        assert!(!missing.to_string().contains('@'), "{missing}");
    }

    #[tokio::test]
    async fn a_run_that_hangs_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let command = program(folder.path(), "exec sleep 60");
        let limit = Duration::from_millis(200);
        let transport = SendmailTransport::new(command, limit);
        // It has the whole of a short message, and may have passed it on.
        let failure = transport.send(&envelope(), b"x").await.unwrap_err();
        assert!(
            matches!(failure, SendFailure::Uncertain { .. }),
            "{failure:?}"
        );
        assert!(failure.to_string().ends_with("within 200ms"), "{failure}");
        let large = vec![b'x'; 1 << 20];
        let failure = transport.send(&envelope(), &large).await.unwrap_err();
        assert!(
            matches!(failure, SendFailure::Passing { .. }),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn a_run_that_nobody_waits_for_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let lines = format!("echo $$ >{}; exec sleep 60", pid_file.display());
        let transport =
            SendmailTransport::new(program(folder.path(), &lines), Duration::from_mins(1));
        let (began, envelope) = (Instant::now(), envelope());
        let pid = tokio::select! {
            outcome = transport.send(&envelope, b"x") => panic!("ended: {outcome:?}"),
            pid = async {
                loop {
                    match std::fs::read_to_string(&pid_file) {
                        Ok(pid) if pid.ends_with('\n') => break pid,
                        _ => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            } => pid,
        };
        let command_line = format!("/proc/{}/cmdline", pid.trim());
        // A killed process has no command line, reaped or not.
        while std::fs::read(&command_line).is_ok_and(|line| !line.is_empty()) {
            assert!(began.elapsed() < Duration::from_secs(30), "still running");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
