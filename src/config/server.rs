//! The server's configuration, validated.

use std::path::{Path, PathBuf};

use super::address::{HostPort, UpstreamAddress};
use super::admin::Admin;
use super::alerts::Alerts;
use super::audit::Audit;
use super::centre::Centre;
use super::fleet::Fleet;
use super::mail::Mail;
use super::organisation::Organisation;
use super::requests::Requests;
use super::secret::SecretSource;
use super::telemetry::Telemetry;
use super::verifier::Verifier;

/// What `pgpurpose serve` needs. Paths are absolute, or relative to the working directory where the configuration's was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[listen]`
    pub listen: Listen,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[auth]`
    pub auth: Auth,
    /// `[[logins]]`, for `method = "scram"`.
    pub logins: Vec<Login>,
    /// `[policy]`
    pub policy: Policy,
    /// `[audit]`
    pub audit: Audit,
    /// `[admin]`
    pub admin: Admin,
    /// `[organisation]`
    pub organisation: Organisation,
    /// `[fleet]`
    pub fleet: Fleet,
    /// `[requests]`
    pub requests: Requests,
    /// `[alerts]`; `None`: nobody is told.
    pub alerts: Option<Alerts>,
    /// `[mail]`; `None`: messages leave no way.
    pub mail: Option<Mail>,
    /// `[centre]`; `None`: there is none.
    pub centre: Option<Centre>,
    /// `[telemetry]`; `None`: nothing goes to a collector.
    pub telemetry: Option<Telemetry>,
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
    /// Sessions at a time of one login.
    pub max_connections_per_login: Option<u32>,
    /// Sessions at a time from one address.
    pub max_connections_per_address: Option<u32>,
    /// Seconds that what runs may take to end when the proxy is stopped.
    pub drain_seconds: u32,
    /// Seconds for which `/readyz` says no before nobody new is taken.
    pub drain_notice_seconds: u32,
}

impl Default for Listen {
    /// Where nothing is configured.
    fn default() -> Self {
        Self {
            addresses: vec![HostPort { host: default::LISTEN.to_owned(), port: default::LISTEN_PORT }],
            tls: None,
            require_tls: false,
            max_connections: default::MAX_CONNECTIONS,
            max_connections_per_login: None,
            max_connections_per_address: None,
            drain_seconds: default::DRAIN_SECONDS,
            drain_notice_seconds: 0,
        }
    }
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
    /// PEM files of the proxy's own certificate and key, for a database that asks for one.
    pub tls_identity: Option<(PathBuf, PathBuf)>,
    /// The database that the policies are about; where it is not named, the one that has most of their tables.
    pub database: Option<String>,
    /// What listens there is a pooler, in session mode.
    pub pooler: bool,
    /// A server that accepts no writes is as good as another.
    pub read_only: bool,
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

impl AuthMethod {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::Scram => "scram",
            Self::Relay => "relay",
        }
    }
}

/// How logins are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// By whom.
    pub method: AuthMethod,
    /// What a client's certificate must say, where `tls_client_ca` asks for one.
    pub client_certificate: ClientCertificate,
    /// Whether a login may be relayed in plain to another machine, and the database may ask for the password in clear or as
    /// MD5.
    pub allow_weak: bool,
    /// Limits before and while a client logs in.
    pub limits: Limits,
}

/// What a client's certificate must say; the words are those of `clientcert` in `pg_hba.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificate {
    /// An authority of `tls_client_ca` has signed it.
    VerifyCa,
    /// And its common name is the login, or is listed with the login here.
    VerifyFull(Vec<(String, Vec<String>)>),
}

/// Limits before and while a client logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Seconds from the connection to the end of the login.
    pub timeout: u32,
    /// Connections that have not logged in yet.
    pub pending: u32,
    /// The same from one address.
    pub pending_per_address: u32,
    /// Failed logins a minute of one login from one address.
    pub failures_per_login: u32,
    /// Failed logins a minute from one address.
    pub failures_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: 60, pending: 1000, pending_per_address: 100, failures_per_login: 10, failures_per_address: 100 }
    }
}

