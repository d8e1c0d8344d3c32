//! Sends messages with a local program that has `sendmail`'s command line.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::time::timeout;

use super::{Envelope, SendFailure};
use crate::delivery::handover::Handover;

/// How much of the standard error is kept, in bytes.
const MAX_WORDS: usize = 16 * 1024;

/// How long the rest of the standard error is waited for after the program has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs `<command> -i -f FROM -- TO` for each message, with the message on its
/// standard input.
#[derive(Debug)]
pub struct SendmailTransport {
    command: PathBuf,
    timeout: Duration,
}

impl SendmailTransport {
    /// `command` is the program, which is run without a shell and killed after
    /// `timeout`.
    #[must_use]
    pub fn new(command: PathBuf, timeout: Duration) -> Self {
        Self { command, timeout }
    }

    /// Runs the program once.
    pub(super) async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        handover: &Handover,
    ) -> Result<(), SendFailure> {
        let (mut is_written, mut words) = (false, Vec::new());
        let running = self.run(envelope, message, handover, (&mut is_written, &mut words));
        let outcome = timeout(self.timeout, running)
            .await
            .unwrap_or_else(|_elapsed| {
                let reason = format!(
                    "the sendmail command did not finish within {:?}",
                    self.timeout
                );
                Err(failure(reason, is_written))
            });
        let words = envelope.confidential(message).mask(&words);
        outcome.map_err(|failure| failure.with_words(&words))
    }

    /// Runs the program. Sets `is_written` once it has read the whole message, and `words`
    /// to what it writes to its standard error.
    async fn run(
        &self,
        envelope: &Envelope,
        message: &[u8],
        handover: &Handover,
        (is_written, words): (&mut bool, &mut Vec<u8>),
    ) -> Result<(), SendFailure> {
        let mut child = self.spawn(envelope).map_err(|error| {
            SendFailure::transient(format!("cannot run the sendmail command: {error}"))
        })?;
        handover.begin();
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        let ended = async {
            if let Some(input) = input {
                *is_written = write_input(input, &with_line_feeds(message)).await;
            }
            child.wait().await
        };
        let status = match select(pin!(ended), pin!(read_words(errors, words))).await {
            Either::Left((status, reading)) => {
                // A process that it started may keep the stream open.
                let _ = timeout(LAST_WORDS, reading).await;
                status
            }
            Either::Right(((), ended)) => ended.await,
        };
        let status = status.map_err(|error| {
            SendFailure::transient(format!("cannot wait for the sendmail command: {error}"))
        })?;
        interpret_status(status, *is_written)
    }

    fn spawn(&self, envelope: &Envelope) -> io::Result<Child> {
        Command::new(&self.command)
            // `-i`: a line with a lone dot does not end the message.
            .arg("-i")
            .arg("-f")
            .arg::<&str>(envelope.from.as_ref())
            .arg("--")
            .arg::<&str>(envelope.to.as_ref())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Reads what the program writes to its standard error, and keeps the beginning. It is
/// read to the end, since the program would wait or fail otherwise.
async fn read_words(errors: Option<ChildStderr>, words: &mut Vec<u8>) {
    let Some(mut errors) = errors else { return };
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = errors.read(&mut part).await {
        let free = MAX_WORDS.saturating_sub(words.len());
        words.extend(part.iter().take(length.min(free)));
    }
}

/// Writes the message and returns whether the program read all of it. A program
/// that rejects the recipient may exit earlier; its exit code is more specific
/// than the broken pipe.
async fn write_input(mut input: ChildStdin, message: &[u8]) -> bool {
    input.write_all(message).await.is_ok() && input.shutdown().await.is_ok()
}

/// Replaces CRLF by LF: local programs expect the line ends of the system.
fn with_line_feeds(message: &[u8]) -> Vec<u8> {
    let following = message.iter().skip(1).map(Some).chain([None]);
    message
        .iter()
        .zip(following)
        .filter(|&(&byte, next)| !(byte == b'\r' && next == Some(&b'\n')))
        .map(|(&byte, _)| byte)
        .collect()
}

/// Interprets the exit code according to `sysexits.h`.
///
/// Only codes that blame the message or the recipient are permanent failures. The
/// administrator can correct a wrong command line, missing permissions or a broken
/// configuration, and an unavailable service (69) may come back: these lose no
/// message.
fn interpret_status(status: ExitStatus, is_written: bool) -> Result<(), SendFailure> {
    let rejected = |what: &str, code: i32, address: bool| {
        Err(SendFailure::Permanent {
            reason: format!("the sendmail command rejected {what} (exit code {code})"),
            code: None,
            enhanced: None,
            address,
        })
    };
    match status.code() {
        Some(0) if is_written => Ok(()),
        Some(0) => Err(SendFailure::transient(
            "the sendmail command exited without reading the whole message",
        )),
        Some(code @ 65) => rejected("the data of the message", code, false),
        Some(code @ 67) => rejected("the recipient", code, true),
        Some(code @ 68) => rejected("the recipient's host", code, true),
        Some(code) => Err(SendFailure::transient(format!(
            "the sendmail command failed with exit code {code}"
        ))),
        None => Err(failure(
            "the sendmail command was killed by a signal",
            is_written,
        )),
    }
}

/// A failure without an exit code: uncertain if the program has the whole message.
fn failure(reason: impl Into<String>, is_written: bool) -> SendFailure {
    let failure = SendFailure::transient(reason);
    if is_written {
        failure.after_whole_message()
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Instant;

    /// Creates a program of shell lines. A child process writes the file: while
    /// this process, or the fork of another test, has it open for writing, it
    /// cannot be executed.
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
            from: "noreply@example.com".parse().unwrap(),
            to: "-alice@example.com".parse().unwrap(),
        }
    }

    async fn send(lines: &str, message: &[u8]) -> Result<(), SendFailure> {
        let folder = tempfile::tempdir().unwrap();
        let command = program(folder.path(), lines);
        SendmailTransport::new(command, Duration::from_secs(20))
            .send(&envelope(), message, &Handover::default())
            .await
    }

    #[tokio::test]
    async fn program_receives_envelope_and_message() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let lines = format!("printf '%s\\n' \"$@\" >{0}; cat >>{0}", out.display());
        let command = program(folder.path(), &lines);
        SendmailTransport::new(command, Duration::from_secs(20))
            .send(
                &envelope(),
                b"Subject: x\r\n\r\n.\r\na\rb\r\n",
                &Handover::default(),
            )
            .await
            .unwrap();
        assert_eq!(
            std::fs::read_to_string(&out).unwrap(),
            "-i\n-f\nnoreply@example.com\n--\n-alice@example.com\nSubject: x\n\n.\na\rb\n"
        );
    }

    #[tokio::test]
    async fn exit_codes_follow_sysexits() {
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
            let is_permanent = matches!(failure, SendFailure::Permanent { .. });
            assert_eq!(is_permanent, for_good, "{code}: {failure:?}");
            assert!(failure.to_string().contains(&code.to_string()), "{failure}");
        }
    }

    #[tokio::test]
    async fn words_of_the_program_are_masked() {
        for (lines, expected) in [
            (
                "cat >/dev/null; echo 'sendmail: <-alice@example.com>: mailbox 493021 full' >&2; \
                 exit 75",
                "the sendmail command failed with exit code 75: \"sendmail: [address]: mailbox […] \
                 full\"",
            ),
            (
                "echo 'User -Alice unknown' >&2; exit 67",
                "the sendmail command rejected the recipient (exit code 67): \"User [address] \
                 unknown\"",
            ),
            // A process that it leaves behind holds the stream open.
            (
                "cat >/dev/null; echo one >&2; echo two >&2; sleep 30 & exit 69",
                "the sendmail command failed with exit code 69: \"one two\"",
            ),
            (
                "echo late >&2; kill -9 $$",
                "the sendmail command was killed by a signal: \"late\"",
            ),
        ] {
            let failure = send(lines, b"To: x\n\n493021\n").await.unwrap_err();
            assert_eq!(failure.to_string(), expected);
        }
        let much = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); \
                    echo 'a line that is long enough to fill every pipe' >&2; done; cat >/dev/null";
        send(much, b"x").await.unwrap();
    }

    #[tokio::test]
    async fn exit_code_counts_if_the_message_was_not_read() {
        let large = vec![b'x'; 1 << 20];
        let refused = send("exit 67", &large).await.unwrap_err();
        assert!(
            matches!(refused, SendFailure::Permanent { address: true, .. }),
            "{refused:?}"
        );
        let unread = send("exit 0", &large).await.unwrap_err();
        assert!(
            matches!(unread, SendFailure::Transient { .. }),
            "{unread:?}"
        );
    }

    #[tokio::test]
    async fn signal_and_missing_program_are_transient() {
        let killed = send("kill -9 $$", b"x").await.unwrap_err();
        assert!(killed.to_string().contains("signal"), "{killed}");
        let missing =
            SendmailTransport::new("/nonexistent/sendmail".into(), Duration::from_secs(9))
                .send(&envelope(), b"x", &Handover::default())
                .await
                .unwrap_err();
        assert!(
            matches!(missing, SendFailure::Transient { .. }),
            "{missing:?}"
        );
        assert!(!missing.to_string().contains('@'), "{missing}");
    }

    #[tokio::test]
    async fn hanging_program_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let command = program(folder.path(), "exec sleep 60");
        let limit = Duration::from_millis(200);
        let transport = SendmailTransport::new(command, limit);
        // The pipe holds a short message, so the program has all of it.
        let failure = transport
            .send(&envelope(), b"x", &Handover::default())
            .await
            .unwrap_err();
        assert!(
            matches!(failure, SendFailure::Uncertain { .. }),
            "{failure:?}"
        );
        assert!(failure.to_string().ends_with("within 200ms"), "{failure}");
        let large = vec![b'x'; 1 << 20];
        let failure = transport
            .send(&envelope(), &large, &Handover::default())
            .await
            .unwrap_err();
        assert!(
            matches!(failure, SendFailure::Transient { .. }),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn abandoned_program_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let lines = format!("echo $$ >{}; exec sleep 60", pid_file.display());
        let transport =
            SendmailTransport::new(program(folder.path(), &lines), Duration::from_mins(1));
        let (began, envelope, handover) = (Instant::now(), envelope(), Handover::default());
        let pid = tokio::select! {
            outcome = transport.send(&envelope, b"x", &handover) => panic!("ended: {outcome:?}"),
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
