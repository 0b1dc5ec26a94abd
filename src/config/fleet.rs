//! Reads `[fleet]`: what a proxy among several says and shares.

use std::num::NonZeroU32;

use super::audit::Audit;
use super::read::word;
use crate::document::{Document, Section};

/// `[fleet]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fleet {
    /// What the proxy calls itself; host and port where it is not given.
    pub name: Option<String>,
    /// Budgets are counted together with the other proxies, in the audit database; of so many proxies in all.
    pub shared: Option<NonZeroU32>,
}

/// Names over it are cut in records.
const LONGEST_NAME: usize = 100;

pub(super) fn read(document: &mut Document, section: Option<Section<'_>>, audit: &Audit) -> Fleet {
    let Some(mut section) = section else { return Fleet::default() };
    let place = section.place.clone();
    let name = section.string("name", document);
    if let Some(name) = name.as_ref().filter(|name| name.value.is_empty() || name.value.len() > LONGEST_NAME) {
        document.fault(&name.place, format!("`name` takes 1 to {LONGEST_NAME} bytes"));
    }
    let words = [("local", false), ("shared", true)];
    let shared = word("budgets", section.string("budgets", document), &words, false, document);
    let proxies = section.integer("proxies", 1..=1000, document);
    if shared && proxies.is_none() {
        document.fault(
            &place,
            "`budgets = \"shared\"` needs `proxies`: how many there are in all, which says what each may spend alone",
        );
    }
    if shared && audit.sinks.postgres.is_none() {
        document
            .fault(&place, "`budgets = \"shared\"` needs `[audit.postgres]`: the counts stand in the audit database");
    }
    section.finish(document);
    let shared = proxies.filter(|_| shared).and_then(|proxies| NonZeroU32::new(proxies.value));
    Fleet { name: name.map(|name| name.value), shared }
}
