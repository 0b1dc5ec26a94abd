//! Validates the tables in which the database keeps what data subjects wish: consents, objections, restrictions, and what
//! direct marketing needs to know.

use std::collections::BTreeMap;

use super::births::listed;
use super::condition;
use super::source::{WrittenConsent, WrittenDirect, WrittenMarketing};
use super::told::{twice, unknown};
use crate::catalog::{RelationName, quote_ident};
use crate::document::{Fault, Located};
use crate::policy::model::set::key;
use crate::policy::model::{
    CURSOR_SECONDS, ConsentSource, ContactKind, Customers, DirectMarketing, ExclusionList, ExclusionSource,
    LOCK_SECONDS, MarketingSource, PolicySet, Table, Target,
};

/// `[consent]`.
pub(in crate::policy) fn consent(written: Vec<WrittenConsent>, faults: &mut Vec<Fault>) -> Option<ConsentSource> {
    let mut source: Option<ConsentSource> = None;
    for consent in written {
        if let Some(before) = &source {
            twice("section", "consent", &consent.place, &before.place, faults);
        }
        // What is missing was noted when the file was read.
        for column in [&consent.evidence, &consent.given_at].into_iter().flatten() {
            named(column, faults);
        }
        let column = |column: &Option<Located<String>>| column.as_ref().map(|column| column.value.clone());
        let (evidence, given_at) = (column(&consent.evidence), column(&consent.given_at));
        let lock_seconds = consent.lock_seconds.as_ref().map_or(LOCK_SECONDS, |seconds| seconds.value);
        let cursor_seconds = consent.cursor_seconds.as_ref().map_or(CURSOR_SECONDS, |seconds| seconds.value.into());
        if let Some((consent, Some(purpose))) = checked(consent, faults) {
            let Checked { table, subject, active, place } = consent;
            let active = live(&active, evidence.as_deref(), given_at.as_deref());
            source = Some(ConsentSource {
                table,
                subject,
                purpose,
                active,
                evidence,
                given_at,
                cursor_seconds,
                lock_seconds,
                place,
            });
        }
    }
    source
}

/// The condition of a live consent: the policy's own, with its evidence, and given by now. The statement's own time is
/// taken, since a transaction may have begun before the consent was given.
fn live(active: &str, evidence: Option<&str>, given_at: Option<&str>) -> String {
    if evidence.is_none() && given_at.is_none() {
        return active.to_owned();
    }
    let mut condition = format!("({active})");
    if let Some(column) = evidence {
        condition += &format!(" AND btrim({}::text) <> ''", quote_ident(column));
    }
    if let Some(column) = given_at {
        condition += &format!(" AND {} <= statement_timestamp()", quote_ident(column));
    }
    condition
}

/// `[objections]` or `[restrictions]`.
pub(in crate::policy) fn exclusion(
    list: ExclusionList,
    written: Vec<WrittenConsent>,
    faults: &mut Vec<Fault>,
) -> Option<ExclusionSource> {
    let mut source: Option<ExclusionSource> = None;
    for exclusion in written {
        if let Some(before) = &source {
            twice("section", list.name(), &exclusion.place, &before.place, faults);
        }
        // What is not proved is left out all the same.
        for column in [&exclusion.evidence, &exclusion.given_at].into_iter().flatten() {
            let message =
                format!("`{}` needs no `evidence` and no `given_at`: each row that is in force counts", list.name());
            faults.push(Fault::error(&column.place, message));
        }
        for (key, seconds) in [("cursor_seconds", &exclusion.cursor_seconds), ("lock_seconds", &exclusion.lock_seconds)]
        {
            if let Some(seconds) = seconds {
                let message = format!("`{key}` stands in `[consent]`, and not in `[{}]`", list.name());
                faults.push(Fault::error(&seconds.place, message));
            }
        }
        if let Some((exclusion, purpose)) = checked(exclusion, faults) {
            let Checked { table, subject, active, place } = exclusion;
            source = Some(ExclusionSource { list, table, subject, purpose, active, place });
        }
    }
    source
}

struct Checked {
    table: RelationName,
    subject: String,
    active: String,
    place: crate::document::Place,
}

fn checked(written: WrittenConsent, faults: &mut Vec<Fault>) -> Option<(Checked, Option<String>)> {
    let table = written.table.and_then(|table| relation(&table, faults));
    if let Some(active) = &written.active {
        plain("active", active, faults);
    }
    for column in [&written.subject, &written.purpose].into_iter().flatten() {
        named(column, faults);
    }
    let place = written.place;
    Some((
        Checked { table: table?, subject: written.subject?.value, active: written.active?.value, place },
        written.purpose.map(|purpose| purpose.value),
    ))
}

