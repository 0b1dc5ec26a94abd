//! Reads TOML with the line of every key and value, and collects every fault instead of the first.
//!
//! Each key is taken out of its [`Section`] once; what is left when [`Section::finish`] is called is unknown. What differs between
//! installations is taken from the environment: `${NAME}` within a key or a text.

mod fault;
mod repeated;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use fault::{Fault, Located, Place, Severity};

/// One TOML file being read.
#[derive(Debug)]
pub struct Document {
    file: Arc<str>,
    /// Byte offset at which each line begins.
    lines: Vec<usize>,
    /// Every fault found so far.
    pub faults: Vec<Fault>,
    /// What of the environment was asked for, with its value.
    pub variables: BTreeMap<String, String>,
    /// By the kind of a section (`rules`, `tables.*`), every key that was asked for.
    asked: BTreeMap<String, BTreeSet<&'static str>>,
}

/// A table of the document, its keys not yet taken.
#[derive(Debug)]
pub struct Section<'a> {
    name: String,
    /// Where it begins.
    pub place: Place,
    entries: Vec<(Located<String>, &'a DeValue<'a>)>,
    known: Vec<&'static str>,
}

/// A value whose kind is not known yet.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    name: String,
    /// Where it stands.
    pub place: Place,
    value: &'a DeValue<'a>,
}

impl Document {
    /// Reads a text and hands its top-level table to `read`. Syntax errors are faults; `read` is then not called.
    pub fn read<T>(file: &str, text: &str, read: impl FnOnce(&mut Self, Section<'_>) -> T) -> (Option<T>, Vec<Fault>) {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut document =
            Self { file: file.into(), lines, faults: Vec::new(), variables: BTreeMap::new(), asked: BTreeMap::new() };
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let place = document.place(0);
            let section = document.section_of(String::new(), place, table.get_ref());
            let value = read(&mut document, section);
            return (Some(value), document.faults);
        }
        let repeated = repeated::headers(text);
        for header in &repeated {
            let place = Place { file: document.file.clone(), line: header.line };
            document.fault(&place, header.message());
        }
        for error in errors {
            let message = error.message().trim().replace('\n', ", ");
            // A heading that stands twice makes a fault of each key below it.
            if repeated.is_empty() || !message.contains("duplicate key") {
                let place = document.place(error.span().map_or(0, |span| span.start));
                document.fault(&place, format!("not valid TOML: {message}"));
            }
        }
        (None, document.faults)
    }

    /// A text with what it asks of the environment put in; what is not there is a fault.
    fn expanded(&mut self, text: &str, name: &str, place: &Place) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        let found = variables::expand(text, |name| std::env::var(name).ok());
        self.variables.extend(found.used);
        for missing in found.missing {
            let message = format!(
                "`{name}` asks for `${{{missing}}}`, which the environment does not have: set it, or write `${{{missing}:-otherwise}}`"
            );
            self.fault(place, message);
        }
        found.text
    }

    /// By the kind of a section, every key that was asked for: what a reference of the keys is tested against.
    pub fn asked(&self) -> impl Iterator<Item = (&str, Vec<&'static str>)> {
        self.asked.iter().map(|(kind, keys)| (kind.as_str(), keys.iter().copied().collect()))
    }

    /// Notes an error.
    pub fn fault(&mut self, place: &Place, message: impl Into<String>) {
        self.faults.push(Fault::error(place, message));
    }

    fn place(&self, offset: usize) -> Place {
        Place { file: self.file.clone(), line: self.lines.partition_point(|&start| start <= offset) }
    }

    fn section_of<'a>(&mut self, name: String, place: Place, table: &'a DeTable<'a>) -> Section<'a> {
        let mut entries = Vec::new();
        for (key, value) in table {
            let place = self.place(key.span().start);
            let key = self.expanded(key.get_ref(), &name, &place);
            entries.push((Located { value: key, place }, value.get_ref()));
        }
        // In the order of the file, so that faults come in that order too.
        entries.sort_by_key(|(key, _)| key.place.line);
        Section { name, place, entries, known: Vec::new() }
    }
}

impl<'a> Section<'a> {
    /// How the section is written: `tables."public.customers"`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where each key stands that is not taken yet.
    pub fn places(&self) -> BTreeMap<String, Place> {
        self.entries.iter().map(|(key, _)| (key.value.clone(), key.place.clone())).collect()
    }

