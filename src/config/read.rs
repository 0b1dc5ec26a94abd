//! Reads a configuration file: every fault is told, with file and line.

#[cfg(test)]
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::secret::SecretSource;
use super::server::{Config, Listen, Mode, Policy, PolicyBundle, ServerTls, Upstream, UpstreamTls, default, pattern};
use super::{admin, alerts, audit, auth, centre, fleet, mail, organisation, requests, telemetry};
use crate::document::{Document, Section, alike, quoted};
use crate::document::{Fault, Located, Place};

impl Config {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// Every fault that was found, not only the first.
    pub fn load(file: &Path) -> Result<Self, Vec<Fault>> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| vec![Fault::error(&Place::file(&name), format!("cannot be read: {error}"))])?;
        Self::from_text(&name, &text, file.parent().unwrap_or(Path::new("")))
    }

    /// The same from a text; relative paths in it begin at `base`.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn from_text(file: &str, text: &str, base: &Path) -> Result<Self, Vec<Fault>> {
        let (config, faults) = Document::read(file, text, |document, top| read(document, top, base));
        match config.flatten() {
            Some(config) if faults.is_empty() => Ok(config),
            Some(_) => Err(faults),
            None if faults.is_empty() => Err(vec![Fault::error(&Place::file(file), "cannot be used")]),
            None => Err(faults),
        }
    }
}

/// Every key that a section may have, as the reader itself asks for it when it reads this text: `upstream`, `logins`, and the empty name
/// for the top.
#[cfg(test)]
fn keys_asked_for(text: &str) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut asked = BTreeMap::new();
    Document::read("every.toml", text, |document, top| {
        let _ = read(document, top, Path::new(""));
        asked = document.asked().map(|(kind, keys)| (kind.to_owned(), keys.into_iter().collect())).collect();
    });
    asked
}

/// `None` only where a fault was noted.
fn read(document: &mut Document, mut top: Section<'_>, base: &Path) -> Option<Config> {
    let section = top.section("listen", document);
    let listen = listen(document, section, base);
    let upstream = top.section("upstream", document);
    if upstream.is_none() {
        document.fault(&top.place.clone(), "`[upstream]` is missing: it says where the database is");
    }
    let upstream = upstream.and_then(|section| upstream_of(document, section, base));
    let section = top.section("auth", document);
    let auth = auth::read(document, section, &top.place.clone(), upstream.as_ref(), listen.tls.as_ref());
    let sections = top.sections("logins", document);
    let method = auth.as_ref().map(|auth| auth.method);
    let logins = auth::logins(document, sections, method, upstream.as_ref(), &top.place.clone(), base);
    let policy = top.section("policy", document);
    if policy.is_none() {
        document.fault(&top.place.clone(), "`[policy]` is missing: it says which policies are in force");
    }
    let policy = policy.and_then(|section| policy_of(document, section, base));
    let section = top.section("audit", document);
    let audit = audit::read(document, section, base);
    let section = top.section("admin", document);
    let admin = admin::read(document, section, &listen, base);
    let section = top.section("organisation", document);
    let organisation = organisation::read(document, section);
    let section = top.section("fleet", document);
    let fleet = fleet::read(document, section, &audit);
    let section = top.section("requests", document);
    let requests = requests::read(document, section);
    let section = top.section("centre", document);
    let centre = centre::read(document, section, base);
    let section = top.section("alerts", document);
    let alerts = alerts::read(document, section, base);
    let section = top.section("mail", document);
    let mail = mail::read(document, section, base);
    let section = top.section("telemetry", document);
    let telemetry = telemetry::read(document, section, base);
    top.finish(document);
    Some(Config {
        listen,
        upstream: upstream?,
        auth: auth?,
        logins,
        policy: policy?,
        audit,
        admin,
        organisation,
        fleet,
        requests,
        alerts,
        mail,
        centre,
        telemetry,
    })
}

/// Reads a text as a value whose error says what is wrong.
pub(super) fn parsed<T: std::str::FromStr<Err = String>>(text: &Located<String>, document: &mut Document) -> Option<T> {
    match text.value.parse() {
        Ok(value) => Some(value),
        Err(message) => {
            document.fault(&text.place, message);
            None
        }
    }
}

/// Reads one of a few words.
pub(super) fn word<T: Copy>(
    key: &str,
    text: Option<Located<String>>,
    words: &[(&str, T)],
    otherwise: T,
    document: &mut Document,
) -> T {
    let Some(text) = text else { return otherwise };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
        return *value;
    }
    let known = quoted(words.iter().map(|(word, _)| *word));
    let message = match words.iter().find(|(word, _)| alike(word, &text.value)) {
        Some((near, _)) => format!("`{key}` is one of {known}: did you mean `{near}`?"),
        None => format!("`{key}` is one of {known}, and not `{}`", text.value),
    };
    document.fault(&text.place, message);
    otherwise
}

