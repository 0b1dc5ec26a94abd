//! The ways out: e-mail, a signed webhook, syslog, a command. Each is tried again for some minutes; what came of it is a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use ring::hmac;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Alert;
use crate::audit::chain::hex;
use crate::audit::read::Entry;
use crate::audit::ship::Deliver;
use crate::audit::{AuditLog, Event};
use crate::config::{Alerts, Secret, SyslogAddress};
use crate::mail::{Mailer, Message, command};
use crate::server::sinks::{Http, Syslog};

/// How long is waited before each further try.
const TRIES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
    Duration::from_secs(180),
];
/// How long a way may take.
const LONGEST: Duration = Duration::from_secs(60);
/// So many wait to be sent; more are a record each.
const WAITING: usize = 1000;

/// What the ways are made of.
pub struct WaysOf<'a> {
    /// Which there are.
    pub config: &'a Alerts,
    /// How e-mail leaves.
    pub mailer: Option<Mailer>,
}

/// The ways out.
pub struct Ways {
    all: Vec<Way>,
    tries: &'static [Duration],
}

enum Way {
    Email(Mailer, Vec<String>),
    Webhook(Http, hmac::Key),
    Syslog(SyslogAddress),
    Command(Vec<String>),
}

impl WaysOf<'_> {
    /// Reads keys and authorities.
    ///
    /// # Errors
    /// One of them cannot be read, or there is no `[mail]` for addresses of e-mail.
    pub fn ways(self) -> Result<Ways, String> {
        let Self { config, mailer } = self;
        let mut all = Vec::new();
        match (config.email.as_slice(), mailer.filter(Mailer::takes_mail)) {
            ([], _) => {}
            (addresses, Some(mailer)) => all.push(Way::Email(mailer, addresses.to_vec())),
            (_, None) => return Err("`[alerts] email` needs `[mail]`, which says how e-mail leaves".to_owned()),
        }
        if let Some(hook) = &config.webhook {
            let key: Secret = hook.key.read()?;
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
            all.push(Way::Webhook(Http::new(hook.url.clone(), None, hook.tls_ca.as_deref())?, key));
        }
        all.extend(config.syslog.clone().map(Way::Syslog));
        all.extend(config.command.clone().map(Way::Command));
        Ok(Ways { all, tries: &TRIES })
    }
}

/// Hands alerts to the thread that sends them.
pub(super) struct Sender {
    queue: mpsc::Sender<Alert>,
    pending: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    unsent: Arc<AtomicU64>,
    log: AuditLog,
}

impl Sender {
    pub(super) fn start(ways: Ways, log: AuditLog, pending: Arc<AtomicU64>) -> Result<Self, String> {
        let (queue, mut inbox) = mpsc::channel::<Alert>(WAITING);
        let (sent, unsent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let (ways, counted) = (Arc::new(ways), (Arc::clone(&sent), Arc::clone(&unsent), Arc::clone(&pending)));
        let told = log.clone();
        let thread = std::thread::Builder::new().name("alerts".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut all = JoinSet::new();
                while let Some(alert) = inbox.recv().await {
                    let (ways, log) = (Arc::clone(&ways), told.clone());
                    let (sent, unsent, pending) = counted.clone();
                    all.spawn(async move {
                        let failed = ways.send(&alert).await;
                        let counter = if failed.is_empty() { sent } else { unsent };
                        counter.fetch_add(1, Ordering::Relaxed);
                        record(&log, &alert, &ways.names(), &failed).await;
                        pending.fetch_sub(1, Ordering::AcqRel);
                    });
                    while all.try_join_next().is_some() {}
                }
            });
        });
        thread.map_err(|error| format!("a thread cannot be started: {error}"))?;
        Ok(Self { queue, pending, sent, unsent, log })
    }

    pub(super) fn send(&self, alert: Alert) {
        self.pending.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = self.queue.try_send(alert) {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            self.unsent.fetch_add(1, Ordering::Relaxed);
            let alert = error.into_inner();
            tracing::error!(kind = alert.kind.name(), "an alert was not sent: too many wait");
            if let Ok(record) = event(&alert, &[], &[("queue", "too many wait".to_owned())]).record() {
                self.log.note(record);
            }
        }
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.unsent.load(Ordering::Relaxed))
    }
}

