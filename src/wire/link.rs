//! One peer's connection with what was read and not yet handled, and what is to be written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use zeroize::Zeroize;

use super::{CHUNK, Pool};

/// A stream of either kind: TCP, Unix, TLS, or a pipe in memory.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Bytes of room that stay while nothing is to be written: a short exchange asks for no memory.
const KEPT: usize = 256;

/// A buffered connection.
pub struct Link {
    io: Box<dyn Io>,
    pool: Pool,
    read: Vec<u8>,
    /// Bytes of `read` that are handled.
    start: usize,
    /// What is to be written. The session appends; [`Link::poll_drain`] empties.
    pub out: BytesMut,
    unflushed: bool,
    closed: bool,
    /// What is handled or written is overwritten.
    secret: bool,
    /// So is what waits to be written now.
    secret_out: bool,
}

impl Link {
    /// Over a stream.
    pub fn new(io: Box<dyn Io>, pool: Pool) -> Self {
        Self {
            io,
            pool,
            read: Vec::new(),
            start: 0,
            out: BytesMut::new(),
            unflushed: false,
            closed: false,
            secret: false,
            secret_out: false,
        }
    }

    /// The same for a login: proofs, passwords and tokens are overwritten as soon as they are handled or written.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// What waits to be written now is overwritten once it is written.
    pub fn secret_until_written(&mut self) {
        self.secret_out = true;
    }

    /// The login is over.
    pub fn no_longer_secret(&mut self) {
        self.secret = false;
    }

    /// Takes the stream back, with what was read and not handled.
    pub fn into_parts(self) -> (Box<dyn Io>, Vec<u8>, Pool) {
        let rest = self.input().to_vec();
        (self.io, rest, self.pool)
    }

    /// What was read and not handled.
    pub fn input(&self) -> &[u8] {
        self.read.get(self.start..).unwrap_or_default()
    }

    /// Marks bytes as handled.
    pub fn consume(&mut self, count: usize) {
        let end = self.start.saturating_add(count).min(self.read.len());
        if self.secret {
            self.read.get_mut(self.start..end).unwrap_or_default().zeroize();
        }
        self.start = end;
        if self.start == self.read.len() {
            self.start = 0;
            self.pool.give(std::mem::take(&mut self.read));
        }
    }

    /// Whether the peer has ended its side.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Reads what is there, once; the count of bytes, 0 at the end of the stream. `need` is how many bytes a message
    /// that is not complete asks for: room is made for them.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, need: usize) -> Poll<io::Result<usize>> {
        if self.read.capacity() == 0 {
            self.read = self.pool.take();
        } else if self.read.capacity() - self.read.len() < CHUNK / 4 {
            self.read.drain(..self.start);
            self.start = 0;
            let wanted = need.max(CHUNK).saturating_sub(self.read.len());
            self.read.reserve(wanted.max(1));
        }
        let room = self.read.capacity().saturating_sub(self.read.len());
        let mut limited = (&mut self.read).limit(room);
        let result = self.io.read_buf(&mut limited);
        let result = std::pin::pin!(result).poll(cx);
        match result {
            Poll::Ready(Ok(0)) => self.closed = true,
            Poll::Ready(Err(_)) => self.closed = true,
            Poll::Ready(Ok(_)) | Poll::Pending => {}
        }
        if self.read.is_empty() {
            self.pool.give(std::mem::take(&mut self.read));
        }
        result
    }

    /// Writes what is to be written. Ready when all of it is on its way.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if self.secret || self.secret_out {
                self.out.get_mut(..written).unwrap_or_default().zeroize();
            }
            self.out.advance(written);
            self.unflushed = true;
        }
        self.secret_out = false;
        // Of what was written in parts only this tells how much room there is.
        if self.out.try_reclaim(KEPT + 1) {
            self.out = BytesMut::new();
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until more bytes are there.
    ///
    /// # Errors
    /// Those of the stream; the end of the stream is `UnexpectedEof`.
    pub async fn fill(&mut self, need: usize) -> io::Result<()> {
        match std::future::poll_fn(|cx| self.poll_fill(cx, need)).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Waits until at least `count` unhandled bytes are there.
    ///
    /// # Errors
    /// As [`Link::fill`].
    pub async fn fill_to(&mut self, count: usize) -> io::Result<()> {
        while self.input().len() < count {
            self.fill(count).await?;
        }
        Ok(())
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn drain(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_drain(cx)).await
    }

    /// Writes what is left and ends the stream in good order.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn close(&mut self) -> io::Result<()> {
        self.drain().await?;
        std::future::poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await
    }
}

/// A stream some of whose bytes were already read: they come first.
pub struct Prefixed<T> {
    prefix: Vec<u8>,
    start: usize,
    inner: T,
}

impl<T> Prefixed<T> {
    /// `prefix`, then what `inner` gives.
    pub fn new(prefix: Vec<u8>, inner: T) -> Self {
        Self { prefix, start: 0, inner }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Prefixed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rest = this.prefix.get(this.start..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        this.start += count;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Prefixed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