pub(super) fn path(
    section: &mut Section<'_>,
    key: &'static str,
    base: &Path,
    document: &mut Document,
) -> Option<PathBuf> {
    let text = section.string(key, document)?;
    if text.value.is_empty() {
        document.fault(&text.place, format!("`{key}` is empty"));
        return None;
    }
    Some(base.join(text.value))
}

pub(super) fn secret(
    section: &mut Section<'_>,
    key: &'static str,
    base: &Path,
    document: &mut Document,
) -> Option<SecretSource> {
    let text = section.string(key, document)?;
    match SecretSource::parse(&text.value, base) {
        Ok(source) => Some(source),
        Err(message) => {
            document.fault(&text.place, format!("`{key}`: {message}"));
            None
        }
    }
}

/// One address or a list of them.
fn addresses<T: std::str::FromStr<Err = String>>(section: &mut Section<'_>, document: &mut Document) -> Option<Vec<T>> {
    let node = section.take("address")?;
    let place = node.place.clone();
    let texts = node.one_or_more(document);
    if texts.is_empty() {
        document.fault(&place, "`address` names nothing");
    }
    Some(texts.iter().filter_map(|text| parsed(text, document)).collect())
}

fn listen(document: &mut Document, section: Option<Section<'_>>, base: &Path) -> Listen {
    let mut listen = Listen::default();
    let Some(mut section) = section else { return listen };
    if let Some(addresses) = addresses(&mut section, document) {
        listen.addresses = addresses;
    }
    let certificate = path(&mut section, "tls_cert", base, document);
    let key = path(&mut section, "tls_key", base, document);
    let client_ca = path(&mut section, "tls_client_ca", base, document);
    let require = section.boolean("require_tls", document);
    if certificate.is_some() != key.is_some() {
        document.fault(&section.place, "`tls_cert` and `tls_key` go together");
    }
    if client_ca.is_some() && certificate.is_none() {
        document.fault(&section.place, "`tls_client_ca` needs `tls_cert` and `tls_key`");
    }
    if let Some(require) = require {
        listen.require_tls = require.value;
        if require.value && certificate.is_none() {
            document.fault(&require.place, "`require_tls` needs `tls_cert` and `tls_key`");
        }
    }
    listen.tls = certificate.zip(key).map(|(certificate, key)| ServerTls { certificate, key, client_ca });
    if let Some(max) = section.integer("max_connections", 1..=1_000_000, document) {
        listen.max_connections = max.value;
    }
    let most = |max: Located<u32>| max.value;
    listen.max_connections_per_login = section.integer("max_connections_per_login", 1..=1_000_000, document).map(most);
    listen.max_connections_per_address =
        section.integer("max_connections_per_address", 1..=1_000_000, document).map(most);
    if let Some(seconds) = section.integer("drain_seconds", 0..=86_400, document) {
        listen.drain_seconds = seconds.value;
    }
    if let Some(seconds) = section.integer("drain_notice_seconds", 0..=3_600, document) {
        listen.drain_notice_seconds = seconds.value;
    }
    section.finish(document);
    listen
}

/// How a database is reached, as `tls` says; in plain where it says nothing.
pub(super) fn tls(section: &mut Section<'_>, document: &mut Document) -> UpstreamTls {
    let words = [
        ("disable", UpstreamTls::Disable),
        ("prefer", UpstreamTls::Prefer),
        ("require", UpstreamTls::Require),
        ("verify-full", UpstreamTls::VerifyFull),
    ];
    word("tls", section.string("tls", document), &words, UpstreamTls::Disable, document)
}

