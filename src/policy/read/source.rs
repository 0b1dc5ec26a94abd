//! One policy file as it is written: every key with its place, nothing yet compared with the rest.

mod purpose;

pub(in crate::policy) use self::purpose::{
    WrittenCompatible, WrittenConsent, WrittenDirect, WrittenMarketing, WrittenPurpose,
};
use self::purpose::{compatible, consent, marketing, purpose};
use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::RelationName;
use crate::document::{Document, Node, Section, quoted};
use crate::document::{Fault, Located, Place};
use crate::policy::model::RecordAs;

/// What one file holds. Several are appended to each other before they are validated.
#[derive(Debug, Default)]
pub(in crate::policy) struct Written {
    pub(in crate::policy) unlisted_tables: Vec<Located<String>>,
    pub(in crate::policy) tables: Vec<WrittenTable>,
    pub(in crate::policy) categories: Vec<WrittenCategory>,
    pub(in crate::policy) purposes: Vec<WrittenPurpose>,
    pub(in crate::policy) consent: Vec<WrittenConsent>,
    pub(in crate::policy) objections: Vec<WrittenConsent>,
    pub(in crate::policy) restrictions: Vec<WrittenConsent>,
    pub(in crate::policy) marketing: Vec<WrittenMarketing>,
    pub(in crate::policy) compatible: Vec<WrittenCompatible>,
    pub(in crate::policy) roles: Vec<WrittenRole>,
    pub(in crate::policy) rules: Vec<WrittenRule>,
    pub(in crate::policy) functions: Vec<Located<String>>,
    pub(in crate::policy) settings: Vec<Located<String>>,
    /// `[notifications] allow`.
    pub(in crate::policy) channels: Vec<Located<String>>,
    pub(in crate::policy) tests: Vec<WrittenTest>,
    /// Patterns for columns, and their categories.
    pub(in crate::policy) columns: Vec<(Located<String>, Located<String>)>,
    /// What of the environment stands in it, with its value.
    pub(in crate::policy) variables: BTreeMap<String, String>,
    /// By the kind of a section, every key that it may have.
    pub(in crate::policy) asked: BTreeMap<String, BTreeSet<&'static str>>,
}

#[derive(Debug)]
pub(in crate::policy) struct WrittenTable {
    pub(in crate::policy) name: Located<RelationName>,
    /// Where each key stands.
    pub(in crate::policy) keys: BTreeMap<String, Place>,
    pub(in crate::policy) purposes: Option<WrittenRecordPurposes>,
    pub(in crate::policy) open: bool,
    pub(in crate::policy) read_only: bool,
    pub(in crate::policy) no_subject: bool,
    pub(in crate::policy) subject: Option<WrittenSubject>,
    pub(in crate::policy) columns: Vec<(Located<String>, Located<String>)>,
    pub(in crate::policy) star: Option<Located<String>>,
    pub(in crate::policy) record_subjects: Option<Located<RecordAs>>,
    /// The purpose, where it is for one, and the text.
    pub(in crate::policy) retain: Vec<(Option<Located<String>>, Located<String>)>,
    pub(in crate::policy) date_of_birth: Option<Located<String>>,
    pub(in crate::policy) identity_number: Option<Located<String>>,
    pub(in crate::policy) no_children: Option<Located<String>>,
    pub(in crate::policy) collected_for: Vec<WrittenCollected>,
}

/// Where each record says for which purposes it may be used: a column, or a table of its own.
#[derive(Debug)]
pub(in crate::policy) struct WrittenRecordPurposes {
    pub(in crate::policy) place: Place,
    pub(in crate::policy) column: Option<Located<String>>,
    pub(in crate::policy) table: Option<Located<String>>,
    pub(in crate::policy) record: Option<Located<String>>,
    pub(in crate::policy) key: Option<Located<String>>,
    pub(in crate::policy) purpose: Option<Located<String>>,
}

/// The purposes of one column, or of all.
#[derive(Debug)]
pub(in crate::policy) struct WrittenCollected {
    pub(in crate::policy) column: Option<Located<String>>,
    pub(in crate::policy) purposes: Vec<Located<String>>,
}

