//! An established connection, as awc reads it: with the response decoded.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::response::{Decoder, ResponseError};

/// How many bytes are read at a time.
const READ_SIZE: usize = 8 * 1024;

/// A connection to a server, with or without TLS. It carries one request and its
/// response, whose end is the end of the stream; then it may be ready for another.
pub(crate) struct Stream {
    connection: Connection,
    decoder: Decoder,
    /// Bytes of the connection.
    input: Vec<u8>,
    /// Decoded bytes, and how many of them were read.
    output: Vec<u8>,
    read: usize,
}

enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// A connection without TLS.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self::new(Connection::Plain(stream))
    }

    /// A connection with TLS.
    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::new(Connection::Tls(Box::new(stream)))
    }

    fn new(connection: Connection) -> Self {
        Self {
            connection,
            decoder: Decoder::new(),
            input: vec![0; READ_SIZE],
            output: Vec::new(),
            read: 0,
        }
    }

    /// Makes it ready for another request, if the last response left the connection open.
    /// Returns whether it is.
    pub(super) fn renew(&mut self) -> bool {
        let is_open = self.decoder.leaves_open();
        if is_open {
            self.decoder = Decoder::new();
            self.output = Vec::new();
            self.read = 0;
        }
        is_open
    }

    /// Whether the server neither closed it nor sent anything since the last response.
    pub(super) fn is_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        self.poll_connection(&mut cx, &mut buffer).is_pending()
    }

    /// Whether it can be ready for another request once the response is complete.
    pub(super) fn persists(&self) -> bool {
        self.decoder.persists()
    }

    /// Whether no byte of a response has come.
    pub(super) fn is_unanswered(&self) -> bool {
        self.decoder.is_unanswered()
    }

    fn poll_connection(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.connection {
            Connection::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Connection::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match &self.connection {
            Connection::Plain(stream) => stream,
            Connection::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Reads from the connection and decodes. There was nothing left to read.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.clear();
        self.read = 0;
        let mut input = mem::take(&mut self.input);
        let mut buffer = ReadBuf::new(&mut input);
        let outcome = self.poll_connection(cx, &mut buffer);
        let filled = buffer.filled().len();
        self.input = input;
        match ready!(outcome) {
            Ok(()) => {}
            // Many servers end TLS without saying so (`close_notify`). Only a body
            // that ends with the connection could be cut short by that, and JSON
            // says itself where it ends.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        let decoded = match self.input.get(..filled) {
            None | Some([]) => self.decoder.finish(),
            Some(bytes) => self.decoder.push(bytes, &mut self.output),
        };
        Poll::Ready(decoded.map_err(io_error))
    }
}

fn io_error(error: ResponseError) -> io::Error {
    let kind = match error {
        ResponseError::NoResponse | ResponseError::Incomplete => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl ActixStream for Stream {
    // Only listeners use these two; awc polls the stream itself.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.tcp(), cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.tcp(), cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.read >= this.output.len() {
            if this.decoder.is_complete() {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_more(cx))?;
        }
        let unread = this.output.get(this.read..).unwrap_or_default();
        let now = unread.get(..buf.remaining()).unwrap_or(unread);
        buf.put_slice(now);
        this.read += now.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().connection {
            Connection::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Connection::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().connection {
            Connection::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().connection {
            Connection::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
