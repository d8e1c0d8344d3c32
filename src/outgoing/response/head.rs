//! The head of a response (RFC 9112, sections 4 to 6).

use super::ResponseError;
use super::body::{Framing, items};

/// The largest head that is accepted, in bytes, together with all interim ones.
/// Servers send up to a hundred kilobytes of cookies and policies; curl takes 300.
const MAX_HEAD: usize = 256 * 1024;
/// The maximum number of fields, which is some hundred in the world.
const MAX_FIELDS: usize = 4096;

/// The fields that this server reads; others are not passed on.
const KEPT: [&str; 5] = [
    "cache-control",
    "date",
    "expires",
    "location",
    "retry-after",
];
/// The largest size of all fields that are passed on.
const MAX_KEPT: usize = 32 * 1024;

/// Collects the bytes of a head.
#[derive(Default)]
pub(super) struct HeadReader {
    bytes: Vec<u8>,
    /// The length of the line that is being read, without CR.
    line: usize,
    /// The size of the interim heads before this one.
    before: usize,
}

impl HeadReader {
    /// Takes bytes up to the end of the head, and returns the head if it is complete.
    /// A line may end with LF alone (RFC 9112, section 2.2).
    pub(super) fn push(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, ResponseError> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if self.before + self.bytes.len() >= MAX_HEAD {
                return Err(ResponseError::HeadTooLarge);
            }
            self.bytes.push(byte);
            match byte {
                b'\n' if self.line > 0 => self.line = 0,
                b'\n' if self.is_blank() => {
                    // Some servers send a line end too many after the last response.
                    self.before += self.bytes.len();
                    self.bytes.clear();
                }
                b'\n' => {
                    self.before += self.bytes.len();
                    return Ok(Some(std::mem::take(&mut self.bytes)));
                }
                b'\r' => {}
                _ => self.line += 1,
            }
        }
        Ok(None)
    }

    /// Whether nothing but line ends was read.
    fn is_blank(&self) -> bool {
        self.bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// Whether no byte was read.
    pub(super) fn is_empty(&self) -> bool {
        self.before == 0 && self.bytes.is_empty()
    }
}

/// A parsed head.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Whether another request may follow on the connection (RFC 9112, section 9.3).
    pub(super) persists: bool,
    /// The fields that are passed on.
    kept: Vec<(&'static str, Vec<u8>)>,
}

impl Head {
    /// Parses a complete head. Malformed fields are left out, unless they say how
    /// long the body is.
    pub(super) fn parse(text: &[u8]) -> Result<Self, ResponseError> {
        let lines = text.split(|&byte| byte == b'\n').count();
        let mut fields = vec![httparse::EMPTY_HEADER; lines.min(MAX_FIELDS)];
        let mut response = httparse::Response::new(&mut fields);
        let mut config = httparse::ParserConfig::default();
        config
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_multiple_spaces_in_response_status_delimiters(true)
            .allow_space_before_first_header_name(true)
            .ignore_invalid_headers_in_responses(true);
        match config.parse_response(&mut response, text) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseError::HeadTooLarge),
            Ok(httparse::Status::Partial) | Err(_) => return Err(ResponseError::NotHttp),
        }
        let status = response.code.unwrap_or_default();
        if !(100..=999).contains(&status) {
            return Err(ResponseError::NotHttp);
        }
        let framing = Framing::new(status, response.headers)?;
        let closes = |item: &str| item.eq_ignore_ascii_case("close");
        let persists =
            response.version == Some(1) && !items(response.headers, "connection").any(closes);
        let kept = response
            .headers
            .iter()
            .filter_map(|field| {
                let name = KEPT
                    .into_iter()
                    .find(|name| field.name.eq_ignore_ascii_case(name))?;
                Some((name, one_line(field.value)))
            })
            .collect();
        Ok(Self {
            status,
            framing,
            persists,
            kept,
        })
    }

    /// Writes the head in the form that awc reads: HTTP/1.0 and no length means that
    /// the body ends with the stream.
    pub(super) fn write(&self, output: &mut Vec<u8>) {
        output.extend(format!("HTTP/1.0 {}\r\n", self.status).bytes());
        let mut size = 0;
        for (name, value) in &self.kept {
            size += name.len() + value.len();
            if size <= MAX_KEPT {
                output.extend(name.bytes());
                output.extend(b": ");
                output.extend(value);
                output.extend(b"\r\n");
            }
        }
        output.extend(b"\r\n");
    }
}

/// The value of a field that may be folded (RFC 9112, section 5.2).
fn one_line(value: &[u8]) -> Vec<u8> {
    let unfolded = value.iter().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        byte => *byte,
    });
    unfolded.collect()
}
