//! Where the proxy listens and where the database is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// PostgreSQL's port.
const POSTGRES_PORT: u16 = 5432;

/// A host (name, IPv4 or IPv6 address without brackets) and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Whether the host is this machine by its loopback address or as `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// `host:port`, as it is written.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `127.0.0.1:6432`, `db.example:5432`, `[::1]:5432`.
impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not `host:port`");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse::<u16>().map_err(|_| wrong())?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
            Some(_) => return Err(wrong()),
            None => host,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let six = host.parse::<std::net::Ipv6Addr>().is_ok() && text.starts_with('[');
        if host.is_empty() || !(six || host.chars().all(plain)) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UpstreamAddress {
    /// Over TCP.
    Tcp(HostPort),
    /// A Unix socket.
    Unix {
        /// The folder that holds it.
        directory: PathBuf,
        /// The port in its name, `.s.PGSQL.5432`.
        port: u16,
    },
}

impl UpstreamAddress {
    /// The socket's file, where it is one.
    pub fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix { directory, port } => Some(directory.join(format!(".s.PGSQL.{port}"))),
        }
    }
}

/// As it is written.
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { directory, port: POSTGRES_PORT } => write!(f, "{}", directory.display()),
            Self::Unix { directory, port } => write!(f, "{}:{port}", directory.display()),
        }
    }
}

/// Reads `host:port`, or a socket's folder as an absolute path: `/run/postgresql`, `/run/postgresql:5433`.
impl FromStr for UpstreamAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return text.parse().map(Self::Tcp).map_err(|_| {
                format!("`{text}` is neither `host:port` nor a socket's folder such as `/run/postgresql:5432`")
            });
        }
        let (directory, port) = match text.rsplit_once(':') {
            Some((directory, port)) => {
                (directory, port.parse::<u16>().map_err(|_| format!("`{text}` does not end in a port"))?)
            }
            None => (text, POSTGRES_PORT),
        };
        Ok(Self::Unix { directory: PathBuf::from(directory), port })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for text in [
            "127.0.0.1:6432",
            "localhost:1",
            "db-1.example.co.za:5432",
            "[::1]:5432",
            "/run/postgresql",
            "/tmp/a b:5433",
        ] {
            assert_eq!(text.parse::<UpstreamAddress>().unwrap().to_string(), text);
        }
        assert_eq!(
            "/tmp/x:5433".parse::<UpstreamAddress>().unwrap().socket(),
            Some(PathBuf::from("/tmp/x/.s.PGSQL.5433"))
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "host", ":5432", "host:", "host:70000", "::1:5432", "a b:1", "[x]:1", "http://x:1", "run/postgresql"]
        {
            assert!(text.parse::<UpstreamAddress>().is_err(), "{text}");
        }
        assert!("/run/x:port".parse::<UpstreamAddress>().is_err());
    }
}
