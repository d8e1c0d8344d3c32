//! Reads replies (RFC 5321, section 4.2) as relays send them.
//!
//! The code decides, by its first digit; the text is opaque bytes. lettre 0.11 has a
//! parser of its own, which wants UTF-8, a blank after every code, second digits up to
//! 5 and lines of at most 1000 bytes (see [`super::stream`]).

use crate::delivery::masking::Confidential;

/// The longest reply in bytes, in all its lines.
const MAX_REPLY: usize = 1024 * 1024;

/// How much of a line, and of the text of a reply, is kept.
const MAX_KEPT_LINE: usize = 2048;
const MAX_KEPT: usize = 64 * 1024;

/// A reply.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// The code of the last line: 200 to 599.
    code: u16,
    /// The lines without their codes.
    lines: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// What the first digit of a code says (RFC 5321, section 4.2.1). A client must
/// understand unknown codes by it (section 4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Completion,
    Intermediate,
    TransientNegative,
    PermanentNegative,
}

impl Reply {
    pub(super) fn code(&self) -> u16 {
        self.code
    }

    pub(super) fn class(&self) -> Class {
        match self.code {
            ..300 => Class::Completion,
            300..400 => Class::Intermediate,
            400..500 => Class::TransientNegative,
            500.. => Class::PermanentNegative,
        }
    }

    pub(super) fn is_negative(&self) -> bool {
        matches!(
            self.class(),
            Class::TransientNegative | Class::PermanentNegative
        )
    }

    /// The lines as text, for keywords.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let lines = self.lines.iter();
        lines.map(|line| String::from_utf8_lossy(line).trim().to_owned())
    }

    /// The enhanced status code (RFC 3463), if its class is that of the reply: at the
    /// beginning of a line, or at its end as `(#5.1.1)`, as qmail writes it.
    pub(super) fn enhanced(&self) -> Option<String> {
        let class = self.code / 100;
        self.lines().find_map(|line| {
            let words = line.split_whitespace();
            let first = words.clone().next().into_iter();
            let marked = words.filter_map(|word| word.split_once('#').map(|(_, status)| status));
            let mut candidates = first.chain(marked).map(|word| {
                word.trim_start_matches(['[', '('])
                    .trim_end_matches([']', ')', ':', ';', ',', '.'])
            });
            candidates
                .find(|word| is_enhanced_status(class, word))
                .map(str::to_owned)
        })
    }

    /// The text in small letters, to search it. Never to be shown.
    pub(super) fn lower_case(&self) -> String {
        self.lines().collect::<Vec<_>>().join(" ").to_lowercase()
    }

    /// The text as a log may have it, without the enhanced status code of each line.
    pub(super) fn words(&self, confidential: &Confidential<'_>) -> String {
        let enhanced = self.enhanced().unwrap_or_default();
        let mut text = Vec::new();
        for line in &self.lines {
            let line = line.trim_ascii_start();
            let without = line.strip_prefix(enhanced.as_bytes()).unwrap_or(line);
            text.extend_from_slice(without);
            text.push(b' ');
        }
        confidential.mask(&text)
    }

    /// The same reply as lettre's parser wants it: a defined code of the same class,
    /// and a text that does not matter.
    pub(super) fn for_lettre(&self) -> &'static [u8] {
        match self.class() {
            Class::Completion => b"250 .\r\n",
            Class::Intermediate => b"354 .\r\n",
            Class::TransientNegative => b"450 .\r\n",
            Class::PermanentNegative => b"550 .\r\n",
        }
    }
}

fn is_enhanced_status(class: u16, word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let is_number = |part: &&str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(parts[..], [of_class, _, _] if of_class.parse() == Ok(class))
        && parts.iter().all(is_number)
}

/// Why bytes are not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    NotSmtp,
    TooLong,
}

/// Splits what a relay sends into replies.
#[derive(Default)]
pub(super) struct ReplyReader {
    /// Bytes that were received; the first ones have been read.
    bytes: Vec<u8>,
    /// How many have been read.
    read: usize,
    /// How many after those contain no line end.
    scanned: usize,
    /// The lines of the reply so far.
    lines: Vec<Vec<u8>>,
    kept: usize,
    /// The bytes of the reply so far.
    received: usize,
}

