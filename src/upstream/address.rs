//! Where a database server listens.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The port of a Unix socket directory or host that names none.
const DEFAULT_PORT: u16 = 5432;

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `host:port`.
    Tcp {
        /// Name or number.
        host: String,
        /// The port.
        port: u16,
    },
    /// The socket file.
    Unix(PathBuf),
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: write `host:port`, or the folder of a Unix socket with `:port` behind it")]
pub struct ParseAddressError(String);

impl Address {
    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// The host to verify a certificate against.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }
}

/// `host:port`, `host`, `[::1]:port`, `/folder`, `/folder:port` or `/folder/.s.PGSQL.port`.
impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseAddressError(text.to_owned());
        if text.starts_with('/') {
            if Path::new(text).file_name().is_some_and(|name| name.to_string_lossy().starts_with(".s.PGSQL.")) {
                return Ok(Self::Unix(PathBuf::from(text)));
            }
            let (folder, port) = match text.rsplit_once(':') {
                Some((folder, port)) => (folder, port.parse().map_err(|_| wrong())?),
                None => (text, DEFAULT_PORT),
            };
            return Ok(Self::Unix(Path::new(folder).join(format!(".s.PGSQL.{port}"))));
        }
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, DEFAULT_PORT),
            Some((host, port)) => (host, port.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or_else(wrong)?),
            None => match text.split_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
                None => (text, DEFAULT_PORT),
            },
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_or_socket_folders() {
        let tcp = |host: &str, port| Ok(Address::Tcp { host: host.into(), port });
        assert_eq!("db:5433".parse(), tcp("db", 5433));
        assert_eq!("127.0.0.1".parse(), tcp("127.0.0.1", 5432));
        assert_eq!("[::1]:6000".parse(), tcp("::1", 6000));
        assert_eq!("/run/pg".parse(), Ok(Address::Unix("/run/pg/.s.PGSQL.5432".into())));
        assert_eq!("/run/pg:5499".parse(), Ok(Address::Unix("/run/pg/.s.PGSQL.5499".into())));
        assert_eq!("/run/pg/.s.PGSQL.1".parse(), Ok(Address::Unix("/run/pg/.s.PGSQL.1".into())));
        assert!("db:port".parse::<Address>().is_err());
        assert!("".parse::<Address>().is_err());
        assert!("a b".parse::<Address>().is_err());
    }
}
