//! The privacy centre of a configuration.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::database::Database;
use super::watch::Watch;
use crate::centre::{Centre, Keys, Parts, Store};
use crate::config::{Centre as Settings, Config};
use crate::mail::Mailer;
use crate::policy::PolicySet;
use crate::requests::clock::Holidays;
use crate::requests::find::known;
use crate::requests::{PersonMap, Shape};
use crate::scan::Lexicon;
use crate::server::ListenTls;
use crate::server::web;

/// How often the policies' files are looked at.
const POLICIES_EVERY: Duration = Duration::from_millis(500);
/// How often certificate and key are read again.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(60);

/// `[centre]`, which must be there.
///
/// # Errors
/// It is not.
pub(crate) fn settings(config: &Config) -> Result<&Settings, String> {
    config
        .centre
        .as_ref()
        .ok_or_else(|| "the configuration has no `[centre]`: docs/centre.md says what it takes".to_owned())
}

/// The functions that its login needs, as SQL for this database; and what could not be made.
///
/// # Errors
/// In words for the operator.
pub(crate) async fn setup(
    config: &Config,
    policies: &PolicySet,
    database: Option<&str>,
) -> Result<(String, Vec<String>), String> {
    let settings = settings(config)?;
    let database = Database::find(config, policies, database).await?;
    let policies = &fitted(&database, policies).await?;
    let shape = Shape::read(&database.client().await?).await.map_err(|error| error.to_string())?;
    let map = map(settings, policies, &shape)?;
    crate::centre::sql(policies, &shape, &map).map_err(|error| error.to_string())
}

/// The policies with every table and column that a pattern means listed by its name.
async fn fitted(database: &Database, policies: &PolicySet) -> Result<PolicySet, String> {
    if !policies.has_patterns() {
        return Ok(policies.clone());
    }
    Ok(policies.fitted(&database.catalog().await?.current()))
}

fn map<'a>(settings: &Settings, policies: &PolicySet, shape: &'a Shape) -> Result<PersonMap<'a>, String> {
    let people = settings.people.as_deref().map(str::parse).transpose();
    let people = people.map_err(|_| "`[centre] people` is no table: write `schema.table`".to_owned())?;
    PersonMap::new(shape, policies, people.as_ref()).map_err(|none| none.to_string())
}

/// Puts it together over policies that whoever calls may replace, and listens; gives the database as its own login sees it.
///
/// # Errors
/// In words for the operator.
async fn start(config: &Config, policies: Arc<ArcSwap<PolicySet>>, database: Option<&str>) -> Result<Database, String> {
    let settings = settings(config)?.clone();
    let mail = config.mail.as_ref().ok_or_else(|| {
        "the centre sends codes, and the configuration has no `[mail]`: docs/configuration.md says what it takes"
            .to_owned()
    })?;
    let mailer = Mailer::new(mail)?;
    let tls = match &settings.tls {
        Some((certificate, key)) => {
            Some(ListenTls::for_site(certificate, key, None).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let key = settings.key.read_key()?;
    let written = policies.load_full();
    let password = settings.password.as_ref().map(crate::config::SecretSource::read).transpose()?;
    let login =
        Database::find_as(config, &written, database, (&settings.login, "pgpurpose centre"), password.as_ref()).await?;
    policies.store(Arc::new(fitted(&login, &written).await?));
    let current = policies.load_full();
    let shape = Shape::read(&login.client().await?).await.map_err(|error| error.to_string())?;
    let map = map(&settings, &current, &shape)?;
    let people = shape.tables.get(map.register).map(|table| table.name.clone());
    let people = people.ok_or_else(|| "the people's own table is not there".to_owned())?;
    let lexicon = Lexicon::built_in().map_err(|error| error.to_string())?;
    let known = known(&map, &current, &lexicon).into_iter().filter(|known| known.table == map.register);
    let known = known.map(|known| (known.kind, known.column)).collect();
    let store = Store::open(login.connect()).await.map_err(|error| error.to_string())?;
    let told = super::told(config, &settings.login, &login.name, "centre")?;
    let requests = &config.requests;
    let parts = Parts {
        organisation: config.organisation.clone(),
        keys: Keys::derive(&key)?,
        policies,
        store,
        mailer,
        told,
        people,
        known,
        holidays: Holidays::new(requests.proclaimed.iter().copied(), requests.proclaimed_until),
        log: Some(config.audit.directory.clone()),
        settings,
    };
    let address = parts.settings.address.clone();
    let listener = TcpListener::bind((address.host.as_str(), address.port))
        .await
        .map_err(|error| format!("cannot listen on `{address}` for the privacy centre: {error}"))?;
    let centre = Centre::start(parts)?;
    if let Some(tls) = tls.clone() {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(CERTIFICATE_EVERY).await;
                let tls = tls.clone();
                if let Ok(Err(error)) = tokio::task::spawn_blocking(move || tls.reload()).await {
                    tracing::error!(%error, "the centre's certificate was not loaded; the one before stays in use");
                }
            }
        });
    }
    tokio::spawn(web::serve(listener, centre.site(tls)));
    Ok(login)
}

/// Runs the centre alone until SIGTERM or SIGINT; policies whose files change are loaded again. `ready` is called with the address.
///
/// # Errors
/// In words for the operator.
pub(crate) fn serve(
    config: &Config,
    policies: PolicySet,
    database: Option<&str>,
    ready: impl FnOnce(&str),
) -> Result<(), String> {
    super::runtime()?.block_on(async {
        let mut watch = Watch::new(&config.policy);
        let policies = Arc::new(ArcSwap::from_pointee(policies));
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut stop), Ok(mut interrupt)) = signals else { return Err("signals cannot be waited for".to_owned()) };
        let login = start(config, Arc::clone(&policies), database).await?;
        ready(&settings(config)?.url);
        let mut files = tokio::time::interval(POLICIES_EVERY);
        loop {
            tokio::select! {
                _ = stop.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = files.tick() => {
                    if !watch.changed(&config.policy) {
                        continue;
                    }
                    match super::policies(config) {
                        Ok(loaded) => match fitted(&login, &loaded).await {
                            Ok(loaded) => policies.store(Arc::new(loaded)),
                            Err(error) => tracing::error!(%error, "the policies were not loaded; the ones before stay in force"),
                        },
                        Err(faults) => {
                            for fault in faults {
                                tracing::error!("{fault}");
                            }
                            tracing::error!("the policies were not loaded; the ones before stay in force");
                        }
                    }
                }
            }
        }
    })
}

/// Addresses that end a purpose by one click, for keys of people that are given.
///
/// # Errors
/// The key cannot be read.
pub(crate) fn links(config: &Config) -> Result<impl Fn(&str, &str) -> String, String> {
    let settings = settings(config)?;
    let (keys, url) = (Keys::derive(&settings.key.read_key()?)?, settings.url.clone());
    Ok(move |purpose: &str, subject: &str| format!("{url}{}", keys.unsubscribe(purpose, subject)))
}

/// Whether a receipt is one of this centre's, as it was given.
///
/// # Errors
/// The key cannot be read.
pub(crate) fn is_receipt(config: &Config, receipt: &serde_json::Value) -> Result<bool, String> {
    let keys = Keys::derive(&settings(config)?.key.read_key()?)?;
    Ok(crate::requests::told::is_signed(receipt, &keys.public()))
}
