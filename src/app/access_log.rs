//! The access log of a configuration, and the places beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::chain::Hash;
use crate::audit::checkpoint::{Rhythm, Signer};
use crate::audit::ship::{Deliver, Shipping, Wanted};
use crate::audit::{self, AuditLog, Filter, LogOptions, Sync};
use crate::config::{Audit, AuditSync, Config, PostgresSink, SecretSource, SinkRecords, UpstreamTls as ConfiguredTls};
use crate::fleet::{AuditPlace, SharedCounts};
use crate::policy::filters_groups;
use crate::server::sinks::{Http, Postgres, Stdout, Syslog};
use crate::session::{Shared, Together};
use crate::upstream::{Address, TlsMode, UpstreamTls};

/// How the log is kept.
///
/// # Errors
/// The signing key cannot be read.
pub(crate) fn options(audit: &Audit) -> Result<LogOptions, String> {
    let sync = match audit.sync {
        AuditSync::Always => Sync::Always,
        AuditSync::Written => Sync::Written,
    };
    let signer = match &audit.signing_key {
        Some(source) => {
            let signer = Signer::new(source.read_key()?.expose());
            Some(Arc::new(signer.ok_or_else(|| format!("the key at {source} cannot sign"))?))
        }
        None => None,
    };
    Ok(LogOptions {
        directory: audit.directory.clone(),
        proxy: None,
        sync,
        rotate_bytes: u64::from(audit.rotate_mb) << 20,
        rotate_hours: audit.rotate_hours,
        signer,
        rhythm: Rhythm { records: audit.checkpoint_records.into(), seconds: audit.checkpoint_seconds.into() },
        anchor: anchor(audit)?,
        keep: true,
        compress: audit.compress,
        retain_days: audit.retain_days,
        places: audit.sinks.names(),
        login_bytes: audit.max_mb_per_login.map(|most| u64::from(most) << 20),
    })
}

/// Where the newest checkpoint stands outside of the log's folder: where `anchor` says, or beside the key's file where that can
/// be written. Logs of other folders that are signed with the same key have files of their own.
///
/// # Errors
/// `anchor` is in the log's own folder, or its folder cannot be written.
fn anchor(audit: &Audit) -> Result<Option<PathBuf>, String> {
    let folder = |path: &Path| path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    // The folder itself may not be there yet, or not any more.
    let real = |path: &Path| match (folder(path).join(".").canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => Ok(folder.join(name)),
        (_, _) => std::path::absolute(path),
    };
    let writable = |path: &Path| rustix::fs::access(folder(path).join("."), rustix::fs::Access::WRITE_OK).is_ok();
    let log = real(&audit.directory).map_err(|error| format!("`{}`: {error}", audit.directory.display()))?;
    let inside = |path: &Path| real(path).is_ok_and(|path| path.starts_with(&log));
    if let Some(anchor) = &audit.anchor {
        if inside(anchor) || !writable(anchor) {
            return Err(format!(
                "`anchor = \"{}\"` under `[audit]`: it takes a file in a folder that can be written and is not the log's",
                anchor.display()
            ));
        }
        return Ok(Some(anchor.clone()));
    }
    let Some(SecretSource::File(key)) = &audit.signing_key else { return Ok(None) };
    let name: String = Hash::of(log.as_os_str().as_encoded_bytes()).to_string().chars().take(16).collect();
    let mut beside = key.clone();
    beside.as_mut_os_string().push(format!(".{name}.anchor"));
    Ok(Some(beside).filter(|beside| !inside(beside) && writable(beside)))
}

