//! One policy file as it is written: every key with its place, nothing yet compared with the rest.

use super::RecordAs;
use crate::catalog::RelationName;
use crate::config::document::{Document, Node, Section, quoted};
use crate::config::{Fault, Located, Place};

/// What one file holds. Several are appended to each other before they are validated.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) unlisted_tables: Vec<Located<String>>,
    pub(super) tables: Vec<WrittenTable>,
    pub(super) categories: Vec<WrittenCategory>,
    pub(super) purposes: Vec<WrittenPurpose>,
    pub(super) consent: Vec<WrittenConsent>,
    pub(super) roles: Vec<WrittenRole>,
    pub(super) rules: Vec<WrittenRule>,
    pub(super) functions: Vec<Located<String>>,
    pub(super) tests: Vec<WrittenTest>,
}

#[derive(Debug)]
pub(super) struct WrittenTable {
    pub(super) name: Located<RelationName>,
    pub(super) open: bool,
    pub(super) subject: Option<WrittenSubject>,
    pub(super) columns: Vec<(Located<String>, Located<String>)>,
    pub(super) star: Option<Located<String>>,
    pub(super) record_subjects: Option<Located<RecordAs>>,
    pub(super) retain: Vec<Located<String>>,
}

#[derive(Debug)]
pub(super) struct WrittenSubject {
    pub(super) column: Located<String>,
    pub(super) references: Option<Located<String>>,
}

#[derive(Debug)]
pub(super) struct WrittenCategory {
    pub(super) name: Located<String>,
    pub(super) special: bool,
    pub(super) mask: Option<Located<String>>,
}

#[derive(Debug)]
pub(super) struct WrittenPurpose {
    pub(super) name: Located<String>,
    pub(super) basis: Option<Located<String>>,
    pub(super) description: Option<String>,
    pub(super) expires: Option<jiff::civil::Date>,
    pub(super) review: Option<jiff::civil::Date>,
    pub(super) min_group: Option<u32>,
}

#[derive(Debug)]
pub(super) struct WrittenConsent {
    pub(super) place: Place,
    pub(super) table: Option<Located<String>>,
    pub(super) subject: Option<Located<String>>,
    pub(super) purpose: Option<Located<String>>,
    pub(super) active: Option<Located<String>>,
    pub(super) evidence: Option<Located<String>>,
    pub(super) given_at: Option<Located<String>>,
}

#[derive(Debug)]
pub(super) struct WrittenRole {
    pub(super) name: Located<String>,
    pub(super) logins: Vec<Located<String>>,
    pub(super) purposes: Vec<Located<String>>,
    pub(super) recipient: Option<Located<String>>,
    pub(super) operator_contract: Option<Located<String>>,
    pub(super) operator_expires: Option<Located<jiff::civil::Date>>,
    pub(super) country: Option<Located<String>>,
    pub(super) transfer_ground: Option<Located<String>>,
    pub(super) unrestricted: Option<Located<String>>,
    pub(super) ddl: bool,
}

#[derive(Debug)]
pub(super) struct WrittenRule {
    pub(super) place: Place,
    pub(super) name: Option<Located<String>>,
    pub(super) roles: Vec<Located<String>>,
    pub(super) purposes: Vec<Located<String>>,
    pub(super) read: Vec<Located<String>>,
    /// Target and mask; no mask: the category's own.
    pub(super) mask: Vec<(Located<String>, Option<Located<String>>)>,
    pub(super) lookup: Vec<Located<String>>,
    pub(super) write: Vec<Located<String>>,
    pub(super) deny: Vec<Located<String>>,
    pub(super) delete: Vec<Located<String>>,
    pub(super) ground: Option<Located<String>>,
}

#[derive(Debug)]
pub(super) struct WrittenTest {
    pub(super) place: Place,
    pub(super) name: Option<Located<String>>,
    pub(super) login: Option<Located<String>>,
    pub(super) purpose: Option<Located<String>>,
    pub(super) sql: Option<Located<String>>,
    pub(super) expect: Option<Located<String>>,
    pub(super) reason: Option<String>,
}

