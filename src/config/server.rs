//! The server's configuration, validated.

use std::path::{Path, PathBuf};

use super::address::{HostPort, UpstreamAddress};
use super::secret::SecretSource;

/// What `pgpurpose serve` needs. Paths are absolute, or relative to the working directory where the configuration's was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[listen]`
    pub listen: Listen,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[auth]`
    pub auth: AuthMethod,
    /// `[policy]`
    pub policy: Policy,
    /// `[audit]`
    pub audit: Audit,
    /// `[admin]`
    pub admin: Admin,
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// At least one.
    pub addresses: Vec<HostPort>,
    /// Certificate and key; present: TLS is offered.
    pub tls: Option<ServerTls>,
    /// Clients without TLS are refused.
    pub require_tls: bool,
    /// Sessions at a time.
    pub max_connections: u32,
}

/// Certificate and key of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM file of the certificate chain.
    pub certificate: PathBuf,
    /// PEM file of the key.
    pub key: PathBuf,
    /// PEM file of the authorities whose client certificates are asked for.
    pub client_ca: Option<PathBuf>,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// At least one; the first that is reachable and accepts writes is used.
    pub addresses: Vec<UpstreamAddress>,
    /// TLS towards the database.
    pub tls: UpstreamTls,
    /// PEM file of the authorities that may have signed the database's certificate.
    pub tls_ca: Option<PathBuf>,
    /// The proxy's own login.
    pub catalog_login: String,
    /// Its password, where the database asks for one.
    pub catalog_password: Option<SecretSource>,
}

/// TLS towards the database, with the meanings of libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamTls {
    /// Never.
    Disable,
    /// Where the database offers it.
    Prefer,
    /// Always, whoever signed the certificate.
    Require,
    /// Always, with a certificate that is trusted and names the host.
    VerifyFull,
}

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// The proxy checks with the database's own verifiers.
    Passthrough,
    /// The proxy checks with logins of its own.
    Scram,
    /// The database checks; the exchange is passed on.
    Relay,
}

/// Which policies are in force, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Patterns of the files.
    pub files: Vec<String>,
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// The root of the pseudonyms' keys.
    pub token_key: Option<SecretSource>,
}

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are logged only.
    Observe,
}

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Its folder.
    pub directory: PathBuf,
    /// When a record counts as written.
    pub sync: AuditSync,
}

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSync {
    /// When it is on disk.
    Always,
    /// When the kernel has it.
    Written,
}

/// The console and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; `None`: it does not.
    pub address: Option<HostPort>,
}

/// What a configuration that says nothing gets; contract section 2.
pub(super) mod default {
    pub(in crate::config) const MAX_CONNECTIONS: u32 = 1000;
    pub(in crate::config) const LISTEN: &str = "127.0.0.1";
    pub(in crate::config) const LISTEN_PORT: u16 = 6432;
    pub(in crate::config) const ADMIN_PORT: u16 = 9432;
    pub(in crate::config) const CATALOG_LOGIN: &str = "pgpurpose";
    pub(in crate::config) const AUDIT: &str = "audit";
}

impl Config {
    /// A configuration without a file: everything that is not given is as it is by default. `files` are patterns,
    /// relative to the working directory.
    pub fn for_upstream(upstream: UpstreamAddress, files: Vec<String>) -> Self {
        let here = |port| HostPort { host: default::LISTEN.to_owned(), port };
        Self {
            listen: Listen {
                addresses: vec![here(default::LISTEN_PORT)],
                tls: None,
                require_tls: false,
                max_connections: default::MAX_CONNECTIONS,
            },
            upstream: Upstream {
                addresses: vec![upstream],
                tls: UpstreamTls::Disable,
                tls_ca: None,
                catalog_login: default::CATALOG_LOGIN.to_owned(),
                catalog_password: None,
            },
            auth: AuthMethod::Relay,
            policy: Policy { files, mode: Mode::Enforce, token_key: None },
            audit: Audit { directory: PathBuf::from(default::AUDIT), sync: AuditSync::Always },
            admin: Admin { address: Some(here(default::ADMIN_PORT)) },
        }
    }
}

impl Policy {
    /// The files that the patterns mean now, each once, sorted within a pattern.
    ///
    /// # Errors
    /// A pattern that is not one, that matches nothing, or a folder that cannot be read.
    pub fn matching(&self) -> Result<Vec<PathBuf>, String> {
        let mut files: Vec<PathBuf> = Vec::new();
        for pattern in &self.files {
            let paths =
                glob::glob(pattern).map_err(|error| format!("`{pattern}` is not a pattern of files: {error}"))?;
            let before = files.len();
            let mut seen = 0_usize;
            for path in paths {
                let path =
                    path.map_err(|error| format!("cannot read `{}`: {}", error.path().display(), error.error()))?;
                seen += 1;
                if !files.contains(&path) {
                    files.push(path);
                }
            }
            if seen == 0 {
                return Err(format!("no policy file matches `{pattern}`"));
            }
            if let Some(new) = files.get_mut(before..) {
                new.sort();
            }
        }
        Ok(files)
    }
}

/// A pattern relative to a folder, whose own name is taken literally.
pub(super) fn pattern(base: &Path, pattern: &str) -> String {
    if Path::new(pattern).is_absolute() || base.as_os_str().is_empty() {
        return pattern.to_owned();
    }
    let base = glob::Pattern::escape(&base.to_string_lossy());
    format!("{}/{pattern}", base.trim_end_matches('/'))
}
