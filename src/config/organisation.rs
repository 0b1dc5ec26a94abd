//! Reads `[organisation]`: what papers say about the responsible party and no policy can know.

use std::collections::BTreeMap;

use crate::document::{Document, Section};

/// The responsible party in its own words, for the papers (`pgpurpose document`). Nothing here decides anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Organisation {
    said: BTreeMap<&'static str, Vec<String>>,
}

impl Organisation {
    /// The keys, in the order in which papers use them. Each is a text or a list of texts.
    pub const KEYS: [&'static str; 18] = [
        "name",
        "registration",
        "head",
        "information_officer",
        "deputy_information_officer",
        "street_address",
        "postal_address",
        "telephone",
        "email",
        "website",
        "data_subjects",
        "automatic_records",
        "records_by_law",
        "security",
        "sources",
        "mandatory",
        "consequences",
        "laws",
    ];

    /// What is said under a key; `None` where nothing is.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        self.said.get(key).map(Vec::as_slice)
    }
}

pub(super) fn read(document: &mut Document, section: Option<Section<'_>>) -> Organisation {
    let mut organisation = Organisation::default();
    let Some(mut section) = section else { return organisation };
    for key in Organisation::KEYS {
        let Some(node) = section.take(key) else { continue };
        let texts = node.one_or_more(document);
        for text in texts.iter().filter(|text| text.value.trim().is_empty()) {
            document.fault(&text.place, format!("`{key}` is empty: leave it out, and papers mark the gap"));
        }
        organisation.said.insert(key, texts.into_iter().map(|text| text.value).collect());
    }
    section.finish(document);
    organisation
}
