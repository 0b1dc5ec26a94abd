//! The proxy as a whole: built from its configuration, watched over, loaded again and ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::access_log;
use super::alarms::{self, Look};
use super::auth::{self, Trouble};
use super::console;
use super::database::{self, Database};
use super::exceptions::Exceptions;
use super::fit::{self, Misfit, fit};
use super::grants::Grants;
use super::outdated;
use super::permissions;
use super::policies::{actor_key, fits, subject_key};
use super::reviewing;
use super::supervisor::Supervisor;
use super::telemetry;
use super::watch::Watch;
use crate::audit::ship::Shipping;
use crate::audit::{AuditLog, Event};
use crate::config::Config;
use crate::document::Fault;
use crate::fleet::Bundle;
use crate::policy::PolicySet;
use crate::server::admin::{Admin, Running};
use crate::server::alerts::Teller;
use crate::server::otlp::Collector;
use crate::server::{ListenTls, Options, Server};
use crate::session::{Catalogs, OpenCatalog, Parts, Shared};
use crate::sql::{TokenKey, enforce_form};
use crate::telemetry::{Metrics, OwnLines};

/// How often is looked for changes of the database's structure that did not pass through the proxy, and how often all of it is read.
const CATALOG_OFTEN: Duration = Duration::from_millis(500);
const CATALOG_EVERY: Duration = Duration::from_secs(60);
/// How often the policies' files are looked at.
const POLICIES_EVERY: Duration = Duration::from_millis(500);
/// How long each place beside the log gets at the end.
const SINKS: Duration = Duration::from_secs(2);
/// How often the files of certificate and key are looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(5);

/// Runs the proxy until SIGTERM or SIGINT; `ready` is called with the database's name once clients can connect. SIGHUP,
/// and a change of their files, loads the policies again, all of them or none.
///
/// # Errors
/// What keeps the proxy from starting.
pub(crate) fn serve(
    config: Config,
    again: ConfigAgain,
    how: How<'_>,
    ready: impl FnOnce(&str),
) -> Result<(), Vec<Fault>> {
    super::runtime().map_err(plain)?.block_on(Proxy::run(config, again, how, ready))
}

/// A fault that is in no file.
fn plain(error: impl std::fmt::Display) -> Vec<Fault> {
    vec![Fault::error(&crate::document::Place::default(), error.to_string())]
}

/// What the configuration does not say.
pub(crate) struct How<'a> {
    /// The database that the policies are about; found by their tables where it is not named.
    pub(crate) database: Option<&'a str>,
    /// Another process listens on the same port, which it hands over.
    pub(crate) hand_over: bool,
    /// The lines of the proxy's own log.
    pub(crate) own: Arc<OwnLines>,
}

/// Reads the configuration once more.
pub(crate) type ConfigAgain = Box<dyn Fn() -> Result<Config, Vec<Fault>> + Send + Sync>;

struct Proxy {
    config: Config,
    /// What the policies in force came in, where that was a bundle.
    bundle: Option<Bundle>,
    again: Arc<ConfigAgain>,
    shared: Arc<Shared>,
    /// Why the last reload was not taken; `None` where it was.
    not_loaded: Arc<Mutex<Option<String>>>,
    misfit: Misfit,
    exceptions: Exceptions,
    own: Arc<OwnLines>,
    /// It is being stopped.
    draining: Arc<AtomicBool>,
}

