//! Who a person is: their keys, by what they are reached or known by.
//!
//! The columns are those that the policies name for it (`[direct_marketing] contacts`), and those of the person's tables whose names say
//! that they hold such a thing. Values are compared in one form ([`ContactKind::normalised`]); no value is logged or kept.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::GenericClient;

use super::deletion::Trouble;
use super::map::{Held, PersonMap, Way, list};
use super::shape::Table;
use crate::catalog::{RelationName, quote_ident};
use crate::policy::{ContactKind, PolicySet};
use crate::scan::{Facts, Kind, Lexicon, Verdict, judge_table};
use crate::sql::contact_form;

/// A column by which people are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The table's position.
    pub table: usize,
    /// The column.
    pub column: String,
    /// What it holds.
    pub kind: ContactKind,
}

/// One key that somebody has, and where it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// By key: the columns that held what was asked for.
    pub keys: BTreeMap<String, BTreeSet<String>>,
    /// There are more keys than are told.
    pub more: bool,
}

/// So many keys are told of one column.
const MOST: i64 = 20;

/// The columns by which people of the map's register are found.
pub fn known(map: &PersonMap<'_>, policies: &PolicySet, lexicon: &Lexicon) -> Vec<Known> {
    let mut known = Vec::new();
    for held in map.held.iter().filter(|held| held.owned.is_some()) {
        let Some(table) = map.table(held) else { continue };
        for (column, verdict) in table.columns.iter().zip(by_name(table, lexicon)) {
            let by_policy = policies.contact_kind(&table.name, &column.name);
            let by_its_name = match verdict.kind {
                Some(Kind::Email) => Some(ContactKind::Email),
                Some(Kind::Phone) => Some(ContactKind::Phone),
                Some(Kind::NationalId) => Some(ContactKind::IdNumber),
                Some(_) | None => None,
            };
            if let Some(kind) = by_policy.or(by_its_name).filter(|_| matches!(column.category, 'S' | 'N' | 'U')) {
                known.push(Known { table: held.table, column: column.name.clone(), kind });
            }
        }
    }
    known
}

/// For each column of that kind a query for keys and what stands there, as `key` and `contact`, where its one form is `$1`.
pub fn searched(map: &PersonMap<'_>, known: &[Known], kind: ContactKind) -> Vec<String> {
    let columns = known.iter().filter(|known| known.kind == kind);
    let texts = columns.filter_map(|column| {
        let (table, held) = (map.shape.tables.get(column.table)?, map.held_at(column.table)?);
        let value = format!("held.{}", quote_ident(&column.column));
        Some(format!(
            "SELECT {} AS key, {value}::pg_catalog.text AS contact FROM {} AS held WHERE {} = $1",
            key_of(map, held)?,
            table.name.to_sql(),
            normal(kind, &value)
        ))
    });
    texts.collect()
}

/// The keys of people of whom one of these columns holds the value.
///
/// # Errors
/// The value holds nothing of its kind, no column does, or the database's.
pub async fn find(
    client: &impl GenericClient,
    map: &PersonMap<'_>,
    known: &[Known],
    kind: ContactKind,
    value: &str,
) -> Result<Found, Trouble> {
    let wanted = kind.normalised(value).ok_or_else(|| Trouble::Refused(format!("that is no {}", kind.name())))?;
    let columns: Vec<&Known> = known.iter().filter(|known| known.kind == kind).collect();
    if columns.is_empty() {
        return Err(Trouble::Refused(format!(
            "no column is known to hold an {}: name one under `[direct_marketing] contacts`",
            kind.name()
        )));
    }
    let mut found = Found::default();
    for column in columns {
        let (Some(table), Some(held)) = (map.shape.tables.get(column.table), map.held_at(column.table)) else {
            continue;
        };
        let Some(key) = key_of(map, held) else { continue };
        let sql = format!(
            "SELECT DISTINCT found.key FROM (SELECT {key} AS key FROM {} AS held WHERE {} = $1) AS found \
             WHERE found.key IS NOT NULL LIMIT {}",
            table.name.to_sql(),
            normal(kind, &format!("held.{}", quote_ident(&column.column))),
            MOST + 1
        );
        let rows = client.query(&sql, &[&wanted]).await?;
        found.more |= i64::try_from(rows.len()).is_ok_and(|rows| rows > MOST);
        for row in rows.iter().take(usize::try_from(MOST).unwrap_or_default()) {
            let place = format!("{}.{}", table.name, column.column);
            found.keys.entry(row.try_get(0)?).or_default().insert(place);
        }
    }
    Ok(found)
}