impl ReplyReader {
    /// Adds what was received.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Once for all lines that were read: for each of them it would take quadratic time.
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether something was received after the last reply.
    pub(super) fn has_unread(&self) -> bool {
        self.bytes.len() > self.read || !self.lines.is_empty()
    }

    /// The next reply, if it is complete.
    pub(super) fn next_reply(&mut self) -> Result<Option<Reply>, Malformed> {
        while let Some(line) = self.next_line()? {
            if let Some(reply) = self.add_line(&line)? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// The reply that the end of the connection completes: its last line had no end.
    pub(super) fn finish(&mut self) -> Option<Reply> {
        let bytes = std::mem::take(&mut self.bytes);
        let line = bytes.get(self.read..).unwrap_or_default();
        (self.read, self.scanned) = (0, 0);
        self.add_line(line).ok().flatten()
    }

    /// The next line without its end, which may be a line feed alone.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        let unread = self.bytes.get(self.read..).unwrap_or_default();
        let unscanned = unread.get(self.scanned..).unwrap_or_default();
        let Some(found) = unscanned.iter().position(|&byte| byte == b'\n') else {
            self.scanned = unread.len();
            return match self.received + self.scanned {
                length if length > MAX_REPLY => Err(Malformed::TooLong),
                _ => Ok(None),
            };
        };
        let end = self.scanned + found;
        let mut line = unread.get(..=end).unwrap_or_default().to_vec();
        self.read += line.len();
        self.scanned = 0;
        self.received += line.len();
        if self.received > MAX_REPLY {
            return Err(Malformed::TooLong);
        }
        while line.ends_with(b"\n") || line.ends_with(b"\r") {
            line.pop();
        }
        Ok(Some(line))
    }

    /// Adds a line. Returns the reply if it is the last one.
    ///
    /// A line without a code within a reply is taken for text that wraps, and blank
    /// lines are ignored, as other clients do.
    fn add_line(&mut self, line: &[u8]) -> Result<Option<Reply>, Malformed> {
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        let Some((code, is_last, text)) = split_code(line) else {
            if is_blank || !self.lines.is_empty() {
                return Ok(None);
            }
            return Err(Malformed::NotSmtp);
        };
        let room = MAX_KEPT.saturating_sub(self.kept).min(MAX_KEPT_LINE);
        let text = text.get(..room.min(text.len())).unwrap_or_default();
        self.kept += text.len();
        self.lines.push(text.to_vec());
        if !is_last {
            return Ok(None);
        }
        (self.kept, self.received) = (0, 0);
        Ok(Some(Reply {
            code,
            lines: std::mem::take(&mut self.lines),
        }))
    }
}

/// Splits a line into its code, whether it is the last line, and its text.
fn split_code(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = code else {
        return None;
    };
    let code = str::from_utf8(code).ok()?.parse().ok()?;
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b'-', text)) => Some((code, false, text)),
        Some((b' ' | b'\t', text)) => Some((code, true, text)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, Malformed> {
        let mut reader = ReplyReader::default();
        reader.push(bytes);
        reader.next_reply()
    }

    fn reply(bytes: &[u8]) -> Reply {
        read(bytes).unwrap().unwrap()
    }

    /// RFC 5321, sections 4.2 and 4.3.2
    #[test]
    fn reply_is_its_code_whatever_the_text() {
        use Class::{Completion, Intermediate, PermanentNegative, TransientNegative};
        for (bytes, code, class) in [
            (&b"220\r\n"[..], 220, Completion),
            (b"250-\r\n250\r\n", 250, Completion),
            (b"250 caf\xE9\r\n", 250, Completion),
            (b"550 \xC4\xE3\xBA\xC3\r\n", 550, PermanentNegative),
            (b"250 a\0b\r\n", 250, Completion),
            (b"299 unknown\r\n", 299, Completion),
            (b"260\n", 260, Completion),
            (b"399 go\r\n", 399, Intermediate),
            (b"471 later\r\n", 471, TransientNegative),
            (b"571 5.7.1 no\r\n", 571, PermanentNegative),
            (b"577 no\r\n", 577, PermanentNegative),
            (b"250\tok\r\n", 250, Completion),
            (b"250 ok\r\r\n", 250, Completion),
            (b"\r\n220 ready\r\n", 220, Completion),
            (b"250-a\r\n550 no\r\n", 550, PermanentNegative),
            (b"250-a\r\n wrapped\r\n\r\n250 ok\r\n", 250, Completion),
        ] {
            let reply = reply(bytes);
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!((reply.code(), reply.class()), (code, class), "{shown}");
        }
    }

    #[test]
    fn other_bytes_are_not_smtp() {
        for bytes in [
            "hello\r\n",
            "22x ready\r\n",
            "+20 ready\r\n",
            "220_ready\r\n",
            "2200 ready\r\n",
            "120 soon\r\n",
            "620 what\r\n",
            "SSH-2.0\r\n",
            "22\r\n",
        ] {
            assert_eq!(read(bytes.as_bytes()), Err(Malformed::NotSmtp), "{bytes}");
        }
    }

    #[test]
    fn only_the_whole_reply_is_limited() {
        let line = [&b"250 "[..], &b"x".repeat(MAX_REPLY - 10), b"\r\n"].concat();
        assert_eq!(reply(&line).code(), 250);
        let line = [&b"250 "[..], &b"x".repeat(MAX_REPLY)].concat();
        assert_eq!(read(&line), Err(Malformed::TooLong));
        assert_eq!(read(&b"250-x\r\n".repeat(200_000)), Err(Malformed::TooLong));
        assert_eq!(
            reply(&[&b"250-x\r\n".repeat(10_000)[..], b"250 y\n"].concat()).code(),
            250
        );
    }

    #[test]
    fn replies_are_read_one_by_one() {
        let mut reader = ReplyReader::default();
        for part in ["25", "0-a\r", "\n250 b\n42", "1\r\n22"] {
            reader.push(part.as_bytes());
        }
        let codes: Vec<u16> = std::iter::from_fn(|| reader.next_reply().unwrap())
            .map(|reply| reply.code())
            .collect();
        assert_eq!(codes, [250, 421]);
        assert!(reader.has_unread());
        reader.push(b"1 bye");
        assert_eq!(reader.finish().unwrap().code(), 221);
        assert_eq!(reader.finish(), None);
    }

    #[test]
    fn enhanced_status_must_match_the_code() {
        for (text, status) in [
            ("550 5.1.1 unknown", Some("5.1.1")),
            ("550-5.7.123\r\n550 5.7.123 x", Some("5.7.123")),
            ("550-no\r\n550 5.1.1 unknown", Some("5.1.1")),
            (
                "553 not in my list of allowed rcpthosts (#5.7.1)",
                Some("5.7.1"),
            ),
            ("450 4.2.0 later", Some("4.2.0")),
            ("550 5.1.1: unknown", Some("5.1.1")),
            ("550 [5.1.1] unknown", Some("5.1.1")),
            ("550 4.1.1 disagrees", None),
            ("550 a@b.example unknown", None),
            ("550 5.1.1.example.com", None),
            ("550 5.1.x no", None),
            ("550 5..1 no", None),
            ("550 5.1.1111 no", None),
            ("550", None),
        ] {
            let reply = reply(format!("{text}\r\n").as_bytes());
            assert_eq!(reply.enhanced().as_deref(), status, "{text}");
        }
    }

    #[test]
    fn words_are_without_addresses_and_statuses() {
        let reply = reply(b"550-5.1.1 <a@b.example>\r\n550 5.1.1 unknown\r\n");
        assert_eq!(reply.words(&Confidential::default()), "[address] unknown");
        assert_eq!(format!("{reply:?}"), "Reply { code: 550, .. }");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(parts in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
            let mut reader = ReplyReader::default();
            for part in &parts {
                reader.push(part);
                while let Ok(Some(reply)) = reader.next_reply() {
                    let _ = (reply.enhanced(), reply.words(&Confidential::default()));
                    prop_assert!((200..600).contains(&reply.code()));
                }
            }
            let _ = reader.finish();
        }

        #[test]
        fn lettre_gets_a_reply_of_the_same_class(code in 200_u16..600) {
            let reply = reply(format!("{code}\r\n").as_bytes());
            let text = str::from_utf8(reply.for_lettre()).unwrap();
            let lettre: lettre::transport::smtp::response::Response = text.parse().unwrap();
            prop_assert_eq!(u16::from(lettre.code()) / 100, code / 100);
        }
    }
}
