//! The tables of a database as a scan needs them: names, types under domains, comments, keys.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

/// One table, partitioned table, foreign table or materialized view that is nobody's partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `pg_class.relkind`.
    pub kind: Relkind,
    /// `pg_class.reltuples`; below zero: never counted.
    pub rows: f64,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// The columns of the primary key.
    pub primary_key: Vec<String>,
    /// Its foreign keys of one column.
    pub foreign_keys: Vec<ForeignKey>,
}

/// What rows are read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Relkind {
    /// Holds its rows itself.
    #[default]
    Table,
    /// Its partitions do.
    Partitioned,
    /// Another server does.
    Foreign,
    /// A materialized view.
    Materialized,
}

/// One column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type under every domain, as PostgreSQL writes it; arrays end in `[]`.
    pub type_sql: String,
    /// Its comment.
    pub comment: Option<String>,
}

/// A column that holds the key of another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The column.
    pub column: String,
    /// The other table's schema and name.
    pub table: (String, String),
    /// The column there.
    pub references: String,
}

/// Reads the tables that the login may see the names of: every schema but the system's own, sorted by name.
///
/// # Errors
/// The database's.
pub async fn read_tables(client: &Client) -> Result<Vec<Table>, Error> {
    let mut tables: BTreeMap<u32, Table> = BTreeMap::new();
    for row in client.query(TABLES, &[]).await? {
        let kind = match row.try_get::<_, String>(3)?.as_str() {
            "p" => Relkind::Partitioned,
            "f" => Relkind::Foreign,
            "m" => Relkind::Materialized,
            _ => Relkind::Table,
        };
        let rows = f64::from(row.try_get::<_, f32>(4)?);
        tables.insert(
            row.try_get(0)?,
            Table { schema: row.try_get(1)?, name: row.try_get(2)?, kind, rows, ..Table::default() },
        );
    }
    for row in client.query(COLUMNS, &[]).await? {
        if let Some(table) = tables.get_mut(&row.try_get::<_, u32>(0)?) {
            table.columns.push(Column { name: row.try_get(1)?, type_sql: row.try_get(2)?, comment: row.try_get(3)? });
        }
    }
    for row in client.query(KEYS, &[]).await? {
        let Some(table) = tables.get_mut(&row.try_get::<_, u32>(0)?) else { continue };
        let columns: Vec<String> = row.try_get(2)?;
        let primary: bool = row.try_get(1)?;
        let other: Option<String> = row.try_get(4)?;
        match (primary, columns.as_slice(), other) {
            (true, ..) => table.primary_key = columns,
            (false, [column], Some(references)) => {
                let (schema, name): (Option<String>, Option<String>) = (row.try_get(3)?, row.try_get(5)?);
                table.foreign_keys.push(ForeignKey {
                    column: column.clone(),
                    table: (schema.unwrap_or_default(), name.unwrap_or_default()),
                    references,
                });
            }
            (false, ..) => {}
        }
    }
    let mut tables: Vec<Table> = tables.into_values().collect();
    tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    Ok(tables)
}

const TABLES: &str = r"
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.reltuples
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')";

/// A domain is followed to the type under it.
const COLUMNS: &str = r"
    WITH RECURSIVE under AS (
        SELECT t.oid AS of, t.oid AS at FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
        UNION ALL
        SELECT u.of, t.typbasetype FROM under u JOIN pg_catalog.pg_type t ON t.oid = u.at WHERE t.typtype = 'd'),
    base AS (SELECT u.of, u.at FROM under u JOIN pg_catalog.pg_type t ON t.oid = u.at WHERE t.typtype <> 'd')
    SELECT a.attrelid, a.attname::text,
           COALESCE(pg_catalog.format_type(b.at, NULL), pg_catalog.format_type(a.atttypid, a.atttypmod)),
           pg_catalog.col_description(a.attrelid, a.attnum)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    LEFT JOIN base b ON b.of = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'm') AND c.oid >= 16384
    ORDER BY a.attrelid, a.attnum";

const KEYS: &str = r"
    SELECT k.conrelid, k.contype = 'p',
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(n, i)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
           n.nspname::text,
           (SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1]),
           c.relname::text
    FROM pg_catalog.pg_constraint k
    LEFT JOIN pg_catalog.pg_class c ON c.oid = k.confrelid LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype IN ('p', 'f') AND k.conrelid <> 0
    ORDER BY k.conrelid, k.conname";