fn event<'a>(alert: &'a Alert, ways: &'a [&'static str], failed: &'a [(&'static str, String)]) -> Event<'a> {
    let sent = ways.iter().filter(|way| !failed.iter().any(|(name, _)| name == *way)).copied().collect();
    let reason: Vec<String> = failed.iter().map(|(way, why)| format!("{way}: {why}")).collect();
    Event::Alert {
        alert: &alert.id,
        kind: alert.kind.name(),
        about: &alert.about,
        what: &alert.title,
        of: alert.record,
        sent,
        unsent: failed.iter().map(|(way, _)| *way).collect(),
        reason: (!reason.is_empty()).then(|| reason.join("; ")),
    }
}

async fn record(log: &AuditLog, alert: &Alert, ways: &[&'static str], failed: &[(&'static str, String)]) {
    for (way, why) in failed {
        tracing::error!(way, why, kind = alert.kind.name(), alert = alert.id, "an alert was not sent");
    }
    let written = match event(alert, ways, failed).record() {
        Ok(record) => log.append(record).await.map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = written {
        tracing::error!(error, "the access log does not hold an alert");
    }
}

impl Ways {
    fn names(&self) -> Vec<&'static str> {
        self.all.iter().map(Way::name).collect()
    }

    /// Sends by every way, each tried again; gives those that did not take it, with the reason.
    async fn send(&self, alert: &Alert) -> Vec<(&'static str, String)> {
        let ways = futures_util::future::join_all(self.all.iter().map(|way| self.try_again(way, alert))).await;
        ways.into_iter().flatten().collect()
    }

    async fn try_again(&self, way: &Way, alert: &Alert) -> Option<(&'static str, String)> {
        let mut waits = self.tries.iter();
        loop {
            let sent = tokio::time::timeout(LONGEST, way.take(alert)).await;
            let why = match sent.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                Ok(()) => return None,
                Err(why) => why,
            };
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Some((way.name(), why)),
            }
        }
    }
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Email(..) => "email",
            Self::Webhook(..) => "webhook",
            Self::Syslog(_) => "syslog",
            Self::Command(_) => "command",
        }
    }

    async fn take(&self, alert: &Alert) -> Result<(), String> {
        let json = || serde_json::to_string(alert).map_err(|error| error.to_string());
        match self {
            Self::Email(mailer, addresses) => {
                for address in addresses {
                    let message = Message::new(address, format!("pgpurpose: {}", alert.title), letter(alert));
                    mailer.send(&message).await.map_err(|error| error.to_string())?;
                }
                Ok(())
            }
            Self::Webhook(http, key) => {
                let body = json()?;
                let headers = [
                    ("x-pgpurpose-alert", alert.id.clone()),
                    ("x-pgpurpose-signature", signature(key, Timestamp::now().as_second(), &body)),
                ];
                http.post(body, "application/json", &headers).await
            }
            Self::Syslog(address) => {
                let line = format!("{{\"event\":\"alert\",{}", json()?.trim_start_matches('{'));
                let entry = Entry::parse(line.as_bytes()).ok_or("it cannot be written")?;
                let mut syslog = Syslog::new(address.clone());
                tokio::task::spawn_blocking(move || syslog.deliver(&[entry]))
                    .await
                    .map_err(|error| error.to_string())?
            }
            Self::Command(parts) => {
                let kind = Some(("PGPURPOSE_ALERT", alert.kind.name()));
                command::run(parts, kind, json()?.as_bytes()).await.map_err(|error| format!("it {error}"))
            }
        }
    }
}

fn letter(alert: &Alert) -> String {
    let record =
        alert.record.map(|record| format!("Record {record} of the access log shows it.\n")).unwrap_or_default();
    format!("{}\n\n{}\n\n{record}{} UTC, alert {}\n", alert.title, alert.text, alert.time.replace('T', " "), alert.id)
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA-256 over `SECONDS.BODY`, so that nobody sends an old one again unnoticed.
pub(super) fn signature(key: &hmac::Key, seconds: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex(tag.as_ref()))
}

#[cfg(test)]
impl Ways {
    pub(super) fn of_a_test(command: Vec<String>, tries: &'static [Duration]) -> Self {
        Self { all: vec![Way::Command(command)], tries }
    }
}