fn upstream_of(document: &mut Document, mut section: Section<'_>, base: &Path) -> Option<Upstream> {
    let addresses = addresses(&mut section, document);
    if addresses.is_none() {
        document.fault(&section.place, "`[upstream]` needs an `address`");
    }
    let tls = tls(&mut section, document);
    let tls_ca = path(&mut section, "tls_ca", base, document);
    let certificate = path(&mut section, "tls_cert", base, document);
    let key = path(&mut section, "tls_key", base, document);
    if certificate.is_some() != key.is_some() {
        document.fault(&section.place, "`tls_cert` and `tls_key` go together");
    }
    if tls == UpstreamTls::Disable && certificate.is_some() {
        document.fault(&section.place, "`tls_cert` needs `tls`: `prefer`, `require` or `verify-full`");
    }
    let database = section.string("database", document);
    if let Some(database) = database.as_ref().filter(|database| database.value.is_empty()) {
        document.fault(&database.place, "`database` is empty");
    }
    let pooler = section.boolean("pooler", document).is_some_and(|pooler| pooler.value);
    let read_only = section.boolean("read_only", document).is_some_and(|read_only| read_only.value);
    let login = section.string("catalog_login", document);
    let catalog_password = secret(&mut section, "catalog_password", base, document);
    if let Some(login) = login.as_ref().filter(|login| login.value.is_empty()) {
        document.fault(&login.place, "`catalog_login` is empty");
    }
    section.finish(document);
    let catalog_login = login.map_or_else(|| default::CATALOG_LOGIN.to_owned(), |login| login.value);
    Some(Upstream {
        addresses: addresses?,
        tls,
        tls_ca,
        tls_identity: certificate.zip(key),
        database: database.map(|database| database.value),
        pooler,
        read_only,
        catalog_login,
        catalog_password,
    })
}

fn bundle_of(document: &mut Document, section: &mut Section<'_>, base: &Path) -> Option<PolicyBundle> {
    let place = section.place.clone();
    let file = path(section, "bundle", base, document);
    let keys = section.take("verify_key").map(|node| node.one_or_more(document)).unwrap_or_default();
    let is_key = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let keys: Vec<String> = keys
        .into_iter()
        .map(|text| if is_key(&text.value) { text.value } else { base.join(text.value).display().to_string() })
        .collect();
    match (&file, keys.is_empty()) {
        (Some(_), true) => {
            document.fault(&place, "`bundle` needs `verify_key`: the public half of the key that signs bundles");
            None
        }
        (None, false) => {
            document.fault(&place, "`verify_key` is of a `bundle`, and none is named");
            None
        }
        (file, _) => file.clone().map(|file| PolicyBundle { file, keys }),
    }
}

fn policy_of(document: &mut Document, mut section: Section<'_>, base: &Path) -> Option<Policy> {
    let files = section.take("files");
    let place = files.as_ref().map_or(section.place.clone(), |node| node.place.clone());
    let files: Vec<String> =
        files.map(|node| node.one_or_more(document)).unwrap_or_default().into_iter().map(|text| text.value).collect();
    let bundle = bundle_of(document, &mut section, base);
    match (&bundle, files.is_empty()) {
        (None, true) => document.fault(&place, "`files` names no policy file"),
        (Some(_), false) => document.fault(&place, "policies come from `files` or from a `bundle`, not from both"),
        (None, false) | (Some(_), true) => {}
    }
    let words = [("enforce", Mode::Enforce), ("observe", Mode::Observe)];
    let mode = word("mode", section.string("mode", document), &words, Mode::Enforce, document);
    let token_key = secret(&mut section, "token_key", base, document);
    let memory = section.integer("decision_memory", 0..=65_536, document);
    let mask_notices = section.boolean("mask_notices", document).is_none_or(|tells| tells.value);
    section.finish(document);
    let decision_memory = memory.map_or(default::DECISION_MEMORY, |memory| memory.value);
    let files_of = files.iter().map(|file| pattern(base, file)).collect();
    let policy = Policy { files: files_of, bundle, mode, token_key, decision_memory, mask_notices };
    if !files.is_empty()
        && let Err(message) = policy.matching()
    {
        document.fault(&place, message);
    }
    Some(policy)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::keys_asked_for;

    /// A configuration with every section once.
    const EVERY: &str = r#"
[listen]
[upstream]
address = "127.0.0.1:5432"
[auth]
method = "scram"
[[logins]]
[policy]
[audit]
[audit.stdout]
[audit.http]
[audit.postgres]
[audit.syslog]
[admin]
[[admin.reviewers]]
[[admin.officers]]
[organisation]
[fleet]
[requests]
[centre]
[alerts]
[alerts.webhook]
[mail]
[telemetry]
"#;

    #[test]
    fn every_key_that_the_reader_asks_for_stands_in_the_reference() {
        let page = std::fs::read_to_string("docs/configuration.md").unwrap();
        let asked = keys_asked_for(EVERY);
        let missing: Vec<String> = asked
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(move |key| (section, key)))
            .filter(|(_, key)| {
                !page.contains(&format!("`{key}`"))
                    && !page.contains(&format!("{key}]"))
                    && !page.contains(&format!(".{key}`"))
            })
            .map(|(section, key)| format!("[{section}] {key}"))
            .collect();
        assert!(missing.is_empty(), "docs/configuration.md lacks {missing:#?}");
        assert!(asked.len() >= 10 && asked.values().map(|keys| keys.len()).sum::<usize>() > 60, "{asked:#?}");
    }
}