impl Proxy {
    async fn run(
        config: Config,
        again: ConfigAgain,
        How { database, hand_over, own }: How<'_>,
        ready: impl FnOnce(&str),
    ) -> Result<(), Vec<Fault>> {
        let mut watch = Watch::new(&config.policy);
        let (policies, bundle) = super::policies::loaded(&config)?;
        fits(&config, &policies).map_err(|fault| vec![fault])?;
        for warning in policies.warnings() {
            tracing::warn!("{warning}");
        }
        for warning in permissions::warnings(&config) {
            tracing::warn!("{warning}");
        }
        let mut options = options(&config)?;
        options.hand_over = hand_over;
        options.token_key = token_key(&config)?;
        let database = Database::find(&config, &policies, database).await.map_err(plain)?;
        options.method = auth::method(&config, &database).map_err(plain)?;
        for trouble in auth::trouble(&config, &policies, &database).await.map_err(plain)? {
            match trouble {
                Trouble::Wrong(text) => return Err(plain(text)),
                Trouble::Note(text) => tracing::warn!("{text}"),
            }
        }
        let tls = options.tls.clone();
        let catalog = Arc::new(database.catalog().await.map_err(plain)?);
        fit(&policies, &catalog.current())?;
        let metrics = Arc::new(Metrics::default());
        let mut log = access_log::options(&config.audit).map_err(plain)?;
        log.proxy = Some(proxy_name(&config));
        let audit = AuditLog::open_with(log).map_err(plain)?.with_metrics(Arc::clone(&metrics));
        let mut sinks = access_log::sinks(&config.audit, &audit).map_err(plain)?;
        let places = sinks.clone();
        let alarms = alarms::start(&config, &audit).map_err(plain)?;
        sinks.extend(alarms.iter().map(|(shipping, _)| shipping.clone()));
        let (collector, traces) = telemetry::start(config.telemetry.as_ref(), &audit).map_err(plain)?;
        sinks.extend(traces);
        let observe = policies.observes();
        if observe {
            tracing::warn!("{OBSERVED}");
        }
        let others = database.clone();
        let open: OpenCatalog = Box::new(move |name, first_epoch| {
            let database = others.called(&name);
            Box::pin(async move { database.catalog_from(first_epoch).await })
        });
        let parts = Parts {
            policies: Arc::new(policies),
            catalogs: Catalogs::new(database.name.clone(), Arc::clone(&catalog), open),
            audit: audit.clone(),
            metrics: Arc::clone(&metrics),
            enforce: Box::new(enforce_form),
            observe,
            subject_key: subject_key(&config).map_err(plain)?,
        };
        let shared = Shared::new(parts).map_err(plain)?;
        let shared = shared.with_mask_notices(config.policy.mask_notices);
        let shared = shared.with_counts(access_log::counts(&config, &audit).map_err(plain)?);
        let shared = shared.with_actor_key(actor_key(&config).map_err(plain)?);
        let shared = Arc::new(shared.with_decision_memory(u64::from(config.policy.decision_memory) * 1024 * 1024));
        let (asked, directory) = (Arc::clone(&shared), config.audit.directory.clone());
        tokio::task::spawn_blocking(move || access_log::count_again(&asked, &directory))
            .await
            .map_err(plain)?
            .map_err(plain)?;
        let exceptions = Exceptions::new(Grants::of(&config).map_err(plain)?, Arc::clone(&shared));
        let mut proxy = Self {
            config,
            bundle,
            again: Arc::new(again),
            shared,
            not_loaded: Arc::default(),
            misfit: Misfit::default(),
            exceptions,
            own,
            draining: Arc::default(),
        };
        proxy.log_policies(None, &[]).await?;
        proxy.exceptions.look().await;
        let teller = alarms.as_ref().map(|(_, teller)| teller.clone());
        proxy.start_admin(&database, sinks.clone(), teller, collector).await?;
        if let (Some((_, teller)), Some(wanted)) = (alarms, proxy.config.alerts.clone()) {
            let (shared, log, database) = (Arc::downgrade(&proxy.shared), audit.clone(), database.clone());
            tokio::spawn(Look { teller, config: wanted, shared, log, sinks: places, database }.run());
        }
        // Before anybody can connect: a signal that comes early is not lost.
        let (mut stop, mut interrupt, mut reload) = (
            signal(SignalKind::terminate()).map_err(plain)?,
            signal(SignalKind::interrupt()).map_err(plain)?,
            signal(SignalKind::hangup()).map_err(plain)?,
        );
        let server = Server::start(options, Arc::clone(&proxy.shared)).map_err(plain)?;
        tokio::spawn(fit::watch(Arc::clone(&proxy.shared), Arc::clone(&catalog), Arc::clone(&proxy.misfit)));
        outdated::start(&proxy.shared, &proxy.shared.audit, proxy.config.audit.retain_days);
        let fresh = tokio::spawn(async move { catalog.keep_fresh(CATALOG_OFTEN, CATALOG_EVERY).await });
        ready(&database.name);
        let supervisor = Supervisor::of_environment();
        supervisor.ready(&proxy.status());
        let mut certificate = tokio::time::interval(CERTIFICATE_EVERY);
        let mut files = tokio::time::interval(POLICIES_EVERY);
        let reason = loop {
            tokio::select! {
                _ = stop.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "SIGINT",
                _ = reload.recv() => {
                    renew(tls.as_ref()).await;
                    watch = Watch::new(&proxy.config.policy);
                    proxy.reload(&supervisor).await;
                }
                _ = files.tick() => {
                    let policy = proxy.config.policy.clone();
                    let looked = tokio::task::spawn_blocking(move || {
                        let changed = watch.changed(&policy);
                        (watch, changed)
                    });
                    let changed;
                    (watch, changed) = looked.await.map_err(plain)?;
                    if changed {
                        proxy.reload(&supervisor).await;
                    }
                    proxy.exceptions.look().await;
                }
                _ = certificate.tick() => renew(tls.as_ref()).await,
            }
        };
        tracing::info!(reason, "stopping");
        proxy.draining.store(true, Ordering::Release);
        let hurry = server.hurry();
        let listen = &proxy.config.listen;
        let [notice, drain] =
            [listen.drain_notice_seconds, listen.drain_seconds].map(|s| Duration::from_secs(s.into()));
        supervisor.stopping(notice + drain);
        let stopping = async {
            // Whoever asks `/readyz` sends nobody here any more.
            tokio::time::sleep(notice).await;
            tokio::task::spawn_blocking(move || server.stop(drain)).await
        };
        let mut stopping = std::pin::pin!(stopping);
        let stopped = loop {
            tokio::select! {
                stopped = &mut stopping => break stopped,
                // Whoever asks twice means at once.
                _ = stop.recv() => hurry(),
                _ = interrupt.recv() => hurry(),
            }
        };
        fresh.abort();
        if stopped.is_err() {
            tracing::error!("the listeners did not stop in order");
        }
        if let Err(error) = audit.close(reason).await {
            tracing::error!(%error, "the end of the access log was not written");
        }
        let last = audit.status().last_seq;
        let finished = tokio::task::spawn_blocking(move || sinks.iter().for_each(|sink| sink.finish(last, SINKS)));
        // What they lack goes with the next start.
        let _ = finished.await;
        Ok(())
    }

