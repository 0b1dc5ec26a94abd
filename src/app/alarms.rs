//! Tells of what no record shows: a log that cannot be written, places that are away, what ends soon, requests that are overdue.

use std::sync::Weak;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use super::database::Database;
use crate::audit::AuditLog;
use crate::audit::ship::Shipping;
use crate::config::{Alerts, Config};
use crate::mail::Mailer;
use crate::policy::PolicySet;
use crate::requests::Shape;
use crate::requests::clock::Standing;
use crate::requests::register::Register;
use crate::server::alerts::{self, Kind, Teller};
use crate::session::Shared;

/// How often is looked.
const OFTEN: Duration = Duration::from_secs(2);
/// A sync that has not returned for so long is told.
const SYNC: Duration = Duration::from_secs(5);
/// A place beside the log that is away for so long is told.
const AWAY: i64 = 60;

/// Begins; the place that evaluates records stands among the others.
///
/// # Errors
/// A way cannot be used, a list cannot be read, or a thread cannot be started.
pub(super) fn start(config: &Config, log: &AuditLog) -> Result<Option<(Shipping, Teller)>, String> {
    let Some(wanted) = &config.alerts else { return Ok(None) };
    let mailer = config.mail.as_ref().map(Mailer::new).transpose()?;
    let key = super::policies::subject_key(config)?;
    let zone = &config.audit.time_zone;
    alerts::start(wanted, log, zone, mailer, key.as_ref()).map(Some)
}

/// What is looked at.
pub(super) struct Look {
    pub(super) teller: Teller,
    pub(super) config: Alerts,
    pub(super) shared: Weak<Shared>,
    pub(super) log: AuditLog,
    pub(super) sinks: Vec<Shipping>,
    pub(super) database: Database,
}

impl Look {
    /// Looks until the proxy is gone.
    pub(super) async fn run(self) {
        let (mut day, mut away) = (None::<Date>, None::<Timestamp>);
        while let Some(shared) = self.shared.upgrade() {
            let now = Timestamp::now();
            self.log_trouble();
            away = self.places(now, away);
            let policies = shared.policies.load_full();
            drop(shared);
            let today = policies.zone().today();
            if day != Some(today) {
                day = Some(today);
                for (about, title) in ending(&policies, today, self.config.expiry_days) {
                    self.teller.tell(Kind::Expiring, &about, &title);
                }
                self.overdue(today).await;
            }
            self.teller.tick();
            tokio::time::sleep(OFTEN).await;
        }
    }

    fn log_trouble(&self) {
        let status = self.log.status();
        if let Some(trouble) = status.trouble {
            self.teller.tell(
                Kind::Log,
                "unwritable",
                &format!("the access log cannot be written, and statements are refused: {trouble}"),
            );
        }
        if status.syncing >= SYNC {
            let title = format!("a sync of the access log has not returned for {} seconds", status.syncing.as_secs());
            self.teller.tell(Kind::Log, "sync", &title);
        }
        if status.low {
            self.teller.tell(Kind::Log, "space", "the access log's disk is nearly full");
        }
    }

    /// Since when a place has been away.
    fn places(&self, now: Timestamp, since: Option<Timestamp>) -> Option<Timestamp> {
        let away: Vec<&str> = self
            .sinks
            .iter()
            .map(Shipping::status)
            .filter(|sink| sink.trouble.is_some())
            .map(|sink| sink.name)
            .collect();
        if away.is_empty() {
            return None;
        }
        let since = since.unwrap_or(now);
        if now.duration_since(since).as_secs() >= AWAY {
            self.teller.tell(Kind::Log, "places", &format!("records of the access log wait for: {}", away.join(", ")));
        }
        Some(since)
    }

    /// Requests past the law's last day, where the database has their register.
    async fn overdue(&self, today: Date) {
        let late = async {
            let client = self.database.client().await.ok()?;
            let shape = Shape::read(&client).await.ok()?;
            let open = Register::of(&shape).ok()?.open_ones(&client).await.ok()?;
            Some(open.into_iter().filter(|request| matches!(request.deadline.on(today), Standing::Late(_))).count())
        };
        // A login that may not read the register is told by `pgpurpose subject due`.
        if let Some(late @ 1..) = late.await {
            let title = format!("requests of data subjects past their last day: {late}");
            self.teller.tell(Kind::Overdue, "requests", &title);
        }
    }
}

/// Purposes and contracts that end within so many days, or have ended.
fn ending(policies: &PolicySet, today: Date, days: u32) -> Vec<(String, String)> {
    let soon = |day: Date| (day - today).get_days() <= i32::try_from(days).unwrap_or(i32::MAX);
    let on = |day: Date| if day < today { format!("ended on {day}") } else { format!("ends after {day}") };
    let purposes = policies.purposes().filter_map(|purpose| {
        let day = purpose.expires.filter(|day| soon(*day))?;
        Some((format!("purpose {} {day}", purpose.name), format!("purpose {} {}", purpose.name, on(day))))
    });
    let contracts = policies.roles().filter_map(|role| {
        let day = role.operator_expires.filter(|day| soon(*day))?;
        Some((format!("contract {} {day}", role.name), format!("the contract with {} {}", role.recipient, on(day))))
    });
    purposes.chain(contracts).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_within_the_days_is_told_with_its_day() {
        let policy = "version = 1\n[purposes.a]\nbasis = \"contract\"\nexpires = 2026-12-10\n[purposes.b]\nbasis = \"contract\"\n\
            expires = 2027-06-30\n[roles.r]\nlogins = [\"r\"]\npurposes = [\"a\", \"b\"]\nrecipient = \"Courier\"\n\
            operator_contract = \"x\"\noperator_expires = 2026-11-01\n";
        let policies = PolicySet::from_sources(&[("test.toml".into(), policy.into())]).unwrap();
        let told = |days| -> Vec<String> {
            ending(&policies, jiff::civil::date(2026, 11, 30), days).into_iter().map(|(_, title)| title).collect()
        };
        assert_eq!(told(14), ["purpose a ends after 2026-12-10", "the contract with Courier ended on 2026-11-01"]);
        assert_eq!(told(3), ["the contract with Courier ended on 2026-11-01"]);
    }
}