#[derive(Debug)]
pub(in crate::policy) struct WrittenSubject {
    pub(in crate::policy) column: Located<String>,
    pub(in crate::policy) references: Option<Located<String>>,
}

#[derive(Debug)]
pub(in crate::policy) struct WrittenCategory {
    pub(in crate::policy) name: Located<String>,
    pub(in crate::policy) special: Option<Located<bool>>,
    pub(in crate::policy) mask: Option<Located<String>>,
    pub(in crate::policy) default: Option<Located<String>>,
}

#[derive(Debug)]
pub(in crate::policy) struct WrittenRole {
    pub(in crate::policy) name: Located<String>,
    pub(in crate::policy) logins: Vec<Located<String>>,
    pub(in crate::policy) purposes: Vec<Located<String>>,
    pub(in crate::policy) recipient: Option<Located<String>>,
    pub(in crate::policy) operator_contract: Option<Located<String>>,
    pub(in crate::policy) operator_expires: Option<Located<jiff::civil::Date>>,
    pub(in crate::policy) country: Option<Located<String>>,
    pub(in crate::policy) country_ground: Option<Located<String>>,
    pub(in crate::policy) lookup_limit: Option<u32>,
    pub(in crate::policy) actor: Option<Located<String>>,
    pub(in crate::policy) actor_from: Option<Located<String>>,
    pub(in crate::policy) unrestricted: Option<Located<String>>,
    pub(in crate::policy) ddl: bool,
    pub(in crate::policy) training: Option<Located<String>>,
}

#[derive(Debug)]
pub(in crate::policy) struct WrittenRule {
    pub(in crate::policy) place: Place,
    pub(in crate::policy) name: Option<Located<String>>,
    pub(in crate::policy) roles: Vec<Located<String>>,
    pub(in crate::policy) purposes: Vec<Located<String>>,
    pub(in crate::policy) read: Vec<Located<String>>,
    /// Target and mask; no mask: the category's own.
    pub(in crate::policy) mask: Vec<(Located<String>, Option<Located<String>>)>,
    pub(in crate::policy) lookup: Vec<Located<String>>,
    pub(in crate::policy) write: Vec<Located<String>>,
    pub(in crate::policy) deny: Vec<Located<String>>,
    pub(in crate::policy) delete: Vec<Located<String>>,
    pub(in crate::policy) ground: Option<Located<String>>,
    pub(in crate::policy) child_ground: Option<Located<String>>,
    pub(in crate::policy) keep_masked: bool,
    pub(in crate::policy) lookup_limit: Option<u32>,
    /// The table, where it names one, and the condition.
    pub(in crate::policy) rows: Vec<(Option<Located<String>>, Located<String>)>,
    pub(in crate::policy) own: Option<Located<String>>,
}

#[derive(Debug)]
pub(in crate::policy) struct WrittenTest {
    pub(in crate::policy) place: Place,
    pub(in crate::policy) name: Option<Located<String>>,
    pub(in crate::policy) login: Option<Located<String>>,
    pub(in crate::policy) purpose: Option<Located<String>>,
    pub(in crate::policy) actor: Option<String>,
    pub(in crate::policy) sql: Option<Located<String>>,
    pub(in crate::policy) expect: Option<Located<String>>,
    pub(in crate::policy) reason: Option<String>,
}

/// Reads one file and appends what it holds; gives the faults of its form.
pub(in crate::policy) fn read(file: &str, text: &str, into: &mut Written) -> Vec<Fault> {
    let (_, faults) = Document::read(file, text, |document, top| {
        top_level(document, top, into);
        into.variables.append(&mut document.variables);
        for (kind, keys) in document.asked() {
            into.asked.entry(kind.to_owned()).or_default().extend(keys);
        }
    });
    faults
}

