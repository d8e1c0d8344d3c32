//! The body of a response (RFC 9112, sections 6 and 7).

use httparse::{Header, Status, parse_chunk_size};

use super::ResponseError;

/// The longest line of the chunked coding, in bytes. Extensions are not used.
const MAX_CHUNK_LINE: usize = 4 * 1024;

/// How the end of a body is recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// It has that many bytes.
    Length(u64),
    /// It is chunked.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

impl Framing {
    /// Decides as RFC 9112, section 6.3, says for clients.
    pub(super) fn new(status: u16, fields: &[Header<'_>]) -> Result<Self, ResponseError> {
        if matches!(status, 100..=199 | 204 | 304) {
            return Ok(Self::Length(0));
        }
        // A coding overrides the length, also in HTTP/1.0. Proxies that announce
        // `chunked` twice have encoded the body once.
        let last_coding = items(fields, "transfer-encoding")
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
            .last();
        if let Some(coding) = last_coding {
            return Ok(if coding.eq_ignore_ascii_case("chunked") {
                Self::Chunked
            } else {
                Self::UntilClose
            });
        }
        let mut lengths = items(fields, "content-length").map(parse_length);
        let Some(first) = lengths.next() else {
            return Ok(Self::UntilClose);
        };
        let first = first?;
        for other in lengths {
            if other? != first {
                return Err(ResponseError::InvalidLength);
            }
        }
        Ok(Self::Length(first))
    }
}

/// The items of a field that is a list, which may occur several times. A value that
/// is not ASCII is one item that means nothing.
pub(super) fn items<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a str> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .flat_map(|field| std::str::from_utf8(field.value).unwrap_or("?").split(','))
        .map(|item| item.trim_matches([' ', '\t', '\r', '\n']))
}

fn parse_length(text: &str) -> Result<u64, ResponseError> {
    // `parse` alone would accept a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|_| is_number);
    length.ok_or(ResponseError::InvalidLength)
}

/// The part of a body that is still to come.
pub(super) enum Body {
    /// So many bytes. None means that it is complete.
    Length(u64),
    /// All until the end of the connection.
    UntilClose,
    /// The data of a chunk, of which there are so many bytes.
    ChunkData(u64),
    /// The line after the data of a chunk, or the one before it.
    ChunkLine { line: Vec<u8>, after_data: bool },
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::UntilClose => Self::UntilClose,
            Framing::Chunked => Self::line(false),
        }
    }

    const fn line(after_data: bool) -> Self {
        let line = Vec::new();
        Self::ChunkLine { line, after_data }
    }

    /// Decodes bytes, and returns those after the end of the body.
    pub(super) fn push<'a>(
        &mut self,
        mut bytes: &'a [u8],
        output: &mut Vec<u8>,
    ) -> Result<&'a [u8], ResponseError> {
        while !bytes.is_empty() && !self.is_complete() {
            bytes = self.push_part(bytes, output)?;
        }
        Ok(bytes)
    }

    /// Decodes bytes of one part, and returns the rest.
    fn push_part<'a>(
        &mut self,
        bytes: &'a [u8],
        output: &mut Vec<u8>,
    ) -> Result<&'a [u8], ResponseError> {
        match self {
            Self::UntilClose => {
                output.extend(bytes);
                Ok(&[])
            }
            Self::Length(remaining) => Ok(copy(remaining, bytes, output)),
            Self::ChunkData(remaining) => {
                let rest = copy(remaining, bytes, output);
                if *remaining == 0 {
                    *self = Self::line(true);
                }
                Ok(rest)
            }
            Self::ChunkLine { line, after_data } => {
                let end = bytes.iter().position(|&byte| byte == b'\n');
                let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
                if line.len() + part.len() > MAX_CHUNK_LINE {
                    return Err(ResponseError::InvalidChunk);
                }
                line.extend(part);
                if end.is_some() {
                    *self = after_line(line, *after_data)?;
                }
                Ok(rest)
            }
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0))
    }

    /// The connection has ended.
    pub(super) fn finish(&mut self) -> Result<(), ResponseError> {
        match self {
            Self::UntilClose | Self::Length(0) => {
                *self = Self::Length(0);
                Ok(())
            }
            _ => Err(ResponseError::Incomplete),
        }
    }
}

/// Copies up to `remaining` bytes, and returns the others.
fn copy<'a>(remaining: &mut u64, bytes: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    let fitting = usize::try_from(*remaining).unwrap_or(usize::MAX);
    let (now, rest) = bytes.split_at(fitting.min(bytes.len()));
    output.extend(now);
    *remaining -= now.len() as u64;
    rest
}

/// What follows a line of the chunked coding.
fn after_line(line: &[u8], after_data: bool) -> Result<Body, ResponseError> {
    let line = line.trim_ascii();
    if after_data {
        return if line.is_empty() {
            Ok(Body::line(false))
        } else {
            Err(ResponseError::InvalidChunk)
        };
    }
    // The parser takes an empty line for a size of 0, and wants CR and LF.
    if !line.first().is_some_and(u8::is_ascii_hexdigit) {
        return Err(ResponseError::InvalidChunk);
    }
    let line = [line, b"\r\n"].concat();
    match parse_chunk_size(&line) {
        // The last chunk. The trailer is not read: the body is complete (section 8).
        Ok(Status::Complete((_, 0))) => Ok(Body::Length(0)),
        Ok(Status::Complete((_, size))) => Ok(Body::ChunkData(size)),
        Ok(Status::Partial) | Err(_) => Err(ResponseError::InvalidChunk),
    }
}
