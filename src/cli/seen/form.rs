//! `audit breach --form`: what the Information Regulator is told of a security compromise (POPIA s22), as far as the log and the configuration know.
//!
//! The fields are those of s22(5) and of the Regulator's form SCN1 of 2022 as it was described when it came out. Since 1 April 2025 the
//! notification goes through the Regulator's eServices portal, whose own fields no program here has seen: hence what only a person can
//! know, or the portal asks besides, is a marked gap.

use serde_json::{Value, json};

use super::Known;
use crate::audit::{Sightings, Wanted};
use crate::cli::output::printable;
use crate::config::Organisation;

/// Where a notification is made.
const PORTAL: &str = "https://eservices.inforegulator.org.za/compromises/default.aspx";

/// One field.
pub(super) struct Field {
    /// Names it in JSON.
    key: &'static str,
    /// As a person reads it.
    name: &'static str,
    /// What is known.
    known: Option<String>,
    /// Who asks for it.
    asked_by: &'static str,
}

const LAW: &str = "s22(5)";
const FORM: &str = "form SCN1";

/// Every field, in the order of the form.
pub(super) fn fields(whose: &str, wanted: &Wanted, found: &Sightings, known: &Known) -> Vec<Field> {
    let Known { policies, zone, organisation, .. } = known;
    let said = |key: &str| organisation.get(key).map(|texts| texts.join("; "));
    let field = |key, name, known, asked_by| Field { key, name, known, asked_by };
    let to = wanted.until.map_or_else(|| zone.today().to_string(), |to| zone.show(to));
    let from = wanted.since.map_or_else(|| "the beginning of the log".to_owned(), |from| zone.show(from));
    let people: usize = found.subjects.values().map(std::collections::BTreeSet::len).sum();
    let by_table: Vec<String> =
        found.subjects.iter().map(|(table, people)| format!("{} of `{table}`", people.len())).collect();
    let more = unknown_people(found);
    let number = match (people, more.is_empty()) {
        (0, false) => None,
        (_, true) => Some(format!("{people} ({})", by_table.join(", "))),
        (_, false) => Some(format!("at least {people} ({}); besides, {}", by_table.join(", "), more.join(", "))),
    };
    let categories: Vec<String> = found
        .categories
        .iter()
        .map(|(name, people)| {
            let special = if policies.is_special(name) { ", special personal information (s26)" } else { "" };
            format!("{name}, of {}{special}", people.len())
        })
        .collect();
    let described = format!(
        "{whose} was used or misused from {from} to {to}: {} statements, of which {} were refused",
        found.statements, found.refused
    );
    vec![
        field("responsible_party", "Responsible party", said("name"), FORM),
        field("registration", "Registration number", said("registration"), FORM),
        field("information_officer", "Information officer", said("information_officer"), FORM),
        field("contact", "E-mail, telephone, address", contact(organisation), FORM),
        field("happened", "Date of the compromise", Some(format!("{from} to {to}")), FORM),
        field("reported", "Date of this notification", Some(zone.today().to_string()), FORM),
        field("delay", "Why it was not notified sooner, if it was not", None, FORM),
        field("confirmed", "Confirmed or alleged", None, FORM),
        field(
            "kind",
            "Kind: loss, damage, unauthorised destruction, unlawful access, unlawful processing",
            kind(found),
            FORM,
        ),
        field("described", "What happened", Some(described), FORM),
        field(
            "information",
            "Kinds of personal information",
            Some(categories.join("; ")).filter(|text| !text.is_empty()),
            FORM,
        ),
        field("people", "How many data subjects", number, FORM),
        field(
            "told_people",
            "How the data subjects are told: post, e-mail, website, media, or as the Regulator directs (s22(4))",
            None,
            "s22(4), form SCN1",
        ),
        field("consequences", "Possible consequences", None, LAW),
        field("measures", "What you do, or mean to do, about it", None, LAW),
        field("advice", "What the data subjects can do themselves", None, LAW),
        field("unauthorised_person", "Who had the information, if known", None, LAW),
    ]
}

fn contact(organisation: &Organisation) -> Option<String> {
    let parts: Vec<&str> = ["email", "telephone", "street_address", "postal_address"]
        .iter()
        .filter_map(|key| organisation.get(key))
        .flatten()
        .map(String::as_str)
        .collect();
    Some(parts.join("; ")).filter(|text| !text.is_empty())
}

/// Rows that were read are unlawful access; whether more was done nobody but a person can say.
fn kind(found: &Sightings) -> Option<String> {
    let ran = found.statements > found.refused;
    ran.then(|| "unlawful access, as far as the log knows; judge whether more was done".to_owned())
}

/// What was seen of people who are not known one by one.
fn unknown_people(found: &Sightings) -> Vec<String> {
    let groups: usize = found.tally.groups.values().map(|times| times.statements).sum();
    let unrestricted: usize = found.tally.unrestricted.values().map(|times| times.statements).sum();
    let mut more = Vec::new();
    if groups > 0 {
        more.push(format!("{groups} statements over people who are not known one by one"));
    }
    if unrestricted > 0 {
        more.push(format!("{unrestricted} statements that were relayed as they are"));
    }
    more
}

pub(super) fn text(fields: &[Field]) -> String {
    let mut lines = vec![
        "Notification of a security compromise (POPIA section 22)".to_owned(),
        format!("Made through the Regulator's portal, {PORTAL}, and to the data subjects (s22(1)(b))."),
        String::new(),
    ];
    for field in fields {
        let known = field.known.as_deref().map(|known| printable(known).to_string());
        let known = known
            .unwrap_or_else(|| format!("[to be filled in: {}]", field.name.split(',').next().unwrap_or(field.name)));
        lines.push(format!("{} ({})\n  {known}", field.name, field.asked_by));
    }
    let gaps = fields.iter().filter(|field| field.known.is_none()).count();
    lines.push(String::new());
    lines.push(format!(
        "{gaps} of {} fields are gaps. The portal may ask for more: its own form decides.",
        fields.len()
    ));
    lines.join("\n")
}

pub(super) fn as_json(fields: &[Field]) -> Value {
    let fields: serde_json::Map<String, Value> = fields
        .iter()
        .map(|field| {
            (field.key.to_owned(), json!({ "name": field.name, "asked_by": field.asked_by, "known": field.known }))
        })
        .collect();
    json!({ "portal": PORTAL, "fields": fields })
}
