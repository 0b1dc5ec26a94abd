//! `[admin]`: metrics, health, and the console with the people who may look at it.

use std::path::{Path, PathBuf};

use super::address::HostPort;
use super::read::{parsed, path, secret};
use super::secret::SecretSource;
use super::server::{Config, Listen, ServerTls, default};
use super::verifier::Verifier;
use crate::document::{Document, Located, Section};

/// The console and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; `None`: it does not.
    pub address: Option<HostPort>,
    /// The configuration says so itself: who cannot listen there does not start. Otherwise the address follows from `[listen]`, and
    /// somebody else there is no reason not to serve.
    pub configured: bool,
    /// How people reach it where that is by a name, without a slash at the end: `https://audit.shop.example`.
    pub url: Option<String>,
    /// Certificate and key; with authorities, people may show a certificate of their own.
    pub tls: Option<ServerTls>,
    /// Who may look.
    pub people: Vec<Person>,
    /// Opens the console to whoever has it, on this machine alone.
    pub token: Option<SecretSource>,
    /// Folders of other proxies' logs that the console is about too.
    pub logs: Vec<PathBuf>,
    /// The audit database whose logs it is about too: a URI of PostgreSQL's without a password, or where it stands.
    pub audit_db: Option<String>,
}

/// Somebody who may look at the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// As the access log names them.
    pub name: String,
    /// What they may do.
    pub standing: Standing,
    /// What a password is checked with.
    pub verifier: Option<Verifier>,
    /// The common name of a certificate that is as good.
    pub certificate: Option<String>,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Looks, and judges what was found.
    Reviewer,
    /// And begins and closes campaigns, and signs for auditors.
    Officer,
}

impl Standing {
    /// As records and pages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reviewer => "reviewer",
            Self::Officer => "officer",
        }
    }
}

impl Admin {
    /// Metrics and health there, and nobody who may look at the console.
    pub fn at(address: Option<HostPort>, configured: bool) -> Self {
        Self {
            address,
            configured,
            url: None,
            tls: None,
            people: Vec::new(),
            token: None,
            logs: Vec::new(),
            audit_db: None,
        }
    }

    /// Where nothing is said: on this machine's loopback address, 3,000 ports above the first on which clients connect (6432: 9432), so
    /// that a second proxy on one host has a second console; none where there is no such port.
    pub(super) fn beside(listen: &Listen) -> Self {
        let port = listen.addresses.first().filter(|first| first.port != 0);
        let port = port.and_then(|first| first.port.checked_add(default::ADMIN_ABOVE));
        Self::at(port.map(|port| HostPort { host: default::LISTEN.to_owned(), port }), false)
    }

    /// Whether anybody may look at the console.
    pub fn has_console(&self) -> bool {
        !self.people.is_empty() || self.token.is_some()
    }
}

impl Config {
    /// Clients connect there instead; the console goes along where its place was not said.
    pub fn listen_at(&mut self, address: HostPort) {
        self.listen.addresses = vec![address];
        if !self.admin.configured {
            self.admin.address = Admin::beside(&self.listen).address;
        }
    }
}

/// `address` is `host:port`, or `off`.
pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, listen: &Listen, base: &Path) -> Admin {
    let Some(mut section) = section else { return Admin::beside(listen) };
    let place = section.place.clone();
    let Admin { address, configured, .. } = match section.string("address", document) {
        None => Admin::beside(listen),
        Some(text) if text.value == "off" => Admin::at(None, true),
        Some(text) => Admin::at(parsed(&text, document), true),
    };
    let url = section.string("url", document);
    let certificate = path(&mut section, "tls_cert", base, document);
    let key = path(&mut section, "tls_key", base, document);
    let client_ca = path(&mut section, "tls_client_ca", base, document);
    if certificate.is_some() != key.is_some() {
        document.fault(&place, "`tls_cert` and `tls_key` go together");
    }
    let tls =
        certificate.zip(key).map(|(certificate, key)| ServerTls { certificate, key, client_ca: client_ca.clone() });
    if client_ca.is_some() && tls.is_none() {
        document.fault(&place, "`tls_client_ca` needs `tls_cert` and `tls_key`");
    }
    let token = secret(&mut section, "token", base, document);
    let mut people = Vec::new();
    for (name, standing) in [("reviewers", Standing::Reviewer), ("officers", Standing::Officer)] {
        for person in section.sections(name, document) {
            people.extend(one(document, person, standing, client_ca.is_some(), &people));
        }
    }
    let url = url.map(|url| {
        let text = url.value.trim_end_matches('/').to_owned();
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':'))
        };
        if !host.is_some_and(plain) {
            document.fault(
                &url.place,
                "`url` is how people reach the console, without a path: `https://audit.shop.example`",
            );
        }
        text
    });
    let elsewhere = address.as_ref().filter(|address| !address.is_loopback());
    if let (Some(address), None, false) = (elsewhere, &tls, people.is_empty()) {
        document.fault(
            &place,
            format!("people would send passwords to `{address}` in clear: give `tls_cert` and `tls_key`"),
        );
    }
    if let (Some(address), true) = (elsewhere, token.is_some()) {
        document.fault(&place, format!("`token` is for this machine alone, and `{address}` is another"));
    }
    let logs = section.strings("logs", document).into_iter().map(|folder| base.join(folder.value)).collect();
    let audit_db = section.string("audit_db", document).and_then(|text| whole(text, document));
    section.finish(document);
    Admin { address, configured, url, tls, people, token, logs, audit_db }
}