/// Reads one file and appends what it holds; gives the faults of its form.
pub(super) fn read(file: &str, text: &str, into: &mut Written) -> Vec<Fault> {
    let (_, faults) = Document::read(file, text, |document, top| top_level(document, top, into));
    faults
}

fn top_level(document: &mut Document, mut top: Section<'_>, into: &mut Written) {
    match top.integer("version", 0..=u32::MAX, document) {
        Some(version) if version.value == 1 => {}
        Some(version) => document.fault(&version.place, "this version reads policies of `version = 1` only"),
        None => document.fault(&top.place.clone(), "a policy begins with `version = 1`"),
    }
    into.unlisted_tables.extend(top.string("unlisted_tables", document));
    for (name, section) in named(&mut top, "tables", document) {
        into.tables.extend(table(document, &name, section));
    }
    for (name, section) in named(&mut top, "categories", document) {
        into.categories.push(category(document, name, section));
    }
    for (name, section) in named(&mut top, "purposes", document) {
        into.purposes.push(purpose(document, name, section));
    }
    if let Some(section) = top.section("consent", document) {
        into.consent.push(consent(document, section));
    }
    for (name, section) in named(&mut top, "roles", document) {
        into.roles.push(role(document, name, section));
    }
    for section in top.sections("rules", document) {
        into.rules.push(rule(document, section));
    }
    if let Some(mut section) = top.section("functions", document) {
        into.functions.extend(section.strings("allow", document));
        section.finish(document);
    }
    for section in top.sections("tests", document) {
        into.tests.push(test(document, section));
    }
    top.finish(document);
}

/// The sections `[key.NAME]`.
fn named<'a>(top: &mut Section<'a>, key: &'static str, document: &mut Document) -> Vec<(Located<String>, Section<'a>)> {
    let Some(mut sections) = top.section(key, document) else { return Vec::new() };
    sections
        .rest()
        .into_iter()
        .filter_map(|(name, node)| {
            if name.value.trim().is_empty() {
                document.fault(&name.place, format!("a name in `{key}` is empty"));
                return None;
            }
            node.section(document).map(|section| (name, section))
        })
        .collect()
}

fn table(document: &mut Document, name: &Located<String>, mut section: Section<'_>) -> Option<WrittenTable> {
    let relation = match name.value.parse::<RelationName>() {
        Ok(relation) => Some(Located { value: relation, place: name.place.clone() }),
        Err(_) => {
            document.fault(&name.place, format!("table `{}` must be written as \"schema.table\"", name.value));
            None
        }
    };
    let open = section.boolean("open", document).is_some_and(|open| open.value);
    let subject = section.take("subject").and_then(|node| {
        if node.is_string() {
            return node.string(document).map(|column| WrittenSubject { column, references: None });
        }
        let mut inner = node.section(document)?;
        let column = inner.string("column", document);
        let references = inner.string("references", document);
        let place = inner.place.clone();
        inner.finish(document);
        if column.is_none() || references.is_none() {
            document.fault(&place, "`subject` as a table needs `column` and `references`");
        }
        Some(WrittenSubject { column: column?, references: Some(references?) })
    });
    let mut columns = Vec::new();
    if let Some(mut inner) = section.section("columns", document) {
        for (column, node) in inner.rest() {
            columns.extend(node.string(document).map(|category| (column, category)));
        }
    }
    let star = section.string("star", document);
    let record_subjects = section.take("record_subjects").and_then(|node| record_subjects(node, document));
    // `retain = "5 years after closed_at"`, or one such text for each purpose.
    let retain = match section.take("retain") {
        None => Vec::new(),
        Some(node) if node.is_string() => node.string(document).into_iter().collect(),
        Some(node) => node
            .section(document)
            .map(|mut by_purpose| by_purpose.rest())
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(_, node)| node.string(document))
            .collect(),
    };
    section.finish(document);
    Some(WrittenTable { name: relation?, open, subject, columns, star, record_subjects, retain })
}