    async fn start_admin(
        &self,
        database: &Database,
        sinks: Vec<Shipping>,
        alerts: Option<Teller>,
        collector: Option<Arc<Collector>>,
    ) -> Result<(), Vec<Fault>> {
        let own = database.clone();
        let (shared, database) = (Arc::clone(&self.shared), database.clone());
        let (not_loaded, misfit) = (Arc::clone(&self.not_loaded), Arc::clone(&self.misfit));
        let (draining, read_only) = (Arc::clone(&self.draining), self.config.upstream.read_only);
        let admin = Admin {
            metrics: Arc::clone(&self.shared.metrics),
            own: Arc::clone(&self.own),
            log: self.shared.audit.clone(),
            sinks,
            alerts,
            exported: collector.as_ref().map(|collector| Arc::clone(&collector.exported)),
            running: Box::new(move || {
                let policies = shared.policies.load();
                Running {
                    policy: policies.hash().to_owned(),
                    observe: policies.observes(),
                    not_loaded: not_loaded.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                    misfit: misfit.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                    zone: policies.zone().clone(),
                    draining: draining.load(Ordering::Acquire),
                    catalog: Some(shared.catalogs.main().current().epoch()),
                }
            }),
            upstream: Box::new(move || {
                let database = database.clone();
                Box::pin(async move { database.answers(read_only).await })
            }),
        };
        let admin = Arc::new(admin);
        telemetry::report(self.config.telemetry.as_ref(), collector.as_ref(), &admin);
        let reviewing = reviewing::start(&self.config, &self.shared, &admin, &own).map_err(plain)?;
        console::start(&self.config.admin, admin, reviewing).await.map_err(plain)
    }