impl Auth {
    /// A method, and everything else as it is by default.
    pub fn with(method: AuthMethod) -> Self {
        Self { method, client_certificate: ClientCertificate::VerifyCa, allow_weak: false, limits: Limits::default() }
    }
}

/// A login of the proxy's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// As the client and the policies name it.
    pub name: String,
    /// What its password is checked with.
    pub verifier: Verifier,
    /// The database's login.
    pub upstream_login: String,
    /// Its password, where the database asks for one.
    pub upstream_password: Option<SecretSource>,
}

/// Which policies are in force, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Patterns of the files.
    pub files: Vec<String>,
    /// Instead of them a signed bundle.
    pub bundle: Option<PolicyBundle>,
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// The root of the pseudonyms' keys.
    pub token_key: Option<SecretSource>,
    /// Mebibytes that decisions may take that are kept for later statements; 0 keeps none.
    pub decision_memory: u32,
    /// A session is told once of each column that a condition compares by its mask.
    pub mask_notices: bool,
}

/// Policies in one signed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyBundle {
    /// The file.
    pub file: PathBuf,
    /// Public keys of which one must have signed it: digits, or files that hold them.
    pub keys: Vec<String>,
}

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are logged only.
    Observe,
}

/// What a configuration that says nothing gets; contract section 2.
pub(super) mod default {
    pub(in crate::config) const MAX_CONNECTIONS: u32 = 1000;
    pub(in crate::config) const DRAIN_SECONDS: u32 = 30;
    pub(in crate::config) const LISTEN: &str = "127.0.0.1";
    pub(in crate::config) const LISTEN_PORT: u16 = 6432;
    pub(in crate::config) const ADMIN_ABOVE: u16 = 3000;
    pub(in crate::config) const CATALOG_LOGIN: &str = "pgpurpose";
    pub(in crate::config) const AUDIT: &str = "audit";
    /// Mebibytes.
    pub(in crate::config) const DECISION_MEMORY: u32 = 64;
}

impl Config {
    /// A configuration without a file: everything that is not given is as it is by default. The login is relayed over a Unix
    /// socket and to this machine's own address, where that always works; elsewhere it is `passthrough` over TLS where the
    /// database offers it. `files` are patterns, relative to the working directory.
    pub fn for_upstream(upstream: UpstreamAddress, files: Vec<String>) -> Self {
        let near = match &upstream {
            UpstreamAddress::Unix { .. } => true,
            UpstreamAddress::Tcp(address) => address.is_loopback(),
        };
        let (method, tls) = if near {
            (AuthMethod::Relay, UpstreamTls::Disable)
        } else {
            (AuthMethod::Passthrough, UpstreamTls::Prefer)
        };
        let listen = Listen::default();
        let admin = Admin::beside(&listen);
        Self {
            listen,
            upstream: Upstream {
                addresses: vec![upstream],
                tls,
                tls_ca: None,
                tls_identity: None,
                database: None,
                catalog_login: default::CATALOG_LOGIN.to_owned(),
                pooler: false,
                read_only: false,
                catalog_password: None,
            },
            auth: Auth::with(method),
            logins: Vec::new(),
            policy: Policy {
                files,
                bundle: None,
                mode: Mode::Enforce,
                token_key: None,
                decision_memory: default::DECISION_MEMORY,
                mask_notices: true,
            },
            audit: Audit::new(PathBuf::from(default::AUDIT)),
            admin,
            organisation: Organisation::default(),
            fleet: Fleet::default(),
            requests: Requests::default(),
            alerts: None,
            mail: None,
            centre: None,
            telemetry: None,
        }
    }
}

impl Policy {
    /// The files that the patterns mean now, each once, sorted within a pattern; the bundle where there is one.
    ///
    /// # Errors
    /// A pattern that is not one, that matches nothing, or a folder that cannot be read.
    pub fn matching(&self) -> Result<Vec<PathBuf>, String> {
        if let Some(bundle) = &self.bundle {
            return Ok(vec![bundle.file.clone()]);
        }
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
