//! Syslog: RFC 5424 over a Unix socket, UDP (RFC 5426) or TCP with counted bytes (RFC 6587, 3.4.1).

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::stream::{Stream, TIMEOUT};
use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position};
use crate::config::{HostPort, SyslogAddress};

/// The longest message of a datagram; a longer record is sent as its number and hash.
const LONGEST: usize = 8 * 1024;
/// Facility `log audit` (13).
const FACILITY: u8 = 13 * 8;
/// `EPROTOTYPE`: the socket is one of streams.
const OTHER_KIND: i32 = 91;

enum Link {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    /// Each message ends with a NUL, as libc's `syslog` has it.
    UnixStream(Stream),
    /// Each message begins with its length.
    Tcp(Stream),
}

/// A syslog server.
pub struct Syslog {
    address: SyslogAddress,
    host: String,
    link: Option<Link>,
}

impl Syslog {
    /// Connected with the first record.
    pub fn new(address: SyslogAddress) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host: String = host.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
        Self { address, host: if host.is_empty() { "-".to_owned() } else { host }, link: None }
    }

    fn connect(&self) -> io::Result<Link> {
        match &self.address {
            SyslogAddress::Unix(path) => unix(path),
            SyslogAddress::Udp(HostPort { host, port }) => udp(host, *port).map(Link::Udp),
            SyslogAddress::Tcp(HostPort { host, port }) => Stream::tcp(host, *port).map(Link::Tcp),
        }
    }

    fn message(&self, entry: &Entry, whole: bool) -> String {
        let severity = match (entry.event(), entry.text("verdict")) {
            ("alert", _) => 1,
            ("incident", _) => 2,
            ("login_refused" | "recovered" | "torn" | "resumed", _) | (_, Some("deny")) => 4,
            ("checkpoint" | "start" | "stop" | "policy" | "destroyed" | "clock_confirmed", _) => 5,
            _ => 6,
        };
        let mut message = format!(
            "<{}>1 {} {} pgpurpose {} {} - ",
            FACILITY + severity,
            entry.text("time").unwrap_or("-"),
            self.host,
            std::process::id(),
            entry.event()
        );
        let told = if whole {
            write!(message, "{}", entry.line)
        } else {
            let (seq, hash) = (entry.seq().unwrap_or_default(), entry.text("hash").unwrap_or_default());
            write!(message, "{{\"seq\":{seq},\"event\":\"{}\",\"shortened\":true,\"hash\":\"{hash}\"}}", entry.event())
        };
        // Writing to a String does not fail.
        let _ = told;
        message
    }

    fn send(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.connect()?,
        };
        for entry in entries {
            let mut message = self.message(entry, true);
            match &mut link {
                Link::Unix(_) | Link::Udp(_) if message.len() > LONGEST => message = self.message(entry, false),
                Link::Unix(_) | Link::Udp(_) => {}
                Link::UnixStream(_) => message.push('\0'),
                Link::Tcp(_) => message.insert_str(0, &format!("{} ", message.len())),
            }
            match &mut link {
                Link::Unix(socket) => socket.send(message.as_bytes()).map(drop)?,
                Link::Udp(socket) => socket.send(message.as_bytes()).map(drop)?,
                Link::UnixStream(stream) | Link::Tcp(stream) => stream.write(message.as_bytes())?,
            }
        }
        self.link = Some(link);
        Ok(())
    }
}

fn unix(path: &Path) -> io::Result<Link> {
    let socket = UnixDatagram::unbound()?;
    match socket.connect(path) {
        Ok(()) => {
            socket.set_write_timeout(Some(TIMEOUT))?;
            Ok(Link::Unix(socket))
        }
        Err(error) if error.raw_os_error() == Some(OTHER_KIND) => Stream::unix(path).map(Link::UnixStream),
        Err(error) => Err(error),
    }
}

fn udp(host: &str, port: u16) -> io::Result<UdpSocket> {
    let mut failed = ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        let local = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let bound = UdpSocket::bind::<(std::net::IpAddr, u16)>((local, 0));
        match bound.and_then(|socket| socket.connect(address).map(|()| socket)) {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

impl Deliver for Syslog {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        self.link = None;
        Ok(None)
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        self.send(entries).map_err(told)
    }

    fn settle(&mut self) -> Result<bool, String> {
        match self.link.take() {
            Some(Link::UnixStream(stream) | Link::Tcp(stream)) if stream.is_old() => {
                stream.end().map(|()| true).map_err(told)
            }
            link @ Some(Link::UnixStream(_) | Link::Tcp(_)) => {
                self.link = link;
                Ok(false)
            }
            // Nothing ever says whether a datagram was read.
            link => {
                self.link = link;
                Ok(true)
            }
        }
    }
}

fn told(error: io::Error) -> String {
    format!("syslog: {error}")
}
