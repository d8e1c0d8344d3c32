//! Responses as servers send them, turned into the one form that awc reads rightly.
//!
//! awc 3.11 takes a body without `Content-Length` for empty unless the response is
//! HTTP/1.0 (actix-web#2287, closed without a release that mends it), takes a body
//! that was cut short for complete, takes an interim response for the final one,
//! refuses equal `Content-Length` fields and more than 96 fields. None of that is an
//! option. So the stream below awc decodes the response itself (RFC 9112, section 6)
//! and passes it on as HTTP/1.0: a short head, then the content up to the end of the
//! stream. A response that is incomplete ends with an error instead.
//!
//! This module does no I/O, and memory use is bounded whatever a server sends.

mod body;
mod head;

use body::{Body, Framing};
use head::{Head, HeadReader};

/// Why a response cannot be decoded. The texts contain nothing of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResponseError {
    /// The connection ended before the first byte.
    #[error("the connection was closed before the response")]
    NoResponse,
    /// The connection ended within the response.
    #[error("the response is incomplete")]
    Incomplete,
    /// The heads of a response, with interim ones, are too large.
    #[error("the head of the response is too large")]
    HeadTooLarge,
    /// The head is not that of HTTP/1.
    #[error("the response is not HTTP/1")]
    NotHttp,
    /// The server changes to a protocol that nobody asked for.
    #[error("the server switches to another protocol")]
    SwitchesProtocols,
    /// `Content-Length` is not a number, or there are several that differ.
    #[error("Content-Length is invalid")]
    InvalidLength,
    /// The chunked coding is malformed.
    #[error("the chunked coding of the response is invalid")]
    InvalidChunk,
}

/// Decodes one response from the bytes of a connection.
pub(super) struct Decoder(State);

enum State {
    Head(HeadReader),
    Body {
        status: u16,
        body: Body,
        /// Whether another response may follow this one.
        persists: bool,
    },
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self(State::Head(HeadReader::default()))
    }

    /// Takes bytes of the connection, and appends to `output` what awc is to read.
    ///
    /// # Errors
    /// The response is invalid. The decoder must not be used after that.
    pub(super) fn push(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), ResponseError> {
        let mut rest = bytes;
        while let State::Head(reader) = &mut self.0 {
            let Some(text) = reader.push(&mut rest)? else {
                return Ok(());
            };
            let head = Head::parse(&text)?;
            if head.status == 101 {
                return Err(ResponseError::SwitchesProtocols);
            }
            if head.status >= 200 {
                head.write(output);
                self.0 = State::Body {
                    status: head.status,
                    body: Body::new(head.framing),
                    // What ends a chunked body is not read.
                    persists: head.persists && matches!(head.framing, Framing::Length(_)),
                };
            }
        }
        match &mut self.0 {
            State::Body { body, persists, .. } => {
                let others = body.push(rest, output)?;
                // Nobody asked for more.
                *persists &= others.is_empty();
                Ok(())
            }
            State::Head(_) => Ok(()),
        }
    }

    /// Whether another response may follow: this one is complete, had a length, and left the
    /// connection open.
    pub(super) fn leaves_open(&self) -> bool {
        matches!(&self.0, State::Body { body, persists: true, .. } if body.is_complete())
    }

    /// Whether another response may follow once this one is complete.
    pub(super) fn persists(&self) -> bool {
        matches!(&self.0, State::Body { persists: true, .. })
    }

    /// Whether no byte of a response has come.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(&self.0, State::Head(reader) if reader.is_empty())
    }

    /// Whether the whole response was decoded. What follows is not part of it.
    pub(super) fn is_complete(&self) -> bool {
        matches!(&self.0, State::Body { body, .. } if body.is_complete())
    }

    /// The status, as soon as the head was decoded.
    pub(super) fn status(&self) -> Option<u16> {
        match &self.0 {
            State::Head(_) => None,
            State::Body { status, .. } => Some(*status),
        }
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// The response is incomplete.
    pub(super) fn finish(&mut self) -> Result<(), ResponseError> {
        match &mut self.0 {
            State::Head(reader) if reader.is_empty() => Err(ResponseError::NoResponse),
            State::Head(_) => Err(ResponseError::Incomplete),
            State::Body { body, .. } => body.finish(),
        }
    }
}

#[cfg(test)]
mod tests;
