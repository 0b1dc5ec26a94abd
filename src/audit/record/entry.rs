//! One record as it was read back.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A log among several is told by what its records' numbers are multiplied beyond: no log holds so many.
pub(in crate::audit) const LOG: u64 = 1 << 48;

/// One record as it was read. Its hash is not looked at: that is for [`verify`](crate::audit::verify).
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The line, without its `\n`.
    pub line: String,
    fields: Map<String, Value>,
}

impl Entry {
    /// Reads a line; `None` where it is no JSON object.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        Some(Self { line: line.to_owned(), fields: serde_json::from_str(line).ok()? })
    }

    /// A field that holds text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    /// A field that holds a number from 0.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.as_u64()
    }

    /// Any field.
    pub fn field(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// The same among records of several logs: its number, and the one that it is `of`, tell which log. Its line stays.
    #[must_use]
    pub fn of_log(mut self, log: u64) -> Self {
        for field in ["seq", "of"] {
            if let Some(value) = self.fields.get_mut(field)
                && let Some(number) = value.as_u64()
            {
                *value = (number + log * LOG).into();
            }
        }
        self
    }

    /// The same with the name of its log as a field, where it does not say it itself. Its line stays.
    #[must_use]
    pub fn in_log(mut self, name: &str) -> Self {
        self.fields.entry("log").or_insert_with(|| name.into());
        self
    }

    /// All of them.
    pub(in crate::audit) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Its number.
    pub fn seq(&self) -> Option<u64> {
        self.number("seq")
    }

    /// When it was written; an `outcome` has none.
    pub fn time(&self) -> Option<Timestamp> {
        self.text("time")?.parse().ok()
    }

    /// What it records: `access`, `outcome`, `connect` ...
    pub fn event(&self) -> &str {
        self.text("event").unwrap_or_default()
    }

    /// `(relation, its columns' names)` of an `access`.
    pub fn relations(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.fields.get("relations").and_then(Value::as_array).into_iter().flatten().map(|relation| {
            let columns = relation.get("columns").and_then(Value::as_array).into_iter().flatten();
            let names = columns.filter_map(|column| column.get("name")?.as_str()).collect();
            (relation.get("name").and_then(Value::as_str).unwrap_or_default(), names)
        })
    }

    /// Which rows of each relation of an `access` were left out.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        let relations = self.fields.get("relations").and_then(Value::as_array).into_iter().flatten();
        relations.filter_map(|relation| relation.get("filter")?.as_str())
    }

    /// Whose rows a `disclosure` tells of, as they are named there.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        let relations = self.fields.get("relations").and_then(Value::as_array).into_iter().flatten();
        relations.filter_map(|relation| relation.get("subjects")?.as_array()).flatten().filter_map(Value::as_str)
    }
}

impl Entry {
    /// Digests of the values that an `access` or a `lookup` looked up.
    pub fn lookups(&self) -> impl Iterator<Item = &str> {
        let lookups = self.fields.get("lookups").and_then(Value::as_array).into_iter().flatten();
        lookups.filter_map(|lookup| lookup.get("digest")?.as_str())
    }
}

/// The members of an array; nothing where it is none.
pub(in crate::audit) fn objects(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}
