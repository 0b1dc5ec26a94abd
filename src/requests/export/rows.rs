//! The rows of one table: which columns, and how they are written.

use std::io::Write;
use std::pin::pin;

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio_postgres::Transaction;

use super::{About, Written};
use crate::catalog::quote_ident;
use crate::requests::deletion::Trouble;
use crate::requests::map::{Held, PersonMap};
use crate::requests::shape::Column;

/// The rows of a table that concern the person, with what of each column is shown.
pub(super) struct Columns {
    names: Vec<String>,
    /// `SELECT` of every column as text, the first of which says whether the row is the person's own.
    select: String,
    count: String,
}

/// Rows that the page shows of each table.
const ON_PAGE: usize = 50;
/// Rows after which progress is told.
const TOLD: u64 = 1000;

impl Columns {
    pub(super) fn of(map: &PersonMap<'_>, held: &Held) -> Self {
        let Some(table) = map.table(held) else {
            return Self { names: Vec::new(), select: String::new(), count: String::new() };
        };
        let own = |row: &str| map.is_owned(held, row).unwrap_or_else(|| "false".to_owned());
        let named: Vec<(&Vec<String>, String)> = held
            .mentions
            .iter()
            .filter_map(|at| map.shape.references.get(*at))
            .filter_map(|reference| Some((&reference.columns, map.is_mentioned(reference, "held")?)))
            .collect();
        let any: Vec<String> = std::iter::once(own("held")).chain(named.iter().map(|(_, test)| test.clone())).collect();
        let shown: Vec<String> = table
            .columns
            .iter()
            .map(|column| {
                let value = format!("held.{}::pg_catalog.text", quote_ident(&column.name));
                let mut when: Vec<String> = Vec::new();
                // Another person's key is no part of what is held about this one.
                let of_another = refers_to_people(map, held, column);
                if !of_another {
                    when.push("held_own".to_owned());
                }
                when.extend(
                    named.iter().filter(|(columns, _)| columns.contains(&column.name)).map(|(_, test)| test.clone()),
                );
                if table.key.contains(&column.name) && held.table != map.register
                    || column.category == 'D' && !of_another
                {
                    when.push("true".to_owned());
                }
                let when = if when.is_empty() { "false".to_owned() } else { when.join(" OR ") };
                format!("CASE WHEN {when} THEN {value} END AS {}", quote_ident(&column.name))
            })
            .collect();
        let from = format!(
            "(SELECT row_of.*, COALESCE({}, false) AS held_own FROM {} AS row_of) AS held WHERE {}",
            own("row_of"),
            table.name.to_sql(),
            any.join(" OR ")
        );
        Self {
            names: table.columns.iter().map(|column| column.name.clone()).collect(),
            select: format!("SELECT held_own::pg_catalog.text, {} FROM {from}", shown.join(", ")),
            count: format!(
                "SELECT pg_catalog.count(*) FROM {} AS held WHERE {}",
                table.name.to_sql(),
                any.join(" OR ")
            ),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    pub(super) async fn counted(&self, transaction: &Transaction<'_>, subject: &str) -> Result<i64, Trouble> {
        Ok(transaction.query_one(&self.count, &[&subject]).await?.try_get(0)?)
    }
}

/// Whether a column refers to people, and not as the row's own person or one that the row names: staff who served a customer.
fn refers_to_people(map: &PersonMap<'_>, held: &Held, column: &Column) -> bool {
    map.shape.references.iter().any(|reference| {
        let one = reference.from == held.table && reference.columns == [column.name.as_str()];
        let own = matches!(&held.owned, Some(super::super::map::Way::Column(own)) if *own == column.name);
        one && !own && map.is_of_people(reference.to)
    })
}

async fn each<F: FnMut(Vec<Option<String>>) -> Result<(), Trouble>>(
    transaction: &Transaction<'_>,
    columns: &Columns,
    subject: &str,
    mut take: F,
) -> Result<(), Trouble> {
    let rows = transaction.query_raw(&columns.select, [subject]).await?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.try_next().await? {
        let cells: Result<Vec<Option<String>>, _> = (0..row.len()).map(|at| row.try_get(at)).collect();
        take(cells?)?;
    }
    Ok(())
}

/// As CSV (RFC 4180), with a heading; the first column says `own` or `names the person`.
pub(super) async fn csv(
    transaction: &Transaction<'_>,
    columns: &Columns,
    subject: &str,
    to: &mut impl Write,
    written: &mut Written,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Trouble> {
    let heading: Vec<Option<String>> =
        std::iter::once("whose".to_owned()).chain(columns.names.iter().cloned()).map(Some).collect();
    line(to, &heading)?;
    each(transaction, columns, subject, |mut cells| {
        let own = cells.first().is_some_and(|own| own.as_deref() == Some("true"));
        if let Some(whose) = cells.first_mut() {
            *whose = Some(if own { "own" } else { "names the person" }.to_owned());
        }
        let count = if own { &mut written.own } else { &mut written.named };
        *count += 1;
        let rows = written.own + written.named;
        if rows.is_multiple_of(TOLD) {
            progress(rows);
        }
        line(to, &cells)?;
        if written.first.len() < ON_PAGE {
            written.first.push(cells);
        }
        Ok(())
    })
    .await
}

fn line(to: &mut impl Write, cells: &[Option<String>]) -> Result<(), Trouble> {
    let cells: Vec<String> = cells.iter().map(|cell| cell.as_deref().map(cell_text).unwrap_or_default()).collect();
    Ok(to.write_all(format!("{}\r\n", cells.join(",")).as_bytes())?)
}

/// Between quotes where a reader could take it for more than one cell, or for a formula.
fn cell_text(text: &str) -> String {
    let formula =
        text.starts_with(['=', '@', '\t', '\r']) || (text.starts_with(['+', '-']) && text.parse::<f64>().is_err());
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) || formula {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// As one JSON object: `{"subject", "people", "tables": [{"table", "rows": [{"whose", "columns"}]}]}`.
pub(super) async fn json(
    transaction: &Transaction<'_>,
    map: &PersonMap<'_>,
    about: &About<'_>,
    all: &[Written],
    to: &mut impl Write,
) -> Result<(), Trouble> {
    let heading =
        json!({ "subject": about.subject, "people": about.people.to_string(), "made": about.today.to_string() });
    let heading = heading.to_string();
    to.write_all(heading.trim_end_matches('}').as_bytes())?;
    to.write_all(b",\"tables\":[")?;
    let mut first_table = true;
    for held in &map.held {
        let Some(table) = map.table(held) else { continue };
        let name = table.name.to_string();
        if !all.iter().any(|written| written.table == name) {
            continue;
        }
        let comma = if std::mem::take(&mut first_table) { "" } else { "," };
        to.write_all(format!("{comma}\n{{\"table\":{},\"rows\":[", Value::String(name)).as_bytes())?;
        let columns = Columns::of(map, held);
        let mut first_row = true;
        each(transaction, &columns, about.subject, |cells| {
            let own = cells.first().is_some_and(|own| own.as_deref() == Some("true"));
            let values: serde_json::Map<String, Value> =
                columns.names.iter().cloned().zip(cells.into_iter().skip(1).map(Value::from)).collect();
            let row = json!({ "whose": if own { "own" } else { "names the person" }, "columns": values });
            let comma = if std::mem::take(&mut first_row) { "" } else { "," };
            Ok(to.write_all(format!("{comma}\n{row}").as_bytes())?)
        })
        .await?;
        to.write_all(b"]}")?;
    }
    Ok(to.write_all(b"\n]}\n")?)
}

#[cfg(test)]
mod tests {
    use super::cell_text;

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        for (text, written) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("+27 82 555 0101", "\"'+27 82 555 0101\""),
            ("-5", "-5"),
            ("0825550101", "0825550101"),
        ] {
            assert_eq!(cell_text(text), written);
        }
    }
}
