//! Constraints, triggers, rules, foreign keys and partition keys, as far as they act or look at rows by themselves.

mod body;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::queries::with_called;
use crate::catalog::Oid;
use crate::catalog::automatic::{Automatic, Code, Events, Reference, ReferenceAction, Tie};
use crate::catalog::changes::{Read, Unapplied};

/// A word and JSON for each. Columns of expressions are read from PostgreSQL's own trees, where names are escaped, so that
/// none looks like a field. Left out are triggers of foreign keys, and functions that are built in or that a superuser's
/// extension brought.
pub(super) fn query() -> &'static str {
    static QUERY: LazyLock<String> = LazyLock::new(|| with_called(include_str!("automatic.sql")));
    &QUERY
}

/// Relation, what calls it, events as letters of [`Events`] and `c` for what may wait for COMMIT, schema and name of the function, its language and source.
type CodeRow = (Oid, String, String, Option<String>, Option<String>, Option<String>, Option<String>);
/// Relation referred to, name, relation that refers, its columns, columns referred to, what happens on DELETE and on UPDATE.
type ReferenceRow = (Oid, String, Oid, Vec<i16>, Vec<i16>, String, String);

/// What each relation does by itself, from the rows of [`query`].
///
/// # Errors
/// [`Unapplied::Unreadable`].
pub(in crate::catalog) fn read(rows: &Read<'_>) -> Result<BTreeMap<Oid, Automatic>, Unapplied> {
    let mut found: BTreeMap<Oid, Automatic> = BTreeMap::new();
    for (relation, what, columns) in rows.each::<(Oid, String, Vec<i16>)>("tie")? {
        found.entry(relation).or_default().ties.push(Tie { what, columns });
    }
    for (relation, name, from, columns, to, on_delete, on_update) in rows.each::<ReferenceRow>("reference")? {
        let (on_delete, on_update) = (action(&on_delete), action(&on_update));
        let reference = Reference { name, from, columns, to, on_delete, on_update };
        found.entry(relation).or_default().referenced.push(reference);
    }
    for row in rows.each::<CodeRow>("code")? {
        found.entry(row.0).or_default().code.push(code(row));
    }
    for (relation, columns) in rows.each::<(Oid, Vec<i16>)>("partition")? {
        found.entry(relation).or_default().partition_key = columns;
    }
    for (relation, read) in rows.each::<(Oid, Oid)>("policy")? {
        found.entry(relation).or_default().policies_read.push(read);
    }
    for automatic in found.values_mut() {
        automatic.sort();
    }
    Ok(found)
}

fn action(letter: &str) -> ReferenceAction {
    match letter {
        "a" | "r" => ReferenceAction::Refuse,
        "n" | "d" => ReferenceAction::Set,
        // Also what a later server might add: the most is assumed about it.
        _ => ReferenceAction::Cascade,
    }
}

fn code(row: CodeRow) -> Code {
    let (_, what, events, schema, name, language, source) = row;
    let on = Events {
        insert: events.contains('i'),
        update: events.contains('u'),
        delete: events.contains('d'),
        truncate: events.contains('t'),
        looked_through: events.contains('l'),
        found: events.contains('p'),
        of_parts: events.contains('k'),
    };
    let known = match (language.as_deref(), source) {
        // At COMMIT its function may be another than that which was looked at.
        _ if events.contains('c') => None,
        (Some("plpgsql"), Some(source)) => body::of_the_row_alone(&source),
        _ => None,
    };
    Code { what, on, function: schema.zip(name), only_row: known.is_some(), looks_at: known.unwrap_or_default() }
}
