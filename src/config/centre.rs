//! `[centre]`: the privacy centre.

use std::path::{Path, PathBuf};

use super::address::HostPort;
use super::read::{parsed, path, secret};
use super::secret::SecretSource;
use crate::document::{Document, Section};

/// The privacy centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Centre {
    /// Where it listens.
    pub address: HostPort,
    /// How people reach it, without a slash at the end: `https://privacy.shop.example`.
    pub url: String,
    /// Certificate and key, as PEM files; without them a proxy before it speaks TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// That proxy says in `X-Forwarded-For` where a request comes from.
    pub forwarded: bool,
    /// Its login at the database, which may do nothing else.
    pub login: String,
    /// That login's password, where the database asks for one.
    pub password: Option<SecretSource>,
    /// The root of its keys: 32 bytes. Receipts are signed with one that is derived from it.
    pub key: SecretSource,
    /// The kind of people who may come, where the policies know several: `public.customers`.
    pub people: Option<String>,
}

impl Centre {
    /// Whether people reach it by TLS, ours or that of a proxy before it.
    pub fn is_secure(&self) -> bool {
        self.url.starts_with("https://")
    }
}

/// `None` where there is no such section, or a fault was noted.
pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, base: &Path) -> Option<Centre> {
    let mut section = section?;
    let place = section.place.clone();
    let address: Option<HostPort> = section.string("address", document).and_then(|text| parsed(&text, document));
    let url = section.string("url", document);
    let certificate = path(&mut section, "tls_cert", base, document);
    let tls_key = path(&mut section, "tls_key", base, document);
    if certificate.is_some() != tls_key.is_some() {
        document.fault(&place, "`tls_cert` and `tls_key` go together");
    }
    let forwarded = section.boolean("forwarded", document).is_some_and(|forwarded| forwarded.value);
    let login = section.string("login", document).map_or_else(|| "pgpurpose_centre".to_owned(), |login| login.value);
    let password = secret(&mut section, "password", base, document);
    let key = secret(&mut section, "key", base, document);
    if key.is_none() {
        document.fault(&place, "`[centre]` needs `key`: `openssl rand -hex 32` makes one, and `file:PATH` names it");
    }
    let people = section.string("people", document).map(|people| people.value);
    let here = || HostPort { host: "127.0.0.1".to_owned(), port: 8432 };
    let address = address.unwrap_or_else(here);
    let secure = certificate.is_some();
    let url = match url {
        None => format!("{}://{address}", if secure { "https" } else { "http" }),
        Some(url) => {
            let text = url.value.trim_end_matches('/').to_owned();
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let plain = host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()));
            if !plain || host.is_some_and(|host| host.contains(['/', '?', '#', '@', '<', '>', '"'])) {
                document
                    .fault(&url.place, "`url` is how people reach it, without a path: `https://privacy.shop.example`");
            }
            if text.starts_with("http://") && !address.is_loopback() {
                document.fault(&url.place, "people would send codes in clear: `url` begins with `https://`");
            }
            text
        }
    };
    if !url.starts_with("https://") && !address.is_loopback() {
        document.fault(
            &place,
            "people would send codes in clear: give `tls_cert` and `tls_key`, or the `url` of a proxy with TLS",
        );
    }
    section.finish(document);
    Some(Centre { address, url, tls: certificate.zip(tls_key), forwarded, login, password, key: key?, people })
}