/// A password stands in no configuration.
fn whole(text: Located<String>, document: &mut Document) -> Option<String> {
    let is_elsewhere = text.value.starts_with("env:") || text.value.starts_with("file:");
    let (_, rest) = text.value.split_once("://").unwrap_or_default();
    let login = rest.split(['/', '?']).next().and_then(|host| host.rsplit_once('@')).map_or("", |(login, _)| login);
    if !is_elsewhere && (rest.is_empty() || login.contains(':') || rest.contains("password=")) {
        let says = "`audit_db` is `postgresql://login@host:port/database` without a password, or `env:NAME` or `file:PATH` of such a line";
        document.fault(&text.place, says);
        return None;
    }
    Some(text.value)
}

fn one(
    document: &mut Document,
    mut section: Section<'_>,
    standing: Standing,
    certificates: bool,
    others: &[Person],
) -> Option<Person> {
    let place = section.place.clone();
    let name = section.string("name", document);
    let verifier = section.string("verifier", document);
    let certificate = section.string("certificate", document);
    section.finish(document);
    let Some(name) = name.filter(|name| !name.value.trim().is_empty()) else {
        document.fault(&place, "whoever may look has a `name`");
        return None;
    };
    if others.iter().any(|other| other.name == name.value) {
        document.fault(&name.place, format!("`{}` stands here twice", name.value));
    }
    if verifier.is_none() && certificate.is_none() {
        document.fault(
            &place,
            format!("`{}` needs a `verifier`, which `pgpurpose hash-password` prints, or a `certificate`", name.value),
        );
    }
    if let Some(certificate) = certificate.as_ref().filter(|_| !certificates) {
        document.fault(&certificate.place, "`certificate` needs `tls_client_ca` under `[admin]`");
    }
    let verifier = verifier.and_then(|text| match text.value.parse() {
        Ok(verifier) => Some(verifier),
        Err(error) => {
            document.fault(&text.place, format!("`verifier` is {error}"));
            None
        }
    });
    let certificate = certificate.map(|certificate| certificate.value);
    Some(Person { name: name.value, standing, verifier, certificate })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const REST: &str = "[upstream]\naddress = \"127.0.0.1:5432\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"policies/shop.toml\"]\n";
    const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn read(admin: &str) -> Result<Admin, String> {
        let text = format!("[admin]\n{}\n{REST}", admin.replace("VERIFIER", VERIFIER));
        let read = Config::from_text("test.toml", &text, Path::new(env!("CARGO_MANIFEST_DIR")));
        read.map(|config| config.admin).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn whoever_may_look_has_a_name_and_something_to_show_and_shows_it_to_nobody_between() {
        let person = "[[admin.reviewers]]\nname = \"thandi\"\nverifier = \"VERIFIER\"\n";
        let admin = read(&format!("{person}[[admin.officers]]\nname = \"nomsa\"\nverifier = \"VERIFIER\"")).unwrap();
        let told: Vec<(&str, &str)> =
            admin.people.iter().map(|person| (person.name.as_str(), person.standing.name())).collect();
        assert_eq!(told, [("thandi", "reviewer"), ("nomsa", "officer")]);
        assert!(admin.has_console() && !read("").unwrap().has_console());
        let elsewhere = "address = \"0.0.0.0:9432\"\n";
        for (wrong, says) in [
            (format!("{elsewhere}{person}"), "in clear"),
            (format!("{elsewhere}token = \"file:token\""), "this machine alone"),
            ("[[admin.reviewers]]\nname = \"thandi\"".to_owned(), "needs a `verifier`"),
            ("[[admin.reviewers]]\nverifier = \"VERIFIER\"".to_owned(), "has a `name`"),
            ("[[admin.reviewers]]\nname = \"a\"\nverifier = \"x\"".to_owned(), "`verifier` is"),
            ("[[admin.officers]]\nname = \"a\"\ncertificate = \"a\"".to_owned(), "`tls_client_ca`"),
            (format!("{person}{}", person.replace("reviewers", "officers")), "twice"),
            ("tls_cert = \"a.crt\"".to_owned(), "go together"),
            ("url = \"https://audit.example/x\"".to_owned(), "without a path"),
            ("audit_db = \"postgresql://ann:secret@db/audit\"".to_owned(), "without a password"),
            ("audit_db = \"postgresql://ann@db/audit?password=secret\"".to_owned(), "without a password"),
            ("audit_db = \"audit\"".to_owned(), "`audit_db` is"),
            ("logs = \"elsewhere\"".to_owned(), "list"),
        ] {
            let told = read(&wrong).unwrap_err();
            assert!(told.contains(says) && !told.contains("secret"), "{wrong}: {told}");
        }
        for place in ["postgresql://ann@db/audit", "env:AUDIT_DB", "file:audit.uri"] {
            let admin = read(&format!("logs = [\"../edge-2/audit\"]\naudit_db = \"{place}\"\n{person}")).unwrap();
            assert!(admin.logs.len() == 1 && admin.audit_db.as_deref() == Some(place), "{admin:?}");
        }
        let tls = "tls_cert = \"a.crt\"\ntls_key = \"a.key\"\n";
        assert!(read(&format!("{elsewhere}{tls}{person}")).is_ok());
    }
}