/// Whether the register has a row of that key.
///
/// # Errors
/// The key does not fit its column, or the database's.
pub async fn exists(client: &impl GenericClient, map: &PersonMap<'_>, subject: &str) -> Result<bool, Trouble> {
    let Some((held, table)) = map.held_at(map.register).and_then(|held| Some((held, map.table(held)?))) else {
        return Ok(false);
    };
    let Some(owned) = map.is_owned(held, "held") else { return Ok(false) };
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {} AS held WHERE {owned})", table.name.to_sql());
    Ok(client.query_one(&sql, &[&subject]).await?.try_get(0)?)
}

/// The key of the person whose row `held` is, as text.
fn key_of(map: &PersonMap<'_>, held: &Held) -> Option<String> {
    Some(value(map, held.owned.as_ref()?, "held", 0))
}

fn value(map: &PersonMap<'_>, way: &Way, row: &str, depth: usize) -> String {
    match way {
        Way::Column(column) => format!("{}.{}::pg_catalog.text", quote_ident(row), quote_ident(column)),
        Way::Through { columns, table, to, next } => {
            let step = format!("way{depth}");
            let name = map.shape.tables.get(*table).map(|table| table.name.to_sql()).unwrap_or_default();
            format!(
                "(SELECT {} FROM {name} AS {step} WHERE ({}) = ({}) LIMIT 1)",
                value(map, next, &step, depth + 1),
                list(&step, to),
                list(row, columns)
            )
        }
    }
}

/// The one form of a column's value; an identity number may have lost its zeros at the front.
fn normal(kind: ContactKind, column: &str) -> String {
    let form = contact_form(&format!("{column}::pg_catalog.text"), kind);
    match kind {
        ContactKind::Email | ContactKind::Phone => form,
        ContactKind::IdNumber => format!("pg_catalog.lpad({form}, GREATEST(13, pg_catalog.length({form})), '0')"),
    }
}

/// What the names of a table's columns say that they hold.
fn by_name(table: &Table, lexicon: &Lexicon) -> Vec<Verdict> {
    let facts: Vec<Facts> = table
        .columns
        .iter()
        .map(|column| Facts { name: column.name.clone(), type_sql: column.type_sql.clone(), ..Facts::default() })
        .collect();
    judge_table(&table.name.name, &facts, lexicon)
}

/// A column of a person's own row that ends an address, though a city alone says nothing of anybody.
fn is_place(column: &str) -> bool {
    const PLACES: [&str; 6] = ["city", "town", "province", "stad", "dorp", "provinsie"];
    let name = column.to_lowercase();
    PLACES.iter().any(|place| name.strip_suffix(place).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
}

/// One person's own row as the regulations' forms ask for it, as `name`, `address`, `email` and `phone`: the query, whose `$1` is the key.
/// Columns are known by their names, as those of [`known`] are; what no policy lists, or what is special, is not in it (POPIA s10, s26).
pub fn described(map: &PersonMap<'_>, policies: &PolicySet, lexicon: &Lexicon) -> Option<String> {
    let held = map.held_at(map.register)?;
    let table = map.table(held)?;
    let owned = map.is_owned(held, "held")?;
    let is_listed = |column: &str| {
        policies.category_at(&table.name, column).is_some_and(|(category, _)| !policies.is_special(category))
    };
    let kinds: Vec<(&str, Option<Kind>)> = table
        .columns
        .iter()
        .zip(by_name(table, lexicon))
        .filter(|(column, _)| matches!(column.category, 'S' | 'N' | 'U') && is_listed(&column.name))
        .map(|(column, verdict)| (column.name.as_str(), verdict.kind.or(verdict.suggested)))
        .collect();
    let part = |wanted: &[Kind], places: bool, by_policy: Option<ContactKind>, between: &str| {
        let columns: Vec<String> = kinds
            .iter()
            .filter(|(column, kind)| {
                let contact = policies.contact_kind(&table.name, column);
                match by_policy.filter(|_| contact.is_some()) {
                    Some(by_policy) => contact == Some(by_policy),
                    None => kind.is_some_and(|kind| wanted.contains(&kind)) || places && is_place(column),
                }
            })
            .map(|(column, _)| format!("NULLIF(pg_catalog.btrim(held.{}::pg_catalog.text), '')", quote_ident(column)))
            .collect();
        match columns.as_slice() {
            [] => "NULL::pg_catalog.text".to_owned(),
            columns => format!("pg_catalog.concat_ws('{between}', {})", columns.join(", ")),
        }
    };
    Some(format!(
        "SELECT {}, {}, {}, {} FROM {} AS held WHERE {owned} LIMIT 1",
        part(&[Kind::PersonName], false, None, " "),
        part(&[Kind::Address, Kind::Area], true, None, ", "),
        part(&[Kind::Email], false, Some(ContactKind::Email), ", "),
        part(&[Kind::Phone], false, Some(ContactKind::Phone), ", "),
        table.name.to_sql()
    ))
}

/// The register's name.
pub fn people(map: &PersonMap<'_>) -> Option<RelationName> {
    map.shape.tables.get(map.register).map(|table| table.name.clone())
}
