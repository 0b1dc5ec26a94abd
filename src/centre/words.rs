//! The texts of a language, filled in and fit for HTML.

use std::collections::BTreeMap;

use crate::page::{Words, html};
use crate::papers::texts::{Language, Texts};

/// Texts by language.
#[derive(Debug)]
pub(super) struct Tongues {
    texts: BTreeMap<&'static str, Texts>,
}

impl Tongues {
    pub(super) fn read() -> Result<Self, String> {
        let mut texts = BTreeMap::new();
        for language in Language::ALL {
            texts.insert(language.code(), Texts::read(language, source(language))?);
        }
        Ok(Self { texts })
    }

    /// The texts of a language by its code; `None` for one that there is not.
    pub(super) fn get(&self, code: &str) -> Option<Tongue<'_>> {
        self.texts.get(code).map(Tongue)
    }

    /// The first of the languages that a browser asks for, else English.
    pub(super) fn wanted(&self, accepted: &str) -> &'static str {
        let mut best = ("en", 0.0_f32);
        for part in accepted.split(',').take(20) {
            let mut part = part.split(';');
            let tag = part.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = part.find_map(|one| one.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0_f32);
            let known = self.texts.keys().find(|code| tag == **code || tag.starts_with(&format!("{code}-")));
            if let Some(code) = known.filter(|_| weight > best.1) {
                best = (*code, weight);
            }
        }
        best.0
    }
}

fn source(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("words/en.toml"),
        Language::Afrikaans => include_str!("words/af.toml"),
        Language::Zulu => include_str!("words/zu.toml"),
    }
}

/// How a language calls itself.
pub(super) fn name(code: &str) -> &'static str {
    match code {
        "af" => "Afrikaans",
        "zu" => "isiZulu",
        _ => "English",
    }
}

/// One language's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tongue<'a>(&'a Texts);

impl<'a> Tongue<'a> {
    pub(super) fn code(self) -> &'static str {
        self.0.language.code()
    }

    /// A text as it is, for what is no HTML.
    pub(super) fn plain(self, key: &'a str) -> &'a str {
        self.0.text(key)
    }

    /// A text with what stands in braces, for what is no HTML.
    pub(super) fn filled(self, key: &str, holes: &[(&str, &str)]) -> String {
        let holes: Vec<(&str, Words)> =
            holes.iter().map(|(name, value)| (*name, Words::default().plain(*value))).collect();
        self.0.words(key, &holes).0.iter().map(|word| word.text()).collect()
    }

    /// A text as HTML.
    pub(super) fn html(self, key: &str) -> String {
        html::escape(self.0.text(key))
    }

    /// A text with what stands in braces, as HTML; what is filled in is text.
    pub(super) fn with(self, key: &str, holes: &[(&str, &str)]) -> String {
        html::escape(&self.filled(key, holes))
    }

    /// Whether there is such a text.
    pub(super) fn has(self, key: &str) -> bool {
        self.0.text(key) != key
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_language_has_every_text_with_the_same_holes() {
        let tongues = Tongues::read().unwrap();
        let keys = |code| tongues.get(code).unwrap().0.keys();
        for code in ["af", "zu"] {
            let (ours, english) = (keys(code), keys("en"));
            let missing: Vec<_> = english.keys().filter(|key| !ours.contains_key(*key)).collect();
            assert!(missing.is_empty(), "{code} lacks {missing:?}");
            assert_eq!(ours, english, "{code}");
        }
    }

    #[test]
    fn a_browser_is_answered_in_the_language_it_wants_most() {
        let tongues = Tongues::read().unwrap();
        for (accepted, code) in [
            ("af-ZA,af;q=0.9,en;q=0.8", "af"),
            ("de,fr;q=0.9", "en"),
            ("en;q=0.3, zu;q=0.7", "zu"),
            ("", "en"),
            ("zulu", "en"),
            ("xx;q=x,ZU", "zu"),
        ] {
            assert_eq!(tongues.wanted(accepted), code, "{accepted}");
        }
    }
}
