//! Syslog: RFC 5424 over a Unix socket, UDP (RFC 5426) or TCP with counted bytes (RFC 6587, 3.4.1).

use std::fmt::Write as _;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::read::Entry;
use crate::audit::ship::{Deliver, Position};

/// How long a write may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest message of a datagram; a longer record is sent as its number and hash.
const LONGEST: usize = 8 * 1024;
/// Facility `log audit` (13).
const FACILITY: u8 = 13 * 8;

/// Where a syslog server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A datagram socket, such as `/dev/log`.
    Unix(PathBuf),
    /// `host:port`
    Udp(String),
    /// `host:port`
    Tcp(String),
}

enum Link {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
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

    fn connect(&self) -> std::io::Result<Link> {
        Ok(match &self.address {
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(TIMEOUT))?;
                Link::Unix(socket)
            }
            SyslogAddress::Udp(address) => {
                let local = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
                let socket = UdpSocket::bind(local)?;
                socket.connect(address)?;
                Link::Udp(socket)
            }
            SyslogAddress::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                Link::Tcp(stream)
            }
        })
    }

    fn message(&self, entry: &Entry, whole: bool) -> String {
        let severity = match (entry.event(), entry.text("verdict")) {
            ("incident", _) => 2,
            ("login_refused" | "recovered" | "torn", _) | (_, Some("deny")) => 4,
            ("checkpoint" | "start" | "stop" | "policy" | "destroyed", _) => 5,
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

    fn send(&mut self, entries: &[Entry]) -> std::io::Result<()> {
        if self.link.is_none() {
            self.link = Some(self.connect()?);
        }
        for entry in entries {
            let whole = self.message(entry, true);
            let short = || self.message(entry, false);
            match &self.link {
                Some(Link::Unix(socket)) if whole.len() > LONGEST => socket.send(short().as_bytes()).map(drop)?,
                Some(Link::Udp(socket)) if whole.len() > LONGEST => socket.send(short().as_bytes()).map(drop)?,
                Some(Link::Unix(socket)) => socket.send(whole.as_bytes()).map(drop)?,
                Some(Link::Udp(socket)) => socket.send(whole.as_bytes()).map(drop)?,
                Some(Link::Tcp(stream)) => (&*stream).write_all(format!("{} {whole}", whole.len()).as_bytes())?,
                None => {}
            }
        }
        Ok(())
    }
}

impl Deliver for Syslog {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        self.link = None;
        Ok(None)
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        self.send(entries).map_err(|error| format!("syslog: {error}"))
    }
}

impl std::str::FromStr for SyslogAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no address of a syslog server: `unix:/dev/log`, `udp:host:514` or `tcp:host:601`");
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("udp", address)) if address.contains(':') => Ok(Self::Udp(address.to_owned())),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.to_owned())),
            Some(_) | None => Err(wrong()),
        }
    }
}