fn relation(text: &Located<String>, faults: &mut Vec<Fault>) -> Option<RelationName> {
    let relation = text.value.parse::<RelationName>();
    if relation.is_err() {
        faults.push(Fault::error(&text.place, format!("`{}` must be written as schema.table", text.value)));
    }
    relation.ok()
}

fn plain(key: &str, text: &Located<String>, faults: &mut Vec<Fault>) {
    if let Err(why) = condition::check(&text.value) {
        faults.push(Fault::error(&text.place, format!("`{key}` is not a plain SQL condition: {why}")));
    }
}

fn named(column: &Located<String>, faults: &mut Vec<Fault>) {
    if column.value.trim().is_empty() {
        faults.push(Fault::error(&column.place, "the column's name is empty"));
    }
}

/// `[direct_marketing]`; its contacts are columns of tables that are listed.
pub(in crate::policy) fn marketing(
    written: Vec<WrittenMarketing>,
    tables: &BTreeMap<RelationName, Table>,
    faults: &mut Vec<Fault>,
) -> MarketingSource {
    let mut source: Option<MarketingSource> = None;
    for marketing in written {
        if let Some(before) = &source {
            twice("section", "direct_marketing", &marketing.place, &before.place, faults);
        }
        let approaches = marketing.approaches.and_then(|table| relation(&table, faults)).map(|table| {
            let subject = marketing.subject.map_or_else(
                || "subject_id".to_owned(),
                |subject| {
                    named(&subject, faults);
                    subject.value
                },
            );
            (table, subject)
        });
        let lists = marketing.opt_out_lists.and_then(|table| relation(&table, faults));
        let opt_outs = marketing.opt_outs.and_then(|table| relation(&table, faults)).map(|table| {
            let lists = lists.unwrap_or_else(|| RelationName::new(&table.schema, "opt_out_lists"));
            (table, lists)
        });
        let mut contacts = BTreeMap::new();
        for (kind, column) in marketing.contacts {
            let Some(known) = ContactKind::ALL.into_iter().find(|known| known.name() == kind.value) else {
                let names: Vec<String> = ContactKind::ALL.iter().map(|kind| kind.name().to_owned()).collect();
                faults.push(Fault::error(&kind.place, unknown("contact", &kind.value, names.iter())));
                continue;
            };
            match full_column(&column.value, tables) {
                Ok((table, column)) => {
                    contacts.insert(known, (table, column));
                }
                Err(message) => faults.push(Fault::error(&column.place, message)),
            }
        }
        source = Some(MarketingSource { approaches, opt_outs, contacts, place: marketing.place });
    }
    source.unwrap_or_default()
}

/// A column of a table whose rows are found by a column that names the subject.
fn full_column(text: &str, tables: &BTreeMap<RelationName, Table>) -> Result<(RelationName, String), String> {
    let Ok(Target::Column(table, column)) = text.parse::<Target>() else {
        return Err(format!("`{text}` must be written as schema.table.column"));
    };
    listed(&table, &column, tables)?;
    if tables.get(&table).and_then(key).is_none() {
        return Err(format!("`{table}` has no column of its own as `subject` by which its rows are found"));
    }
    Ok((table, column))
}

/// `direct_marketing` of a purpose.
pub(in crate::policy) fn direct(written: WrittenDirect, set: &PolicySet, faults: &mut Vec<Fault>) -> DirectMarketing {
    let customers = written.customers.and_then(|text| match text.value.parse::<Target>() {
        Ok(Target::Column(table, subject)) => {
            if let Err(message) = listed(&table, &subject, &set.tables) {
                faults.push(Fault::error(&text.place, message));
            }
            let condition = written.customers_where.as_ref().map(|condition| {
                plain("customers_where", condition, faults);
                condition.value.clone()
            });
            Some(Customers { table, subject, condition })
        }
        Ok(Target::Category(_)) | Err(_) => {
            let message = format!(
                "`customers` is the column that names who bought, written as schema.table.column, and not `{}`",
                text.value
            );
            faults.push(Fault::error(&text.place, message));
            None
        }
    });
    if let (None, Some(condition)) = (&customers, &written.customers_where) {
        faults.push(Fault::error(&condition.place, "`customers_where` needs `customers`"));
    }
    if written.first_approach && set.marketing.approaches.is_none() {
        let message =
            "`first_approach` needs the register of approaches: `[direct_marketing] approaches` (POPIA s69(2))";
        faults.push(Fault::error(&written.place, message));
    }
    if let Some(days) = &written.opt_outs_days
        && (set.marketing.opt_outs.is_none() || set.marketing.contacts.is_empty())
    {
        let message = "`opt_outs_days` needs the list, and what people are reached by: `opt_outs` and `contacts` of `[direct_marketing]`";
        faults.push(Fault::error(&days.place, message));
    }
    DirectMarketing {
        customers,
        first_approach: written.first_approach,
        opt_outs_days: written.opt_outs_days.map(|days| days.value),
    }
}
