//! A bounded look at the rows of one table. What is read stays in memory for as long as the table is judged.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::judge::{Class, Facts, Sample};
use super::structure::{Relkind, Table};

/// How much is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of a table at most.
    pub rows: usize,
    /// No statement runs longer.
    pub statement_ms: u64,
    /// No statement waits longer for a lock.
    pub lock_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 500, statement_ms: 5_000, lock_ms: 300 }
    }
}

/// Why a table's rows could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// Somebody else holds a lock on it.
    Locked,
    /// Reading took longer than its limit.
    TooSlow,
    /// The login may not read it.
    NotAllowed,
    /// Anything else; the SQLSTATE.
    Failed(String),
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked => f.write_str("locked by somebody else"),
            Self::TooSlow => f.write_str("reading it took too long"),
            Self::NotAllowed => f.write_str("the login may not read it"),
            Self::Failed(state) => write!(f, "the database refused ({state})"),
        }
    }
}

/// Columns of one statement at most, and cells of a table: together they bound what is in memory.
const COLUMNS: usize = 60;
const CELLS: usize = 40_000;
/// A longer text is cut here; a longer document is left out.
const TEXT: usize = 1_000;
const DOCUMENT: usize = 20_000;
/// A table with fewer rows is read from its beginning.
const SMALL: f64 = 5_000.0;

/// Sets a session up for scanning: it can write nothing, waits for nothing, and reads the same rows each time.
///
/// # Errors
/// The database's.
pub async fn prepare_session(client: &Client, limits: Limits) -> Result<(), Error> {
    client
        .batch_execute(&format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {}; SET lock_timeout = {}; SET synchronize_seqscans = off; \
             SET search_path = ''; SET bytea_output = 'hex'; SET intervalstyle = 'iso_8601'; SET datestyle = 'ISO, YMD'; SET max_parallel_workers_per_gather = 0",
            limits.statement_ms, limits.lock_ms
        ))
        .await
}

/// The facts of a table's columns without values.
pub fn facts(table: &Table) -> Vec<Facts> {
    let facts = |column: &super::structure::Column| Facts {
        name: column.name.clone(),
        type_sql: column.type_sql.clone(),
        comment: column.comment.clone(),
        sample: None,
    };
    table.columns.iter().map(facts).collect()
}

/// The same with values of some rows; binary columns are left without.
///
/// # Errors
/// It could not be read; the session goes on.
pub async fn sampled_facts(client: &Client, table: &Table, limits: Limits) -> Result<Vec<Facts>, Skipped> {
    let mut facts = facts(table);
    let rows = (CELLS / table.columns.len().max(1)).clamp(50, limits.rows.max(1)).min(limits.rows);
    for chunk in facts.chunks_mut(COLUMNS) {
        let readable: Vec<usize> = (0..chunk.len())
            .filter(|at| chunk.get(*at).is_some_and(|facts| Class::of(&facts.type_sql) != Class::Bytes))
            .collect();
        let columns: Vec<String> = readable.iter().filter_map(|at| chunk.get(*at)).map(selected).collect();
        if columns.is_empty() {
            continue;
        }
        let messages = client.simple_query(&statement(table, &columns, rows)).await.map_err(|error| reason(&error))?;
        let mut samples: Vec<Sample> = readable.iter().map(|_| Sample::default()).collect();
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else { continue };
            for (at, sample) in samples.iter_mut().enumerate() {
                match row.try_get(at).ok().flatten() {
                    Some(value) => sample.values.push(value.to_owned()),
                    None => sample.absent.push(sample.rows),
                }
                sample.rows += 1;
            }
        }
        for (at, sample) in readable.into_iter().zip(samples) {
            if let Some(facts) = chunk.get_mut(at) {
                facts.sample = Some(sample);
            }
        }
    }
    Ok(facts)
}

fn selected(facts: &Facts) -> String {
    let name = quoted(&facts.name);
    match Class::of(&facts.type_sql) {
        Class::Document => format!("CASE WHEN pg_catalog.length(t.{name}::text) <= {DOCUMENT} THEN t.{name}::text END"),
        _ => format!("pg_catalog.left(t.{name}::text, {TEXT})"),
    }
}

/// A large table is looked at in places all over it, the same ones each time.
fn statement(table: &Table, columns: &[String], rows: usize) -> String {
    let wanted = f64::from(u32::try_from(rows).unwrap_or(u32::MAX));
    let spread =
        table.rows > SMALL && matches!(table.kind, Relkind::Table | Relkind::Partitioned | Relkind::Materialized);
    let sample = if spread {
        let percent = (wanted * 400.0 / table.rows).clamp(0.000_1, 100.0);
        format!(" TABLESAMPLE SYSTEM ({percent:.6}) REPEATABLE (1)")
    } else {
        String::new()
    };
    let from = format!("{}.{} AS t", quoted(&table.schema), quoted(&table.name));
    let list = columns.join(", ");
    // Few blocks may hold no row; then the beginning of the table has to do.
    if spread {
        format!(
            "WITH spread AS MATERIALIZED (SELECT {list_as} FROM {from}{sample} LIMIT {rows}) \
             SELECT * FROM spread UNION ALL SELECT * FROM (SELECT {list_as} FROM {from} LIMIT {rows}) AS first WHERE NOT EXISTS (SELECT FROM spread)",
            list_as = columns
                .iter()
                .enumerate()
                .map(|(at, column)| format!("{column} AS c{at}"))
                .collect::<Vec<_>>()
                .join(", ")
        )
    } else {
        format!("SELECT {list} FROM {from} LIMIT {rows}")
    }
}

/// A name that means itself in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn reason(error: &Error) -> Skipped {
    match error.code() {
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => Skipped::Locked,
        Some(code) if *code == SqlState::QUERY_CANCELED => Skipped::TooSlow,
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Skipped::NotAllowed,
        Some(code) => Skipped::Failed(code.code().to_owned()),
        None => Skipped::Failed("connection".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        let table =
            Table { schema: "a\"b".to_owned(), name: "c; DROP TABLE d".to_owned(), rows: 10.0, ..Table::default() };
        let facts = Facts { name: "x\"y".to_owned(), type_sql: "text".to_owned(), ..Facts::default() };
        let text = statement(&table, &[selected(&facts)], 5);
        assert_eq!(
            text,
            "SELECT pg_catalog.left(t.\"x\"\"y\"::text, 1000) FROM \"a\"\"b\".\"c; DROP TABLE d\" AS t LIMIT 5"
        );
    }

    #[test]
    fn a_large_table_is_looked_at_in_places_all_over_it() {
        let table = Table { schema: "s".to_owned(), name: "t".to_owned(), rows: 1e9, ..Table::default() };
        let text = statement(&table, &["t.a".to_owned()], 500);
        assert!(text.contains("TABLESAMPLE SYSTEM (0.000200) REPEATABLE (1)") && text.contains("LIMIT 500"), "{text}");
    }
}
