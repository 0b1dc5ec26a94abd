//! The texts of the papers, one TOML file a language.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::page::Words;

/// A language of the papers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Afrikaans.
    Afrikaans,
    /// isiZulu.
    Zulu,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::English, Self::Afrikaans, Self::Zulu];

    /// As ISO 639 and HTML write it: `en`, `af`, `zu`.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Afrikaans => "af",
            Self::Zulu => "zu",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("words/en.toml"),
            Self::Afrikaans => include_str!("words/af.toml"),
            Self::Zulu => include_str!("words/zu.toml"),
        }
    }
}

/// The texts of one language, by `section.key`.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) language: Language,
    one: BTreeMap<String, String>,
    many: BTreeMap<String, Vec<String>>,
}

impl Texts {
    pub(crate) fn of(language: Language) -> Result<Self, String> {
        Self::read(language, language.source())
    }

    /// From a file of its own.
    pub(crate) fn read(language: Language, source: &str) -> Result<Self, String> {
        let read: Table = source.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut texts = Self { language, one: BTreeMap::new(), many: BTreeMap::new() };
        for (section, keys) in read {
            let Value::Table(keys) = keys else { return Err(format!("`{section}` is no section")) };
            for (key, value) in keys {
                let name = format!("{section}.{key}");
                match value {
                    Value::String(text) => drop(texts.one.insert(name, text)),
                    Value::Array(items) => {
                        let items = items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
                        texts.many.insert(name, items);
                    }
                    other => return Err(format!("`{name}` is {} and no text", other.type_str())),
                }
            }
        }
        Ok(texts)
    }

    /// Every key, for comparison between languages, with the names in braces that its texts have.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> BTreeMap<String, Vec<String>> {
        let holes = |text: &str| {
            text.split('{').skip(1).filter_map(|part| part.split('}').next()).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut keys: BTreeMap<String, Vec<String>> =
            self.one.iter().map(|(key, text)| (key.clone(), sorted(holes(text)))).collect();
        keys.extend(self.many.iter().map(|(key, items)| {
            let mut all: Vec<String> = items.iter().flat_map(|item| holes(item)).collect();
            all.push(items.len().to_string());
            (key.clone(), sorted(all))
        }));
        keys
    }

    /// One text; its key where there is none, which a test rules out.
    pub(crate) fn text<'a>(&'a self, key: &'a str) -> &'a str {
        self.one.get(key).map_or(key, String::as_str)
    }

    /// The same, with what stands in braces filled in.
    pub(crate) fn words(&self, key: &str, holes: &[(&str, Words)]) -> Words {
        filled(self.text(key), holes)
    }

    /// The items of a list, each filled in.
    pub(crate) fn list(&self, key: &str, holes: &[(&str, Words)]) -> Vec<Words> {
        self.many.get(key).map(|items| items.iter().map(|item| filled(item, holes)).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// Text between braces is replaced; between backticks it is a name.
fn filled(text: &str, holes: &[(&str, Words)]) -> Words {
    let mut words = Words::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        words = words.and(Words::said(before));
        let Some((name, behind)) = after.split_once('}') else { return words.and(Words::said(rest)) };
        words = match holes.iter().find(|(hole, _)| *hole == name) {
            Some((_, filling)) => words.and(filling.clone()),
            None => words.plain(format!("{{{name}}}")),
        };
        rest = behind;
    }
    words.and(Words::said(rest))
}
