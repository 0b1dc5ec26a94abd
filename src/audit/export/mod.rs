//! Records in the forms that other programs read: CSV, OCSF, ECS, CEF. One line is one record, in the order of the log.
//!
//! An `outcome` has neither time nor login in the log; here it has those of its `access`, where that was exported before it.

mod cef;
mod csv;
mod json;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::audit::record::Entry;

/// So many statements without their outcome are remembered.
const OPEN: usize = 100_000;
/// What an outcome takes over from its `access`.
const TAKEN: [&str; 11] = [
    "time",
    "client",
    "session",
    "login",
    "role",
    "purpose",
    "actor",
    "ticket",
    "recipient",
    "database",
    "application",
];

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table with a header.
    Csv,
    /// Open Cybersecurity Schema Framework 1.3: Datastore Activity, one JSON object a line.
    Ocsf,
    /// Elastic Common Schema 8.17, one JSON object a line.
    Ecs,
    /// `ArcSight` Common Event Format, each line under 8,000 bytes.
    Cef,
}

/// Writes records in a form.
#[derive(Debug)]
pub struct Exporter {
    form: Form,
    /// The log among several, which a record's number does not tell.
    log: Option<String>,
    open: BTreeMap<u64, HashMap<&'static str, String>>,
}

impl Exporter {
    /// Begins.
    pub fn new(form: Form) -> Self {
        Self { form, log: None, open: BTreeMap::new() }
    }

    /// Of one log among several, whose name is then part of what names a record.
    pub fn of_log(form: Form, log: &str) -> Self {
        Self { log: Some(log.to_owned()), ..Self::new(form) }
    }

    /// What stands before the first record.
    pub fn header(&self) -> Option<String> {
        (self.form == Form::Csv).then(csv::header)
    }

    /// One record, without a line end.
    pub fn line(&mut self, entry: &Entry) -> String {
        let of = (entry.event() == "outcome").then(|| entry.number("of")).flatten();
        let taken = of.and_then(|of| self.open.remove(&of));
        if let ("access", Some(seq)) = (entry.event(), entry.seq()) {
            let taken = TAKEN.iter().filter_map(|field| Some((*field, entry.text(field)?.to_owned())));
            self.open.insert(seq, taken.collect());
            if self.open.len() > OPEN {
                self.open.pop_first();
            }
        }
        let told = Told { entry, log: self.log.as_deref(), taken: taken.unwrap_or_default() };
        match self.form {
            Form::Csv => csv::line(&told),
            Form::Ocsf => json::ocsf(&told).to_string(),
            Form::Ecs => json::ecs(&told).to_string(),
            Form::Cef => cef::line(&told),
        }
    }
}

/// A record with what it takes over.
struct Told<'a> {
    entry: &'a Entry,
    log: Option<&'a str>,
    taken: HashMap<&'static str, String>,
}

impl Told<'_> {
    fn text(&self, field: &str) -> Option<&str> {
        self.entry.text(field).or_else(|| self.taken.get(field).map(String::as_str))
    }

    fn event(&self) -> &str {
        self.entry.event()
    }

    fn seq(&self) -> u64 {
        self.entry.seq().unwrap_or_default()
    }

    /// What names a record of this number.
    fn uid(&self, seq: u64) -> String {
        self.log.map_or_else(|| seq.to_string(), |log| format!("{log}:{seq}"))
    }

    fn time(&self) -> Option<Timestamp> {
        self.text("time")?.parse().ok()
    }

    /// Address and port; `None` for one without, such as `local`.
    fn client(&self) -> Option<(&str, u16)> {
        let (address, port) = self.text("client")?.rsplit_once(':')?;
        Some((address.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
    }

    fn refused(&self) -> bool {
        self.text("verdict") == Some("deny") || matches!(self.event(), "login_refused")
    }

    fn grave(&self) -> bool {
        matches!(self.event(), "incident" | "torn" | "recovered" | "destroyed")
    }

    fn tables(&self) -> Vec<&str> {
        self.entry.relations().map(|(name, _)| name).collect()
    }

    fn columns(&self) -> Vec<String> {
        let relations = self.entry.relations();
        relations
            .flat_map(|(name, columns)| columns.into_iter().map(move |column| format!("{name}.{column}")))
            .collect()
    }

    fn people(&self) -> Vec<&str> {
        self.entry.subjects().collect()
    }

    /// Every field but these.
    fn but(&self, fields: &[&str]) -> Map<String, Value> {
        let all = self.entry.fields().iter();
        let taken = self.taken.iter().map(|(field, value)| ((*field).to_owned(), Value::from(value.as_str())));
        let own = all.map(|(field, value)| (field.clone(), value.clone()));
        taken.chain(own).filter(|(field, value)| !value.is_null() && !fields.contains(&field.as_str())).collect()
    }
}

/// Whole characters of a text, at most so many bytes of it.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests;
