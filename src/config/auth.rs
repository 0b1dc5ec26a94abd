//! `[auth]` and `[[logins]]`.

use std::path::Path;

use super::address::UpstreamAddress;
use super::read::{secret, word};
use super::server::{Auth, AuthMethod, ClientCertificate, Limits, Login, ServerTls, Upstream, UpstreamTls};
use super::verifier::Verifier;
use crate::document::{Document, Section};
use crate::document::{Located, Place};

/// Why `relay` is for short ways only.
const RELAY: &str = "`relay` works over a Unix socket or plain TCP to this machine only (`tls = \"disable\"`)";

/// `[auth]`, and that it fits the rest. `None` only where a fault was noted.
pub(super) fn read(
    document: &mut Document,
    section: Option<Section<'_>>,
    top: &Place,
    upstream: Option<&Upstream>,
    tls: Option<&ServerTls>,
) -> Option<Auth> {
    let before = document.faults.len();
    let mut auth = Auth::with(AuthMethod::Passthrough);
    let mut place = top.clone();
    if let Some(mut section) = section {
        let text = section.string("method", document);
        place = text.as_ref().map_or(section.place.clone(), |text| text.place.clone());
        let words =
            [("passthrough", AuthMethod::Passthrough), ("scram", AuthMethod::Scram), ("relay", AuthMethod::Relay)];
        auth.method = word("method", text, &words, AuthMethod::Passthrough, document);
        auth.client_certificate = client_certificate(document, &mut section, tls);
        if let Some(weak) = section.boolean("allow_weak", document) {
            auth.allow_weak = weak.value;
            if weak.value && auth.method != AuthMethod::Relay {
                document.fault(&weak.place, "`allow_weak` is about relayed logins: it needs `method = \"relay\"`");
            }
        }
        auth.limits = limits(document, &mut section);
        section.finish(document);
    }
    if auth.method == AuthMethod::Relay
        && let Some(upstream) = upstream
    {
        relay(document, &place, upstream, auth.allow_weak);
    }
    (document.faults.len() == before).then_some(auth)
}

fn relay(document: &mut Document, place: &Place, upstream: &Upstream, allow_weak: bool) {
    for address in &upstream.addresses {
        let UpstreamAddress::Tcp(tcp) = address else { continue };
        if upstream.tls != UpstreamTls::Disable {
            let why = "over TLS the login is bound to the certificate of the connection (channel binding), and a relayed one \
                       fails: use `passthrough` or `scram`";
            document.fault(place, format!("{RELAY}: {why}"));
            return;
        }
        if !tcp.is_loopback() && !allow_weak {
            document.fault(
                place,
                format!("{RELAY}, and `{tcp}` is another: use `passthrough` or `scram` and TLS towards the database, or, on a network \
                     that nobody else is on, `allow_weak = true`"),
            );
            return;
        }
    }
}

fn client_certificate(
    document: &mut Document,
    section: &mut Section<'_>,
    tls: Option<&ServerTls>,
) -> ClientCertificate {
    let text = section.string("client_certificate", document);
    let place = text.as_ref().map(|text| text.place.clone());
    let full = word("client_certificate", text, &[("verify-ca", false), ("verify-full", true)], false, document);
    if let Some(place) = place
        && tls.is_none_or(|tls| tls.client_ca.is_none())
    {
        document.fault(&place, "`client_certificate` needs `tls_client_ca` under `[listen]`");
    }
    let names = section.section("certificate_names", document);
    if let Some(names) = &names
        && !full
    {
        document.fault(&names.place, "`certificate_names` needs `client_certificate = \"verify-full\"`");
    }
    let names = names.map(|mut names| {
        names
            .rest()
            .into_iter()
            .map(|(name, logins)| {
                (name.value, logins.one_or_more(document).into_iter().map(|login| login.value).collect())
            })
            .collect()
    });
    if full { ClientCertificate::VerifyFull(names.unwrap_or_default()) } else { ClientCertificate::VerifyCa }
}

fn limits(document: &mut Document, section: &mut Section<'_>) -> Limits {
    let usual = Limits::default();
    let mut number = |key, most, usual| section.integer(key, 1..=most, document).map_or(usual, |number| number.value);
    Limits {
        timeout: number("timeout", 600, usual.timeout),
        pending: number("max_pending", 1_000_000, usual.pending),
        pending_per_address: number("max_pending_per_address", 1_000_000, usual.pending_per_address),
        failures_per_login: number("max_failures_per_login", 1_000_000, usual.failures_per_login),
        failures_per_address: number("max_failures_per_address", 1_000_000, usual.failures_per_address),
    }
}

/// `[[logins]]`: each has a name, a verifier and a login of the database that no other has.
pub(super) fn logins(
    document: &mut Document,
    sections: Vec<Section<'_>>,
    method: Option<AuthMethod>,
    upstream: Option<&Upstream>,
    top: &Place,
    base: &Path,
) -> Vec<Login> {
    match (method, sections.first()) {
        (Some(AuthMethod::Scram), None) => {
            document.fault(
                top,
                "`method = \"scram\"` needs `[[logins]]`: `pgpurpose hash-password NAME` prints the entry of a login",
            );
        }
        (Some(AuthMethod::Passthrough | AuthMethod::Relay), Some(section)) => {
            document.fault(&section.place, "`[[logins]]` are for `method = \"scram\"` only");
        }
        (Some(_), _) | (None, _) => {}
    }
    let mut logins: Vec<Login> = Vec::new();
    for mut section in sections {
        let name = section.string("name", document);
        let verifier = section.string("verifier", document);
        let upstream_login = section.string("upstream_login", document);
        let upstream_password = secret(&mut section, "upstream_password", base, document);
        let place = section.place.clone();
        section.finish(document);
        let (Some(name), Some(verifier)) = (name, verifier) else {
            document.fault(&place, "a login needs `name` and `verifier`");
            continue;
        };
        let Some(verifier) = parsed(document, &verifier) else { continue };
        let upstream_login = upstream_login.map_or_else(|| name.value.clone(), |login| login.value);
        if logins.iter().any(|login| login.name == name.value) {
            document.fault(&name.place, format!("login `{}` stands here twice", name.value));
        }
        if upstream.is_some_and(|upstream| upstream.catalog_login == upstream_login) {
            document.fault(
                &place,
                format!(
                    "`{}` has the proxy's own login as `upstream_login`, which may read what no application may: give it one of its own",
                    name.value
                ),
            );
        }
        if let Some(other) = logins.iter().find(|login| login.upstream_login == upstream_login) {
            document.fault(
                &place,
                format!(
                    "`{}` and `{}` have the same `upstream_login`: each needs its own, so that the database's own rights hold",
                    other.name, name.value
                ),
            );
        }
        logins.push(Login { name: name.value, verifier, upstream_login, upstream_password });
    }
    logins
}

fn parsed(document: &mut Document, text: &Located<String>) -> Option<Verifier> {
    match text.value.parse() {
        Ok(verifier) => Some(verifier),
        Err(error) => {
            document.fault(&text.place, format!("`verifier` is {error}"));
            None
        }
    }
}
