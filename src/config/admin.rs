//! `[admin]`: the console, the metrics and the health checks.

use super::address::HostPort;
use super::read::parsed;
use super::server::{Config, Listen, default};
use crate::document::{Document, Section};

/// The console and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; `None`: it does not.
    pub address: Option<HostPort>,
    /// The configuration says so itself: who cannot listen there does not start. Otherwise the address follows from `[listen]`, and
    /// somebody else there is no reason not to serve.
    pub configured: bool,
}

impl Admin {
    /// Where nothing is said: on this machine's loopback address, 3,000 ports above the first on which clients connect (6432: 9432), so
    /// that a second proxy on one host has a second console; none where there is no such port.
    pub(super) fn beside(listen: &Listen) -> Self {
        let port = listen.addresses.first().filter(|first| first.port != 0);
        let port = port.and_then(|first| first.port.checked_add(default::ADMIN_ABOVE));
        let address = port.map(|port| HostPort { host: default::LISTEN.to_owned(), port });
        Self { address, configured: false }
    }
}

impl Config {
    /// Clients connect there instead; the console goes along where its place was not said.
    pub fn listen_at(&mut self, address: HostPort) {
        self.listen.addresses = vec![address];
        if !self.admin.configured {
            self.admin = Admin::beside(&self.listen);
        }
    }
}

/// `address` is `host:port`, or `off`.
pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, listen: &Listen) -> Admin {
    let Some(mut section) = section else { return Admin::beside(listen) };
    let text = section.string("address", document);
    section.finish(document);
    match text {
        None => Admin::beside(listen),
        Some(text) if text.value == "off" => Admin { address: None, configured: true },
        Some(text) => Admin { address: parsed(&text, document), configured: true },
    }
}
