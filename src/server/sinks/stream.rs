//! A stream to a syslog server, which never answers: how it is known all the same that it has read everything.
//!
//! Once our side is closed, a server that has read to the end closes its own; one that was ended with something unread
//! answers with a reset. So records count as taken when the stream was ended from both sides in this order, and streams are
//! short.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, ToSocketAddrs};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

/// How long connecting, one write, or closing may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream is used before it is ended.
const USED: Duration = Duration::from_millis(500);
/// Bytes on their way in the kernel.
const SEND_BUFFER: usize = 256 * 1024;

/// A stream that something was written to since it began, or will be at once.
pub(super) struct Stream {
    socket: Socket,
    since: Instant,
    /// What it took to connect: about one way there and back.
    distance: Duration,
}

impl Stream {
    /// To the first of a host's addresses that answers.
    pub(super) fn tcp(host: &str, port: u16) -> io::Result<Self> {
        let mut failed = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match Self::connect(&address.into(), Domain::for_address(address)) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    pub(super) fn unix(path: &Path) -> io::Result<Self> {
        Self::connect(&SockAddr::unix(path)?, Domain::UNIX)
    }

    fn connect(address: &SockAddr, domain: Domain) -> io::Result<Self> {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_write_timeout(Some(TIMEOUT))?;
        let since = Instant::now();
        if address.is_unix() {
            // Its write timeout holds for connecting too.
            socket.connect(address)?;
        } else {
            socket.connect_timeout(address, TIMEOUT)?;
        }
        Ok(Self { socket, since, distance: since.elapsed() })
    }

    /// Whether it was used long enough.
    pub(super) fn is_old(&self) -> bool {
        self.since.elapsed() >= USED
    }

    /// Writes all of it. After an error nothing that was written on this stream counts as taken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).map_err(told).inspect_err(|_| self.abandon())
    }

    /// Ends the stream, and waits until the server has done so too.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.ended().map_err(told).inspect_err(|_| self.abandon())
    }

    fn ended(&mut self) -> io::Result<()> {
        // A server that had closed its side before may have left anything unread.
        self.socket.set_nonblocking(true)?;
        let read = self.skip(Instant::now());
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(()) => return Err(ErrorKind::ConnectionAborted.into()),
        }
        self.socket.set_nonblocking(false)?;
        self.socket.shutdown(Shutdown::Write)?;
        self.skip(Instant::now() + TIMEOUT)?;
        // It may have closed its side on the way, before it read all: its reset is then still under way.
        thread::sleep((self.distance * 3).clamp(Duration::from_millis(10), Duration::from_secs(1)));
        self.socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Reads to the end of what the server says, which is nothing.
    fn skip(&mut self, until: Instant) -> io::Result<()> {
        let mut said = [0; 512];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match self.socket.read(&mut said) {
                Ok(0) => return Ok(()),
                Ok(_) if left.is_zero() => return Err(ErrorKind::WouldBlock.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What is still under way is dropped, so that it does not pile up in the kernel.
    fn abandon(&self) {
        // Where that fails, the kernel gives up by itself later.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }
}

fn told(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::new(ErrorKind::TimedOut, "the server does not read to the end in time")
        }
        ErrorKind::ConnectionAborted => io::Error::new(error.kind(), "the server closed the connection before its end"),
        _ => error,
    }
}