    /// Takes a key out.
    pub fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, _)| name.value == key)?;
        let (name, value) = self.entries.remove(at);
        Some(Node { name: self.path(&name.value), place: name.place, value })
    }

    /// Takes all that is left: for sections whose keys are names.
    pub fn rest(&mut self) -> Vec<(Located<String>, Node<'a>)> {
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(key, value)| {
                let node = Node { name: self.path(&key.value), place: key.place.clone(), value };
                (key, node)
            })
            .collect()
    }

    /// Takes a text.
    pub fn string(&mut self, key: &'static str, document: &mut Document) -> Option<Located<String>> {
        self.take(key).and_then(|node| node.string(document))
    }

    /// Takes a list of texts.
    pub fn strings(&mut self, key: &'static str, document: &mut Document) -> Vec<Located<String>> {
        self.take(key).map(|node| node.strings(document)).unwrap_or_default()
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, key: &'static str, document: &mut Document) -> Option<Located<bool>> {
        self.take(key)?.boolean(document)
    }

    /// Takes a whole number within the bounds.
    pub fn integer(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u32>,
        document: &mut Document,
    ) -> Option<Located<u32>> {
        let node = self.take(key)?;
        let number = match node.value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Some(node.with(number)),
            None => node.wrong(&format!("a whole number from {} to {}", bounds.start(), bounds.end()), document),
        }
    }

    /// Takes a date without a time.
    pub fn date(&mut self, key: &'static str, document: &mut Document) -> Option<Located<jiff::civil::Date>> {
        let node = self.take(key)?;
        let date = match node.value {
            DeValue::Datetime(moment) if moment.time.is_none() && moment.offset.is_none() => {
                moment.date.and_then(|date| {
                    let (year, month, day) =
                        (i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
                    jiff::civil::Date::new(year, month, day).ok()
                })
            }
            _ => None,
        };
        match date {
            Some(date) => Some(node.with(date)),
            None => node.wrong("a date without quotes, such as 2027-06-30", document),
        }
    }

    /// Takes a table.
    pub fn section(&mut self, key: &'static str, document: &mut Document) -> Option<Section<'a>> {
        self.take(key).and_then(|node| node.section(document))
    }

    /// Takes an array of tables (`[[key]]`).
    pub fn sections(&mut self, key: &'static str, document: &mut Document) -> Vec<Section<'a>> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = node.value else {
            node.wrong::<()>(&format!("written as `[[{key}]]`: there may be several"), document);
            return Vec::new();
        };
        items.iter().filter_map(|item| node.item(item, document).section(document)).collect()
    }

    /// Every key that is left is unknown.
    pub fn finish(self, document: &mut Document) {
        let asked = document.asked.entry(self.name.clone()).or_default();
        asked.extend(self.known.iter().copied());
        for (key, _) in &self.entries {
            let within = if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) };
            let near = self.known.iter().find(|known| alike(known, &key.value));
            let message = match near {
                Some(near) => format!("unknown key `{}`{within}: did you mean `{near}`?", key.value),
                None => format!("unknown key `{}`{within}: known are {}", key.value, quoted(&self.known)),
            };
            document.fault(&key.place, message);
        }
    }

    fn path(&self, key: &str) -> String {
        let bare = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let key = if bare { key.to_owned() } else { format!("\"{key}\"") };
        if self.name.is_empty() { key } else { format!("{}.{key}", self.name) }
    }
}

impl<'a> Node<'a> {
    /// A text.
    pub fn string(self, document: &mut Document) -> Option<Located<String>> {
        match self.value {
            DeValue::String(text) => {
                let text = document.expanded(text, &self.name, &self.place);
                Some(self.with(text))
            }
            _ => self.wrong("a text in quotes", document),
        }
    }

    /// A list of texts.
    pub fn strings(self, document: &mut Document) -> Vec<Located<String>> {
        let DeValue::Array(items) = self.value else {
            self.wrong::<()>("a list of texts: [\"...\"]", document);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.item(item, document).string(document)).collect()
    }

    /// A text, or a list of texts.
    pub fn one_or_more(self, document: &mut Document) -> Vec<Located<String>> {
        match self.value {
            DeValue::String(_) => self.string(document).into_iter().collect(),
            _ => self.strings(document),
        }
    }

    /// A table.
    pub fn section(self, document: &mut Document) -> Option<Section<'a>> {
        match self.value {
            DeValue::Table(table) => Some(document.section_of(self.name, self.place, table)),
            _ => self.wrong("a table", document),
        }
    }

    /// Whether it is a text.
    pub fn is_string(&self) -> bool {
        self.value.is_str()
    }

    /// Whether it is `true` or `false`.
    pub fn is_boolean(&self) -> bool {
        self.value.is_bool()
    }

    /// Takes `true` or `false`.
    pub fn boolean(self, document: &mut Document) -> Option<Located<bool>> {
        match self.value {
            DeValue::Boolean(value) => Some(self.with(*value)),
            _ => self.wrong("`true` or `false`", document),
        }
    }

    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        self.value.is_array()
    }

    fn item(&self, item: &'a Spanned<DeValue<'a>>, document: &Document) -> Self {
        Self { name: self.name.clone(), place: document.place(item.span().start), value: item.get_ref() }
    }

    fn with<T>(self, value: T) -> Located<T> {
        Located { value, place: self.place }
    }

    /// Says what the value should have been.
    pub fn wrong<T>(self, expected: &str, document: &mut Document) -> Option<T> {
        document
            .fault(&self.place, format!("`{}` must be {expected}, and is a TOML {}", self.name, self.value.type_str()));
        None
    }
}

/// Names in backticks, joined by commas.
pub fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Whether one name is likely a misspelling of the other: at most two letters apart, and alike at the start or end.
pub fn alike(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    if a.len().min(b.len()) < 3 {
        return false;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let swap = cell(&row, j) + usize::from(x != y);
            next.push(swap.min(cell(&row, j + 1) + 1).min(cell(&next, j) + 1));
        }
        row = next;
    }
    row.last().is_some_and(|&distance| distance <= 2)
}
