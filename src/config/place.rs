//! Where places beside the access log's files are: a syslog server, a server that takes POSTs.

use std::path::PathBuf;
use std::str::FromStr;

use super::address::HostPort;

/// Where a syslog server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A socket such as `/dev/log`, of datagrams or a stream.
    Unix(PathBuf),
    /// Datagrams.
    Udp(HostPort),
    /// A stream.
    Tcp(HostPort),
}

/// Reads `unix:/dev/log`, `udp:logs.example:514`, `tcp:[::1]:601`.
impl FromStr for SyslogAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no address of a syslog server: `unix:/dev/log`, `udp:host:514` or `tcp:host:601`");
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("udp", address)) => address.parse().map(Self::Udp).map_err(|_| wrong()),
            Some(("tcp", address)) => address.parse().map(Self::Tcp).map_err(|_| wrong()),
            Some(_) | None => Err(wrong()),
        }
    }
}

/// An address of HTTP, without login and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// Whether it is `https://`.
    pub tls: bool,
    /// Host, and port or that of the scheme.
    pub address: HostPort,
    /// What stands for host and port in the request.
    pub authority: String,
    /// Path and query. A query may hold a secret: it is not printed.
    pub path: String,
}

/// Reads `https://kept.example:8443/checkpoints`. What is wrong is told without the address, which may hold a secret.
impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) | None => return Err("`url` begins with neither `http://` nor `https://`".to_owned()),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("`url` holds a login: a secret goes as `token`, which names where it is".to_owned());
        }
        let path = path.split('#').next().unwrap_or_default();
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("`url` holds what no address may: write it as `%20`".to_owned());
        }
        let port = if tls { 443 } else { 80 };
        let address = authority.parse().or_else(|_| format!("{authority}:{port}").parse());
        let address: HostPort = address.map_err(|_| format!("`url` names no host and port: `{authority}`"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { tls, address, authority: authority.to_owned(), path })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_of_http_are_taken_apart() {
        for (text, tls, address, path) in [
            ("https://kept.example/checkpoints", true, "kept.example:443", "/checkpoints"),
            ("http://127.0.0.1:8080", false, "127.0.0.1:8080", "/"),
            ("https://[::1]:8443/a?b=c#d", true, "[::1]:8443", "/a?b=c"),
            ("http://[::1]?b", false, "[::1]:80", "/?b"),
        ] {
            let url: HttpUrl = text.parse().unwrap();
            assert_eq!((url.tls, url.address.to_string().as_str(), url.path.as_str()), (tls, address, path), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_a_secret_in_it_is_not_repeated() {
        for (text, reason) in [
            ("kept.example", "neither"),
            ("ftp://kept.example", "neither"),
            ("https:///path", "no host"),
            ("https://kept.example:99999/", "no host"),
            ("https://me:hunter2@kept.example/", "holds a login"),
            ("https://kept.example/hunter2 x", "%20"),
            ("https://kept.example/\r\nX-Y: hunter2", "%20"),
        ] {
            let error = text.parse::<HttpUrl>().unwrap_err();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{text}: {error}");
        }
        for text in ["unix:dev/log", "udp:514", "tcp:host", "tcp:host:0x", "tls:host:6514", "/dev/log"] {
            assert!(text.parse::<SyslogAddress>().unwrap_err().contains("no address of a syslog server"), "{text}");
        }
    }
}
