//! `[alerts]`: whom to tell of what happens, and of what.

use std::path::{Path, PathBuf};

use super::place::{HttpUrl, SyslogAddress};
use super::read::{parsed, path, secret};
use super::secret::SecretSource;
use crate::document::{Document, Section};

/// Whom to tell, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// Addresses of e-mail; `[mail]` says how it leaves.
    pub email: Vec<String>,
    /// A server that takes POSTs.
    pub webhook: Option<Webhook>,
    /// A syslog server.
    pub syslog: Option<SyslogAddress>,
    /// A program and its arguments, to whose standard input the alert goes as JSON.
    pub command: Option<Vec<String>>,
    /// More refusals of one login, or one of its actors, in a minute.
    pub refusals_per_minute: u32,
    /// What happened once is not told again for so many minutes, but counted.
    pub fold_minutes: u32,
    /// The first look at one of these people is told, each day and for each who looks; one line each, as the log names them or as the
    /// database writes their keys.
    pub protected: Option<PathBuf>,
    /// More of them seen by one in a day.
    pub protected_per_day: u32,
    /// Nobody ever has a reason to see these; in the same form.
    pub canaries: Option<PathBuf>,
    /// Purposes and contracts that end within so many days.
    pub expiry_days: u32,
}

/// A server that takes signed POSTs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub url: HttpUrl,
    /// The key of the signatures: any text, shared with whoever checks them.
    pub key: SecretSource,
    /// PEM file of the authorities of its certificate, instead of those of the machine.
    pub tls_ca: Option<PathBuf>,
}

/// `None` where there is no such section, or a fault was noted.
pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, base: &Path) -> Option<Alerts> {
    let mut section = section?;
    let email = section.take("email").map(|node| node.one_or_more(document)).unwrap_or_default();
    let syslog = section.string("syslog", document).and_then(|text| parsed(&text, document));
    let command: Option<Vec<String>> =
        section.take("command").map(|node| node.strings(document).into_iter().map(|part| part.value).collect());
    let webhook = section.section("webhook", document).and_then(|section| webhook(document, section, base));
    let mut number =
        |key, range, otherwise| section.integer(key, range, document).map_or(otherwise, |number| number.value);
    let refusals_per_minute = number("refusals_per_minute", 1..=1_000_000, 30);
    let fold_minutes = number("fold_minutes", 1..=10_080, 60);
    let protected_per_day = number("protected_per_day", 1..=1_000_000, 3);
    let expiry_days = number("expiry_days", 0..=366, 14);
    let protected = path(&mut section, "protected", base, document);
    let canaries = path(&mut section, "canaries", base, document);
    let place = section.place.clone();
    if email.is_empty() && webhook.is_none() && syslog.is_none() && command.is_none() {
        document.fault(&place, "`[alerts]` says no way: `email`, `[alerts.webhook]`, `syslog` or `command`");
    }
    if command.as_ref().is_some_and(|parts| parts.first().is_none_or(String::is_empty)) {
        document.fault(&place, "`command` is a program and its arguments: `[\"/usr/local/bin/page\"]`");
    }
    section.finish(document);
    Some(Alerts {
        email: email.into_iter().map(|address| address.value).collect(),
        webhook,
        syslog,
        command,
        refusals_per_minute,
        fold_minutes,
        protected,
        protected_per_day,
        canaries,
        expiry_days,
    })
}

fn webhook(document: &mut Document, mut section: Section<'_>, base: &Path) -> Option<Webhook> {
    let url = section.string("url", document).and_then(|text| parsed(&text, document));
    let key = secret(&mut section, "key", base, document);
    let tls_ca = path(&mut section, "tls_ca", base, document);
    let place = section.place.clone();
    if url.is_none() || key.is_none() {
        document.fault(&place, "`[alerts.webhook]` needs `url` and `key`: what is not signed anybody can send");
    }
    section.finish(document);
    Some(Webhook { url: url?, key: key?, tls_ca })
}
