//! `[audit]`: the access log.

use std::path::{Path, PathBuf};

use super::address::UpstreamAddress;
use super::place::{HttpUrl, SyslogAddress};
use super::read::{parsed, path, secret, tls, word};
use super::secret::SecretSource;
use super::server::{UpstreamTls, default};
use super::zone::Zone;
use crate::document::Located;
use crate::document::{Document, Section};

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Its folder.
    pub directory: PathBuf,
    /// When a record counts as written.
    pub sync: AuditSync,
    /// The root of the key by which subjects are named in it; `[policy] token_key` where it is not given.
    pub subject_key: Option<SecretSource>,
    /// How actors are named.
    pub actors: ActorsAs,
    /// The private key that signs checkpoints; without it there are none.
    pub signing_key: Option<SecretSource>,
    /// A file outside of the folder that holds the newest checkpoint too; beside the key's file where it is not given.
    pub anchor: Option<PathBuf>,
    /// Records after which a checkpoint is due.
    pub checkpoint_records: u32,
    /// Seconds after which a checkpoint is due.
    pub checkpoint_seconds: u32,
    /// Mebibytes after which another file is begun.
    pub rotate_mb: u32,
    /// Hours after which another file is begun; another day begins one too.
    pub rotate_hours: u32,
    /// Whether closed files are compressed.
    pub compress: bool,
    /// Days after which whole files are destroyed; `None`: never.
    pub retain_days: Option<u32>,
    /// Mebibytes that one login may write in a minute; `None`: as much as the room that is left allows.
    pub max_mb_per_login: Option<u32>,
    /// Whose days count, in reports and in the dates of policies.
    pub time_zone: Zone,
    /// Places beside the files.
    pub sinks: Sinks,
}

/// Places beside the files that take records, each where it is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sinks {
    /// `[audit.stdout]`
    pub stdout: Option<SinkRecords>,
    /// `[audit.syslog]`
    pub syslog: Option<(SyslogAddress, SinkRecords)>,
    /// `[audit.http]`
    pub http: Option<HttpSink>,
    /// `[audit.postgres]`
    pub postgres: Option<PostgresSink>,
}

impl Sinks {
    /// What those that are there are called.
    pub fn names(&self) -> Vec<&'static str> {
        let there = [
            ("stdout", self.stdout.is_some()),
            ("syslog", self.syslog.is_some()),
            ("http", self.http.is_some()),
            ("postgres", self.postgres.is_some()),
        ];
        there.into_iter().filter_map(|(name, is)| is.then_some(name)).collect()
    }
}

/// Which records a place gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkRecords {
    /// All of them.
    All,
    /// Signed checkpoints.
    Checkpoints,
}

/// A server that takes POSTs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSink {
    /// Where it is.
    pub url: HttpUrl,
    /// What goes as `Authorization: Bearer`.
    pub token: Option<SecretSource>,
    /// PEM file of the authorities of its certificate, instead of those of the machine.
    pub tls_ca: Option<PathBuf>,
    /// Which records it gets.
    pub records: SinkRecords,
}

/// The audit database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSink {
    /// Where it is.
    pub address: UpstreamAddress,
    /// Its name.
    pub database: String,
    /// The proxy's login there.
    pub login: String,
    /// Its password, where the database asks for one.
    pub password: Option<SecretSource>,
    /// TLS towards it.
    pub tls: UpstreamTls,
    /// PEM file of the authorities that may have signed its certificate.
    pub tls_ca: Option<PathBuf>,
}

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSync {
    /// When it is on disk.
    Always,
    /// When the kernel has it.
    Written,
}

/// How the log names the application's end users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorsAs {
    /// As they are stated.
    Plain,
    /// By pseudonyms of the key of subjects.
    Pseudonym,
}

impl Audit {
    /// In this folder, with everything else as it is by default.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            sync: AuditSync::Always,
            subject_key: None,
            actors: ActorsAs::Plain,
            signing_key: None,
            anchor: None,
            checkpoint_records: 1000,
            checkpoint_seconds: 60,
            rotate_mb: 64,
            rotate_hours: 24,
            compress: true,
            retain_days: None,
            max_mb_per_login: None,
            time_zone: Zone::default(),
            sinks: Sinks::default(),
        }
    }
}

pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, base: &Path) -> Audit {
    let mut audit = Audit::new(base.join(default::AUDIT));
    let Some(mut section) = section else { return audit };
    if let Some(directory) = path(&mut section, "directory", base, document) {
        audit.directory = directory;
    }
    let words = [("always", AuditSync::Always), ("written", AuditSync::Written)];
    audit.sync = word("sync", section.string("sync", document), &words, AuditSync::Always, document);
    audit.subject_key = secret(&mut section, "subject_key", base, document);
    let forms = [("plain", ActorsAs::Plain), ("pseudonym", ActorsAs::Pseudonym)];
    audit.actors = word("actors", section.string("actors", document), &forms, ActorsAs::Plain, document);
    audit.signing_key = secret(&mut section, "signing_key", base, document);
    audit.anchor = path(&mut section, "anchor", base, document);
    for (key, most, value) in [
        ("checkpoint_records", 1_000_000, &mut audit.checkpoint_records),
        ("checkpoint_seconds", 86_400, &mut audit.checkpoint_seconds),
        ("rotate_mb", 1024, &mut audit.rotate_mb),
        ("rotate_hours", 24, &mut audit.rotate_hours),
    ] {
        if let Some(number) = section.integer(key, 1..=most, document) {
            *value = number.value;
        }
    }
    if let Some(compress) = section.boolean("compress", document) {
        audit.compress = compress.value;
    }
    if let Some(zone) = section.string("time_zone", document).and_then(|text| parsed(&text, document)) {
        audit.time_zone = zone;
    }
    audit.retain_days = section.integer("retain_days", 1..=36_500, document).map(|days| days.value);
    audit.max_mb_per_login = section.integer("max_mb_per_login", 1..=1_000_000, document).map(|most| most.value);
    audit.sinks = Sinks {
        stdout: section.section("stdout", document).map(|mut section| {
            let records = records(&mut section, SinkRecords::All, document);
            section.finish(document);
            records
        }),
        syslog: section.section("syslog", document).and_then(|section| syslog(section, document)),
        http: section.section("http", document).and_then(|section| http(section, base, document)),
        postgres: section.section("postgres", document).and_then(|section| postgres(section, base, document)),
    };
    section.finish(document);
    audit
}

fn records(section: &mut Section<'_>, otherwise: SinkRecords, document: &mut Document) -> SinkRecords {
    let words = [("all", SinkRecords::All), ("checkpoints", SinkRecords::Checkpoints)];
    word("records", section.string("records", document), &words, otherwise, document)
}

/// A text without which the section means nothing.
fn needed(section: &mut Section<'_>, key: &'static str, document: &mut Document) -> Option<Located<String>> {
    let text = section.string(key, document);
    if text.is_none() {
        let message = format!("`[{}]` needs `{key}`", section.name());
        document.fault(&section.place.clone(), message);
    }
    text
}

fn syslog(mut section: Section<'_>, document: &mut Document) -> Option<(SyslogAddress, SinkRecords)> {
    let address = needed(&mut section, "address", document).and_then(|text| parsed(&text, document));
    let records = records(&mut section, SinkRecords::All, document);
    section.finish(document);
    Some((address?, records))
}

fn http(mut section: Section<'_>, base: &Path, document: &mut Document) -> Option<HttpSink> {
    let url = needed(&mut section, "url", document);
    let place = url.as_ref().map_or_else(|| section.place.clone(), |url| url.place.clone());
    let url: Option<HttpUrl> = url.and_then(|text| parsed(&text, document));
    let token = secret(&mut section, "token", base, document);
    if token.is_some() && url.as_ref().is_some_and(|url| !url.tls && !url.address.is_loopback()) {
        document.fault(&place, "a token would go over the network in clear: write `https://`".to_owned());
    }
    let tls_ca = path(&mut section, "tls_ca", base, document);
    let records = records(&mut section, SinkRecords::Checkpoints, document);
    section.finish(document);
    Some(HttpSink { url: url?, token, tls_ca, records })
}

fn postgres(mut section: Section<'_>, base: &Path, document: &mut Document) -> Option<PostgresSink> {
    let address = needed(&mut section, "address", document).and_then(|text| parsed(&text, document));
    let database = needed(&mut section, "database", document);
    let login = needed(&mut section, "login", document);
    let password = secret(&mut section, "password", base, document);
    let tls = tls(&mut section, document);
    let tls_ca = path(&mut section, "tls_ca", base, document);
    section.finish(document);
    Some(PostgresSink { address: address?, database: database?.value, login: login?.value, password, tls, tls_ca })
}