fn top_level(document: &mut Document, mut top: Section<'_>, into: &mut Written) {
    match top.integer("version", 0..=u32::MAX, document) {
        Some(version) if version.value == 1 => {}
        Some(version) => document.fault(&version.place, "this version reads policies of `version = 1` only"),
        None => document.fault(&top.place.clone(), "a policy begins with `version = 1`"),
    }
    into.unlisted_tables.extend(top.string("unlisted_tables", document));
    tables(document, &mut top, into);
    if let Some(mut section) = top.section("columns", document) {
        for (pattern, node) in section.rest() {
            into.columns.extend(node.string(document).map(|category| (pattern, category)));
        }
    }
    for (name, section) in named(&mut top, "categories", document) {
        into.categories.push(category(document, name, section));
    }
    for (name, section) in named(&mut top, "purposes", document) {
        into.purposes.push(purpose(document, name, section));
    }
    if let Some(section) = top.section("consent", document) {
        into.consent.push(consent(document, section, true));
    }
    if let Some(section) = top.section("objections", document) {
        into.objections.push(consent(document, section, true));
    }
    if let Some(section) = top.section("restrictions", document) {
        into.restrictions.push(consent(document, section, false));
    }
    if let Some(section) = top.section("direct_marketing", document) {
        into.marketing.push(marketing(document, section));
    }
    for section in top.sections("compatible", document) {
        into.compatible.push(compatible(document, section));
    }
    for (name, section) in named(&mut top, "roles", document) {
        into.roles.push(role(document, name, section));
    }
    for section in top.sections("rules", document) {
        into.rules.push(rule(document, section));
    }
    if let Some(mut section) = top.section("settings", document) {
        into.settings.extend(section.strings("allow", document));
        section.finish(document);
    }
    if let Some(mut section) = top.section("notifications", document) {
        into.channels.extend(section.strings("allow", document));
        section.finish(document);
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

/// The sections `[tables."schema.name"]`, and beside them patterns for columns: `"public.*.created_at" = "operational"`.
fn tables(document: &mut Document, top: &mut Section<'_>, into: &mut Written) {
    let Some(mut sections) = top.section("tables", document) else { return };
    for (name, node) in sections.rest() {
        if node.is_string() {
            into.columns.extend(node.string(document).map(|category| (name, category)));
        } else if let Some(section) = node.section(document) {
            into.tables.extend(table(document, &name, section));
        }
    }
}

fn table(document: &mut Document, name: &Located<String>, mut section: Section<'_>) -> Option<WrittenTable> {
    let keys = section.places();
    let relation = match name.value.parse::<RelationName>() {
        Ok(relation) => Some(Located { value: relation, place: name.place.clone() }),
        Err(_) => {
            document.fault(
                &name.place,
                format!("table `{}` must be written as \"schema.table\"; `*` in it stands for any letters", name.value),
            );
            None
        }
    };
    let (open, read_only) = section.take("open").map_or((false, false), |node| opened(node, document));
    let mut no_subject = false;
    let subject = section.take("subject").and_then(|node| {
        if node.is_boolean() {
            let written = node.boolean(document)?;
            no_subject = !written.value;
            if written.value {
                document
                    .fault(&written.place, "`subject` is a column, or `false` where the rows are of no data subject");
            }
            return None;
        }
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
    let purposes = section.take("purposes").and_then(|node| record_purposes(node, document));
    let star = section.string("star", document);
    let record_subjects = section.take("record_subjects").and_then(|node| record_subjects(node, document));
    // `retain = "5 years after closed_at"`, or one such text for each purpose.
    let retain = match section.take("retain") {
        None => Vec::new(),
        Some(node) if node.is_string() => node.string(document).map(|text| (None, text)).into_iter().collect(),
        Some(node) => node
            .section(document)
            .map(|mut by_purpose| by_purpose.rest())
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(purpose, node)| Some((Some(purpose), node.string(document)?)))
            .collect(),
    };
    let date_of_birth = section.string("date_of_birth", document);
    let identity_number = section.string("identity_number", document);
    let no_children = section.string("no_children", document);
    // `collected_for = ["support"]`, or one such list for each column.
    let collected_for = match section.take("collected_for") {
        None => Vec::new(),
        Some(node) if node.is_array() => vec![WrittenCollected { column: None, purposes: node.strings(document) }],
        Some(node) => node
            .section(document)
            .map(|mut by_column| by_column.rest())
            .unwrap_or_default()
            .into_iter()
            .map(|(column, node)| WrittenCollected { column: Some(column), purposes: node.strings(document) })
            .collect(),
    };
    section.finish(document);
    Some(WrittenTable {
        name: relation?,
        keys,
        purposes,
        open,
        read_only,
        no_subject,
        subject,
        columns,
        star,
        record_subjects,
        retain,
        date_of_birth,
        identity_number,
        no_children,
        collected_for,
    })
}

/// `purposes = "allowed_for"`, or a table that says it of each record.
fn record_purposes(node: Node<'_>, document: &mut Document) -> Option<WrittenRecordPurposes> {
    let place = node.place.clone();
    if node.is_string() {
        let column = node.string(document);
        return Some(WrittenRecordPurposes { place, column, table: None, record: None, key: None, purpose: None });
    }
    let mut inner = node.section(document)?;
    let written = WrittenRecordPurposes {
        place: place.clone(),
        column: None,
        table: inner.string("table", document),
        record: inner.string("record", document),
        key: inner.string("key", document),
        purpose: inner.string("purpose", document),
    };
    let given =
        [("table", &written.table), ("record", &written.record), ("key", &written.key), ("purpose", &written.purpose)];
    let missing: Vec<&str> = given.into_iter().filter(|(_, given)| given.is_none()).map(|(key, _)| key).collect();
    if !missing.is_empty() {
        document.fault(&place, format!("`purposes` as a table lacks {}", quoted(missing)));
    }
    inner.finish(document);
    Some(written)
}

/// `open = true`, or `"read"`: whether it is open, and whether nobody writes to it.
fn opened(node: Node<'_>, document: &mut Document) -> (bool, bool) {
    if !node.is_string() {
        return (node.boolean(document).is_some_and(|open| open.value), false);
    }
    match node.string(document) {
        Some(written) if written.value == "read" => (true, true),
        Some(written) => {
            let message = format!("`open` is `true`, `false` or `\"read\"`, and not `{}`", written.value);
            document.fault(&written.place, message);
            (false, false)
        }
        None => (false, false),
    }
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
    let special = section.boolean("special", document);
    let mask = section.string("mask", document);
    let default = section.string("default", document);
    section.finish(document);
    WrittenCategory { name, special, mask, default }
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
        // `transfer_ground` is how it was spelled first.
        country_ground: {
            let older = section.string("transfer_ground", document);
            section.string("country_ground", document).or(older)
        },
        lookup_limit: section.integer("lookup_limit", 1..=100_000, document).map(|limit| limit.value),
        actor: section.string("actor", document),
        actor_from: section.string("actor_from_application", document),
        unrestricted: section.string("unrestricted", document),
        ddl: section.boolean("ddl", document).is_some_and(|ddl| ddl.value),
        training: section.string("training", document),
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
    // `rows = "condition"`, or one condition for each table.
    let rows = match section.take("rows") {
        None => Vec::new(),
        Some(node) if node.is_string() => node.string(document).map(|text| (None, text)).into_iter().collect(),
        Some(node) => node
            .section(document)
            .map(|mut by_table| by_table.rest())
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(table, node)| Some((Some(table), node.string(document)?)))
            .collect(),
    };
    let written = WrittenRule {
        place: section.place.clone(),
        rows,
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
        child_ground: section.string("child_ground", document),
        keep_masked: section.boolean("keep_masked", document).is_some_and(|keep| keep.value),
        lookup_limit: section.integer("lookup_limit", 1..=100_000, document).map(|limit| limit.value),
        own: section.string("own", document),
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
        actor: section.string("actor", document).map(|actor| actor.value),
        sql: section.string("sql", document),
        expect: section.string("expect", document),
        reason: section.string("reason", document).map(|reason| reason.value),
    };
    section.finish(document);
    written
}
