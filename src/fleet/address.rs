//! `--audit-db`: where the audit database is, as PostgreSQL's own tools take it.

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::config::SecretSource;
use crate::upstream::{Address, TlsMode, UpstreamTls};

const DEFAULT_PORT: u16 = 5432;

/// An audit database: the servers that may hold it, and how to log in.
#[derive(Clone)]
pub struct AuditPlace {
    pub(super) addresses: Vec<Address>,
    pub(super) tls: UpstreamTls,
    pub(super) config: Config,
}

impl std::fmt::Debug for AuditPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditPlace").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Why a text names no audit database. The text is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--audit-db: {0}; write `postgresql://login@host:port/database`, `env:NAME` or `file:PATH` of such a line")]
pub struct BadPlace(String);

impl AuditPlace {
    /// From a connection URI (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>), or `env:NAME` or
    /// `file:PATH` of one. `sslmode` and `sslrootcert` are as there (`verify-ca` checks the name too); a password that it does not
    /// have comes from `PGPASSWORD`.
    ///
    /// # Errors
    /// It is none, or a certificate that it names cannot be used.
    pub fn read(text: &str) -> Result<Self, BadPlace> {
        let secret = text.starts_with("env:") || text.starts_with("file:");
        if secret {
            let source = SecretSource::parse(text, Path::new("")).map_err(BadPlace)?;
            return Self::of_uri(source.read().map_err(BadPlace)?.expose());
        }
        Self::of_uri(text)
    }

    fn of_uri(uri: &str) -> Result<Self, BadPlace> {
        let wrong = |what: &str| BadPlace(what.to_owned());
        if !(uri.starts_with("postgresql://") || uri.starts_with("postgres://")) {
            return Err(wrong("it is no URI of PostgreSQL's"));
        }
        let (uri, mode, ca) = without_tls(uri)?;
        let mut config: Config = uri.parse().map_err(|_| wrong("it is no URI of PostgreSQL's"))?;
        let from_environment = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        if config.get_user().is_none() {
            let user = from_environment("PGUSER").or_else(|| from_environment("USER"));
            config.user(user.ok_or_else(|| wrong("it names no login"))?);
        }
        if config.get_password().is_none()
            && let Some(password) = from_environment("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_dbname().is_none() {
            return Err(wrong("it names no database"));
        }
        config.application_name("pgpurpose audit");
        let ports = config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
        let addresses: Vec<Address> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| match host {
                Host::Tcp(host) => Address::Tcp { host: host.clone(), port: port(at) },
                Host::Unix(folder) => Address::Unix(folder.join(format!(".s.PGSQL.{}", port(at)))),
            })
            .collect();
        let local = || vec![Address::Tcp { host: "127.0.0.1".to_owned(), port: port(0) }];
        if mode == TlsMode::VerifyFull && ca.is_none() {
            return Err(wrong("its `sslmode` needs `sslrootcert`, the file of the authority"));
        }
        let tls = UpstreamTls::new(mode, ca.as_deref(), None).map_err(|error| BadPlace(error.to_string()))?;
        Ok(Self { addresses: if addresses.is_empty() { local() } else { addresses }, tls, config })
    }

    /// From what a configuration says.
    pub fn new(address: Address, tls: UpstreamTls, config: Config) -> Self {
        Self { addresses: vec![address], tls, config }
    }
}

/// The URI without what the driver does not read of it: how TLS is used, and with whose certificates.
fn without_tls(uri: &str) -> Result<(String, TlsMode, Option<PathBuf>), BadPlace> {
    let (mut mode, mut ca) = (TlsMode::Prefer, None);
    let Some((base, parameters)) = uri.split_once('?') else { return Ok((uri.to_owned(), mode, ca)) };
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => {
                mode = match value {
                    "disable" => TlsMode::Disable,
                    "allow" | "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" | "verify-full" => TlsMode::VerifyFull,
                    _ => return Err(BadPlace("its `sslmode` is none that PostgreSQL knows".to_owned())),
                };
            }
            Some(("sslrootcert", value)) => ca = Some(PathBuf::from(value)),
            Some(_) | None => kept.push(parameter),
        }
    }
    let uri = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((uri, mode, ca))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_database_is_named_as_for_psql() {
        let tcp = |host: &str, port| Address::Tcp { host: host.into(), port };
        for (uri, addresses) in [
            ("postgresql://ann@db/audit", vec![tcp("db", 5432)]),
            ("postgres://ann:pw@db:5433/audit?sslmode=disable", vec![tcp("db", 5433)]),
            (
                "postgresql://ann@one:1,two:2/audit?sslmode=require&connect_timeout=3",
                vec![tcp("one", 1), tcp("two", 2)],
            ),
            ("postgresql://ann@/audit?host=/run/pg&port=5499", vec![Address::Unix("/run/pg/.s.PGSQL.5499".into())]),
        ] {
            let place = AuditPlace::read(uri).unwrap();
            assert_eq!(place.addresses, addresses, "{uri}");
            assert_eq!(place.config.get_dbname(), Some("audit"), "{uri}");
        }
        for (uri, says) in [
            ("ann@db/audit", "no URI"),
            ("postgresql://ann:secret@db", "names no database"),
            ("postgresql://ann:secret@db/audit?sslmode=maybe", "sslmode"),
            ("postgresql://ann:secret@db/audit?sslmode=verify-full", "sslrootcert"),
            ("env:NO_SUCH_VARIABLE_HERE", "is not set"),
        ] {
            let error = AuditPlace::read(uri).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{uri}: {error}");
        }
    }
}
