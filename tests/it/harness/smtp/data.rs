//! The text of a message (RFC 5321 section 4.1.1.4).

use std::io;

use super::connection::Connection;
use super::envelope::Envelope;
use super::options::Options;

/// The longest message, as the extension SIZE offers it.
pub const MAX_SIZE: usize = 10 * 1024 * 1024;
/// The longest line in octets, without its line end.
const MAX_LINE: usize = 998;

/// A message as it came, without dot-stuffing and the final dot.
#[derive(Debug, Default)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub longest_line: usize,
    pub has_bare_lf: bool,
}

/// Reads up to the final dot; `None` if the client hangs up before it.
pub async fn read(connection: &mut Connection) -> io::Result<Option<Message>> {
    let mut message = Message::default();
    let mut after_crlf = true;
    while let Some(line) = connection.line().await? {
        // Not after a bare LF: that would allow SMTP smuggling.
        if after_crlf && line == b".\r\n" {
            return Ok(Some(message));
        }
        after_crlf = line.ends_with(b"\r\n");
        message.add(line.strip_prefix(b".").unwrap_or(&line));
    }
    Ok(None)
}

impl Message {
    fn add(&mut self, line: &[u8]) {
        let text = line.strip_suffix(b"\r\n");
        self.has_bare_lf |= text.is_none();
        let length = text.map_or(line.len() - 1, <[u8]>::len);
        self.longest_line = self.longest_line.max(length);
        if self.bytes.len() <= MAX_SIZE {
            self.bytes.extend_from_slice(line);
        }
    }

    /// The reply to a malformed message.
    pub fn fault(&self, envelope: &Envelope, options: &Options) -> Option<&'static str> {
        let is_break = |pair: &[u8]| pair[0] == b'\r' && pair[1] != b'\n';
        let header = header(&self.bytes);
        if self.bytes.len() > MAX_SIZE {
            Some("552 5.3.4 message too big")
        } else if self.has_bare_lf && !options.accept_bare_lf {
            Some("550 5.5.2 line feed without carriage return")
        } else if self.bytes.windows(2).any(is_break) {
            Some("550 5.5.2 carriage return without line feed")
        } else if self.bytes.contains(&0) {
            Some("550 5.6.0 NUL in the message")
        } else if self.longest_line > MAX_LINE {
            Some("550 5.6.0 line too long")
        } else if !envelope.eight_bit && !self.bytes.is_ascii() {
            Some("554 5.6.1 8-bit data without BODY=8BITMIME")
        } else if !envelope.utf8 && !header.is_ascii() {
            Some("554 5.6.7 header is not ASCII, and SMTPUTF8 was not requested")
        } else {
            None
        }
    }
}

/// The lines before the first empty line.
fn header(message: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if line == b"\r\n" {
            break;
        }
        end += line.len();
    }
    &message[..end]
}