    /// Loads configuration and policies again: all of them, or the ones before stay. A session's next statement is decided by the new
    /// ones, in the new mode.
    async fn reload(&mut self, supervisor: &Supervisor) {
        supervisor.reloading();
        let before = self.shared.policies.load_full();
        let outcome = match self.load_again().await {
            Ok((config, policies, bundle)) => {
                tracing::info!(policy = policies.hash(), mode = mode(&policies), "policies loaded");
                if policies.observes() {
                    tracing::warn!("{OBSERVED}");
                }
                (self.config, self.bundle) = (config, bundle);
                self.note_reload(None);
                self.shared.policies.store(Arc::new(policies.with_granted(self.exceptions.in_force())));
                self.exceptions.look_again();
                // They fit, or they would not have been taken.
                *self.misfit.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.shared.metrics.policy_reloads.bump();
                self.log_policies(Some(before.hash()), &[]).await
            }
            Err(faults) => {
                self.shared.metrics.policy_reload_failures.bump();
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                tracing::error!(policy = before.hash(), "the policies were not loaded; the ones before stay in force");
                self.note_reload(Some(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")));
                self.log_policies(Some(before.hash()), &faults).await
            }
        };
        if let Err(faults) = outcome {
            for fault in faults {
                tracing::error!("the access log does not hold this load: {fault}");
            }
        }
        supervisor.ready(&self.status());
    }

    /// What it does, for whoever looks at it as a service.
    fn status(&self) -> String {
        let policies = self.shared.policies.load();
        let taken = self.not_loaded.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        let does = if policies.observes() { "observing only, nothing is enforced" } else { "enforcing" };
        format!("{does}, {}{}", policies.hash(), if taken { "" } else { "; the last reload was not taken" })
    }

    fn note_reload(&self, trouble: Option<String>) {
        *self.not_loaded.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    async fn load_again(&self) -> Result<(Config, PolicySet, Option<Bundle>), Vec<Fault>> {
        let (before, again) = (self.config.clone(), Arc::clone(&self.again));
        let (config, policies, bundle) = tokio::task::spawn_blocking(move || {
            let config = again()?;
            let keys = before.needs_restart(&config);
            if !keys.is_empty() {
                return Err(plain(format!(
                    "`{}` {} changed, which needs a restart: nothing was loaded",
                    keys.join("`, `"),
                    if keys.len() == 1 { "was" } else { "were" }
                )));
            }
            let (policies, bundle) = super::policies::loaded(&config)?;
            fits(&config, &policies).map_err(|fault| vec![fault])?;
            Ok((config, policies, bundle))
        })
        .await
        .map_err(plain)??;
        if let (Some(before), Some(now)) = (&self.bundle, &bundle)
            && now.made < before.made
        {
            return Err(plain(format!(
                "the bundle was made at {}, before the one in force ({}): to go back to older policies, bundle them again",
                now.made, before.made
            )));
        }
        fit(&policies, &self.shared.catalogs.main().current())?;
        Ok((config, policies, bundle))
    }

    async fn log_policies(&self, before: Option<&str>, faults: &[Fault]) -> Result<(), Vec<Fault>> {
        let matching = self.config.policy.matching().unwrap_or_default();
        let files: Vec<String> = matching.iter().map(|file| file.display().to_string()).collect();
        // What came into force can be shown when it is long over; that it cannot is no reason to stop.
        if let Err(error) = self.shared.policies.load().keep(&self.config.audit.directory) {
            tracing::warn!(%error, "the policies in force could not be kept beside the access log");
        }
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let now = self.shared.policies.load();
        let bundle = self.bundle.as_ref().map(|bundle| bundle.digest.as_str());
        let event =
            Event::Policy { policy: now.hash(), before, mode: mode(&now), files: &files, bundle, faults: &faults };
        self.shared.audit.append(event.record().map_err(plain)?).await.map(drop).map_err(plain)
    }
}

/// What a proxy calls itself among several: as it is told to, or by its machine and where it listens.
fn proxy_name(config: &Config) -> String {
    config.fleet.name.clone().unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let listen = config.listen.addresses.first().map(ToString::to_string).unwrap_or_default();
        format!("{} {listen}", host.trim())
    })
}

/// Reads certificate and key again; sessions that are open keep theirs.
async fn renew(tls: Option<&ListenTls>) {
    let Some(tls) = tls.cloned() else { return };
    match tokio::task::spawn_blocking(move || tls.reload()).await {
        Ok(Ok(true)) => tracing::info!("certificate and key loaded"),
        Ok(Ok(false)) | Err(_) => {}
        Ok(Err(error)) => tracing::error!(%error, "the certificate was not loaded; the one before stays in use"),
    }
}

/// What the operator must not overlook.
const OBSERVED: &str = "OBSERVE MODE: NOTHING IS ENFORCED. Nothing is masked, filtered or refused; the access log says what would be. \
     `mode = \"enforce\"` under `[policy]` changes that";

fn mode(policies: &PolicySet) -> &'static str {
    if policies.observes() { "observe" } else { "enforce" }
}

fn options(config: &Config) -> Result<Options, Vec<Fault>> {
    let mut options = Options::new("", database::servers(config).map_err(plain)?);
    options.listen = config.listen.addresses.iter().map(ToString::to_string).collect();
    let most = |limit: Option<u32>| limit.map(|limit| limit.try_into().unwrap_or(usize::MAX));
    options.max_connections_per_login = most(config.listen.max_connections_per_login);
    options.max_connections_per_address = most(config.listen.max_connections_per_address);
    options.login_timeout = Duration::from_secs(config.auth.limits.timeout.into());
    options.limits = config.auth.limits;
    options.client_certificate = config.auth.client_certificate.clone();
    options.max_connections = config.listen.max_connections.try_into().unwrap_or(usize::MAX);
    if let Some(tls) = &config.listen.tls {
        let made = ListenTls::new(&tls.certificate, &tls.key, tls.client_ca.as_deref(), config.listen.require_tls);
        options.tls = Some(made.map_err(plain)?);
    }
    Ok(options)
}

/// The root of the pseudonyms' keys. A session is given those of its role's purposes when it logs in: for a purpose that the
/// role was given later its masks fail until it logs in again.
fn token_key(config: &Config) -> Result<Option<TokenKey>, Vec<Fault>> {
    let Some(source) = &config.policy.token_key else { return Ok(None) };
    let secret = source.read().map_err(plain)?;
    TokenKey::from_hex(secret.expose()).map(Some).map_err(plain)
}