/// `true` (pseudonyms), `false`, `"pseudonym"` or `"plain"`.
fn record_subjects(node: Node<'_>, document: &mut Document) -> Option<Located<RecordAs>> {
    let place = node.place.clone();
    if !node.is_string() {
        let value = node.boolean(document)?.value.then_some(RecordAs::Pseudonym)?;
        return Some(Located { value, place });
    }
    let written = node.string(document)?.value;
    match RecordAs::parse(&written) {
        Some(value) => Some(Located { value, place }),
        None => {
            let message =
                format!("`record_subjects` is `true`, `false`, `\"pseudonym\"` or `\"plain\"`, and not `{written}`");
            document.fault(&place, message);
            None
        }
    }
}

fn category(document: &mut Document, name: Located<String>, mut section: Section<'_>) -> WrittenCategory {
    let special = section.boolean("special", document).is_some_and(|special| special.value);
    let mask = section.string("mask", document);
    section.finish(document);
    WrittenCategory { name, special, mask }
}

fn purpose(document: &mut Document, name: Located<String>, mut section: Section<'_>) -> WrittenPurpose {
    let basis = section.string("basis", document);
    let description = section.string("description", document).map(|text| text.value);
    let expires = section.date("expires", document).map(|date| date.value);
    let review = section.date("review", document).map(|date| date.value);
    let min_group = section.integer("min_group", 2..=1_000_000, document).map(|number| number.value);
    section.finish(document);
    WrittenPurpose { name, basis, description, expires, review, min_group }
}

fn consent(document: &mut Document, mut section: Section<'_>) -> WrittenConsent {
    let place = section.place.clone();
    let written = WrittenConsent {
        place: place.clone(),
        table: section.string("table", document),
        subject: section.string("subject", document),
        purpose: section.string("purpose", document),
        active: section.string("active", document),
        evidence: section.string("evidence", document),
        given_at: section.string("given_at", document),
    };
    let given = [&written.table, &written.subject, &written.purpose, &written.active];
    let missing: Vec<&str> = ["table", "subject", "purpose", "active"]
        .into_iter()
        .zip(given)
        .filter_map(|(key, value)| value.is_none().then_some(key))
        .collect();
    if !missing.is_empty() {
        document.fault(&place, format!("`consent` lacks {}", quoted(missing)));
    }
    section.finish(document);
    written
}

fn role(document: &mut Document, name: Located<String>, mut section: Section<'_>) -> WrittenRole {
    let written = WrittenRole {
        name,
        logins: section.strings("logins", document),
        purposes: section.strings("purposes", document),
        recipient: section.string("recipient", document),
        operator_contract: section.string("operator_contract", document),
        operator_expires: section.date("operator_expires", document),
        country: section.string("country", document),
        transfer_ground: section.string("transfer_ground", document),
        unrestricted: section.string("unrestricted", document),
        ddl: section.boolean("ddl", document).is_some_and(|ddl| ddl.value),
    };
    section.finish(document);
    written
}

fn rule(document: &mut Document, mut section: Section<'_>) -> WrittenRule {
    let mask = match section.take("mask") {
        None => Vec::new(),
        // `mask = ["national_id"]`: each with its category's own mask.
        Some(node) if node.is_array() => node.strings(document).into_iter().map(|target| (target, None)).collect(),
        Some(node) => node
            .section(document)
            .map(|mut targets| targets.rest())
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(target, node)| {
                let mask = node.string(document)?;
                let mask = (mask.value != "default").then_some(mask);
                Some((target, mask))
            })
            .collect(),
    };
    let written = WrittenRule {
        place: section.place.clone(),
        name: section.string("name", document),
        roles: section.strings("roles", document),
        purposes: section.strings("purposes", document),
        read: section.strings("read", document),
        mask,
        lookup: section.strings("lookup", document),
        write: section.strings("write", document),
        deny: section.strings("deny", document),
        delete: section.strings("delete", document),
        ground: section.string("ground", document),
    };
    section.finish(document);
    written
}

fn test(document: &mut Document, mut section: Section<'_>) -> WrittenTest {
    let written = WrittenTest {
        place: section.place.clone(),
        name: section.string("name", document),
        login: section.string("login", document),
        purpose: section.string("purpose", document),
        sql: section.string("sql", document),
        expect: section.string("expect", document),
        reason: section.string("reason", document).map(|reason| reason.value),
    };
    section.finish(document);
    written
}
