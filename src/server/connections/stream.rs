//! A connection with deadlines.
//!
//! actix-http has a timer for the head of the first request only, none for a response
//! that its client does not read, and decodes a head from its start whenever a byte of
//! it arrives. This stream is what it reads and writes instead of the socket; when a
//! deadline is over, the next read or write fails, and actix-http drops the connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::table::Admission;
use crate::http::{Connection, Phase};
use crate::permits::Share;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// For the head of a request, and for taking a response.
    pub(super) request: Duration,
    /// Until the next request begins.
    pub(super) keep_alive: Duration,
}

/// A response to a head that is not complete in time, without a body, as actix-http
/// sends it.
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// So many bytes of requests are read before other connections have a turn: a client
/// that sends requests one after another would otherwise take the thread for itself,
/// and fill the memory with responses that it does not read.
const READ_AT_ONCE: usize = 2 * 1024;

/// The same of a body.
const READ_OF_BODY_AT_ONCE: usize = 16 * 1024;

/// A client may take so many bytes of a response a second, at least.
const MIN_RATE: u64 = 8 * 1024;

/// A head of more bytes is a long one.
const LONG_HEAD: usize = 16 * 1024;

/// A read of fewer bytes is a small one.
const SMALL_READ: usize = 512;

/// So many small reads may bring the head of a request. A head of 128 KiB in single
/// bytes would be decoded 128 Ki times, which takes quadratic time.
const MAX_SMALL_READS: u32 = 512;

/// An accepted connection, with its deadlines. Dropping it makes room for another one.
pub(super) struct Guarded<T> {
    stream: T,
    peer: Option<SocketAddr>,
    admission: Admission,
    deadlines: Deadlines,
    /// Whether the stream carries HTTP, and not TLS.
    is_plain: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Since when the client takes no more bytes.
    write_blocked_since: Option<Instant>,
    /// The bytes that it has taken since then.
    written_since: u64,
    /// Who waits to read until the client takes more bytes.
    reader: Option<Waker>,
    /// Bytes that were read since the stream had none.
    read_at_once: usize,
    small_reads: u32,
    /// Bytes of the head that is being read, and the room that a long one takes.
    head: usize,
    long_head: Option<Share>,
    /// Whether the client has sent anything.
    has_sent: bool,
    /// When the phase began in which the small reads were counted.
    counted_since: std::time::Instant,
}

impl<T> Guarded<T> {
    pub(super) fn new(
        stream: T,
        peer: Option<SocketAddr>,
        admission: Admission,
        deadlines: Deadlines,
        is_plain: bool,
    ) -> Self {
        let (_, counted_since) = admission.connection().phase();
        Self {
            stream,
            peer,
            admission,
            deadlines,
            is_plain,
            sleep: None,
            write_blocked_since: None,
            written_since: 0,
            reader: None,
            read_at_once: 0,
            small_reads: 0,
            head: 0,
            long_head: None,
            has_sent: false,
            counted_since,
        }
    }

    /// The other end of the connection.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The state that the requests of this connection share.
    pub(super) fn connection(&self) -> &Connection {
        self.admission.connection()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guarded<T> {
    fn deadline(&self) -> Option<Instant> {
        if let Some(since) = self.write_blocked_since {
            let seconds = self.written_since / MIN_RATE;
            return Some(since + self.deadlines.request + Duration::from_secs(seconds));
        }
        let (phase, since) = self.connection().phase();
        let after = match phase {
            Phase::FirstHead | Phase::Head => self.deadlines.request,
            Phase::Idle => self.deadlines.keep_alive,
            // Handlers and the bodies that they read have timeouts of their own.
            Phase::Working | Phase::Body => return None,
        };
        Some(Instant::from_std(since) + after)
    }

    /// Fails when a deadline is over. Otherwise `context` is woken when it is. The
    /// timer is set again only for an earlier time: it may go off too early.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.connection().is_closing(context) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        loop {
            let Some(deadline) = self.deadline() else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                self.refuse(context);
                return Err(io::ErrorKind::TimedOut.into());
            }
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if deadline < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(deadline);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Ok(());
            }
        }
    }

    /// Says why the connection is closed to a client that has sent a part of a head.
    /// Nothing else is being written then.
    fn refuse(&mut self, context: &mut Context<'_>) {
        let (phase, _) = self.connection().phase();
        let is_head = match phase {
            Phase::FirstHead => self.has_sent,
            Phase::Head => true,
            Phase::Idle | Phase::Working | Phase::Body => false,
        };
        if is_head && self.is_plain && self.write_blocked_since.is_none() {
            let _ = Pin::new(&mut self.stream).poll_write(context, TOO_SLOW);
        }
    }

    /// Counts what was read; fails when it is a head in too small pieces.
    fn received(&mut self, length: usize) -> io::Result<()> {
        self.connection().received();
        let (phase, since) = self.connection().phase();
        if since != self.counted_since {
            self.counted_since = since;
            self.small_reads = 0;
            self.head = 0;
            self.long_head = None;
        }
        if matches!(phase, Phase::FirstHead | Phase::Head) {
            self.head = self.head.saturating_add(length);
            if self.head > LONG_HEAD && self.long_head.is_none() {
                let room = self.admission.long_head();
                self.long_head = room.map_err(|_none| io::ErrorKind::QuotaExceeded)?;
            }
        }
        self.has_sent = true;
        self.read_at_once = self.read_at_once.saturating_add(length);
        if length < SMALL_READ && phase != Phase::Body {
            self.small_reads = self.small_reads.saturating_add(1);
        }
        if self.small_reads > MAX_SMALL_READS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    /// Whether more may be read now; otherwise `context` is woken when it may.
    fn may_read(&mut self, context: &Context<'_>) -> bool {
        if self.write_blocked_since.is_some() {
            self.reader = Some(context.waker().clone());
            return false;
        }
        let limit = match self.connection().phase() {
            (Phase::Body, _) => READ_OF_BODY_AT_ONCE,
            _ => READ_AT_ONCE,
        };
        if self.read_at_once >= limit {
            self.read_at_once = 0;
            context.waker().wake_by_ref();
            return false;
        }
        true
    }

    fn write_made_progress(&mut self) {
        if self.connection().phase().1 != self.counted_since {
            self.long_head = None;
        }
        self.write_blocked_since = None;
        self.written_since = 0;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        if !this.may_read(context) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let length = buffer.filled().len().saturating_sub(before);
                if length > 0 {
                    this.received(length)?;
                    // For the deadline that the first byte of a head begins.
                    this.check(context)?;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                this.read_at_once = 0;
                Poll::Pending
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_pending() {
            this.write_blocked_since.get_or_insert_with(Instant::now);
            this.check(context)?;
        } else if let Poll::Ready(Ok(length)) = written
            && this.write_blocked_since.is_some()
        {
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            this.written_since = this.written_since.saturating_add(length);
        }
        written
    }

    /// actix-http calls it when all bytes of a response are written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        if flushed.is_ready() {
            if this.write_blocked_since.is_some() {
                this.connection().sent();
            }
            this.write_made_progress();
        }
        this.check(context)?;
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(context)?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

impl<T: ActixStream> ActixStream for Guarded<T> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.poll_read_ready(context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.stream.poll_write_ready(context)
    }
}