/// Counts today's statements over groups from the access log, so that a restart gives no new budget. A statement that was
/// prepared and run has two records, and counts twice here.
///
/// # Errors
/// The log cannot be read.
pub(super) fn count_again(shared: &Shared, directory: &Path) -> std::io::Result<()> {
    let policies = shared.policies.load();
    if !policies.has_budgets() {
        return Ok(());
    }
    let today = policies.zone().today();
    let midnight = policies.zone().begin(today).map_err(std::io::Error::other)?;
    let [event, verdict] = ["access", "mask"].map(|wanted| Some(wanted.to_owned()));
    let of_today = Filter { event, verdict, since: Some(midnight), ..Filter::default() };
    audit::search(directory, of_today, false, |entry| {
        let mut filters = entry.filters();
        if let (Some(login), Some(purpose), true) =
            (entry.text("login"), entry.text("purpose"), filters.any(filters_groups))
        {
            shared.budgets.recover(&policies, login, purpose, today);
        }
        true
    })
    .and_then(|effort| effort.complete())
}

/// Begins to give records to every place that is named.
///
/// # Errors
/// A place whose address, key or certificate cannot be used. One that is away is no error.
pub(super) fn sinks(audit: &Audit, log: &AuditLog) -> Result<Vec<Shipping>, String> {
    let mut places: Vec<(&'static str, SinkRecords, Box<dyn Deliver>)> = Vec::new();
    if let Some(records) = audit.sinks.stdout {
        places.push(("stdout", records, Box::new(Stdout)));
    }
    if let Some((address, records)) = &audit.sinks.syslog {
        places.push(("syslog", *records, Box::new(Syslog::new(address.clone()))));
    }
    if let Some(http) = &audit.sinks.http {
        let token = http.token.as_ref().map(crate::config::SecretSource::read).transpose()?;
        places.push(("http", http.records, Box::new(Http::new(http.url.clone(), token, http.tls_ca.as_deref())?)));
    }
    if let Some(database) = &audit.sinks.postgres {
        places.push(("postgres", SinkRecords::All, Box::new(postgres(database, log.name())?)));
    }
    let start = |(name, records, to): (&'static str, SinkRecords, Box<dyn Deliver>)| {
        let wanted = match records {
            SinkRecords::All => Wanted::All,
            SinkRecords::Checkpoints => Wanted::Checkpoints,
        };
        Shipping::start(log, name, wanted, to).map_err(|error| format!("a thread cannot be started: {error}"))
    };
    places.into_iter().map(start).collect()
}

/// Where budgets are counted together with other proxies: in the audit database, where the configuration says so.
///
/// # Errors
/// Its key or certificate cannot be used, or a thread cannot be started.
pub(super) fn counts(config: &Config, log: &AuditLog) -> Result<Option<Together>, String> {
    let (Some(proxies), Some(database)) = (config.fleet.shared, &config.audit.sinks.postgres) else { return Ok(None) };
    let (address, tls, login) = reached(database)?;
    let counts = SharedCounts::start(AuditPlace::new(address, tls, login), log.name().to_owned());
    let counts = counts.map_err(|error| format!("a thread cannot be started: {error}"))?;
    Ok(Some(Together { counts: Arc::new(counts), proxies }))
}

fn postgres(database: &PostgresSink, log: &str) -> Result<Postgres, String> {
    let (address, tls, config) = reached(database)?;
    Ok(Postgres::new(address, tls, config, log.to_owned()))
}

/// How the audit database is reached.
fn reached(database: &PostgresSink) -> Result<(Address, UpstreamTls, tokio_postgres::Config), String> {
    let mode = match database.tls {
        ConfiguredTls::Disable => TlsMode::Disable,
        ConfiguredTls::Prefer => TlsMode::Prefer,
        ConfiguredTls::Require => TlsMode::Require,
        ConfiguredTls::VerifyFull => TlsMode::VerifyFull,
    };
    let tls =
        UpstreamTls::new(mode, database.tls_ca.as_deref().map(Path::new), None).map_err(|error| error.to_string())?;
    let address = database.address.to_string().parse().map_err(|error| format!("{error}"))?;
    let mut config = tokio_postgres::Config::new();
    config.user(&database.login).dbname(&database.database).application_name("pgpurpose audit");
    if let Some(source) = &database.password {
        config.password(source.read()?.expose());
    }
    Ok((address, tls, config))
}
