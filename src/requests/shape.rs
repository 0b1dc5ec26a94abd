//! The tables of a database as a request needs them: what must be filled, what is unique, and every foreign key, of one column or more.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use crate::catalog::RelationName;

/// All tables but the system's own, and how they refer to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// In the order of their names.
    pub tables: Vec<Table>,
    /// In the order of the tables that refer, and their own names.
    pub references: Vec<Reference>,
}

/// One table that is nobody's partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Schema and name.
    pub name: RelationName,
    /// In their order.
    pub columns: Vec<Column>,
    /// The columns of the primary key.
    pub key: Vec<String>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as SQL.
    pub type_sql: String,
    /// The type under every domain, as `pg_type.typcategory` sorts it: `S` a text, `N` a number, `D` a date ...
    pub category: char,
    /// NULL may not stand in it, by the column's own word or its domain's.
    pub required: bool,
    /// It is part of a unique index.
    pub unique: bool,
    /// The database computes it: generated, or an identity.
    pub computed: bool,
    /// Characters that fit, where the type says so.
    pub most: Option<usize>,
}

/// A foreign key. Tables are positions in [`Shape::tables`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The constraint's name.
    pub name: String,
    /// The table that refers.
    pub from: usize,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub to: usize,
    /// Its columns.
    pub to_columns: Vec<String>,
    /// An index of the table that refers begins with these columns: without one each row that goes reads it whole.
    pub indexed: bool,
}

impl Shape {
    /// Reads it. One statement each, with names as the catalog has them.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(client: &Client) -> Result<Self, Error> {
        let mut positions: BTreeMap<u32, usize> = BTreeMap::new();
        let mut shape = Self::default();
        for row in client.query(TABLES, &[]).await? {
            let (schema, name): (String, String) = (row.try_get(1)?, row.try_get(2)?);
            positions.insert(row.try_get(0)?, shape.tables.len());
            shape.tables.push(Table {
                name: RelationName::new(schema, name),
                columns: Vec::new(),
                key: row.try_get(3)?,
            });
        }
        for row in client.query(COLUMNS, &[]).await? {
            let at = positions.get(&row.try_get::<_, u32>(0)?).copied();
            let Some(table) = at.and_then(|at| shape.tables.get_mut(at)) else { continue };
            let category: String = row.try_get(3)?;
            let most: Option<i32> = row.try_get(7)?;
            table.columns.push(Column {
                name: row.try_get(1)?,
                type_sql: row.try_get(2)?,
                category: category.chars().next().unwrap_or('X'),
                required: row.try_get(4)?,
                unique: row.try_get(5)?,
                computed: row.try_get(6)?,
                most: most.and_then(|most| usize::try_from(most).ok()),
            });
        }
        for row in client.query(REFERENCES, &[]).await? {
            let at = |oid: u32| positions.get(&oid).copied();
            let (Some(from), Some(to)) = (at(row.try_get(1)?), at(row.try_get(3)?)) else { continue };
            shape.references.push(Reference {
                name: row.try_get(0)?,
                from,
                columns: row.try_get(2)?,
                to,
                to_columns: row.try_get(4)?,
                indexed: row.try_get(5)?,
            });
        }
        Ok(shape)
    }

    /// Where a table stands.
    pub fn position(&self, name: &RelationName) -> Option<usize> {
        self.tables.iter().position(|table| table.name == *name)
    }
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

const TABLES: &str = r"
    SELECT c.oid, n.nspname::text, c.relname::text,
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_constraint k, pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(n, i),
                        pg_catalog.pg_attribute a
                 WHERE k.conrelid = c.oid AND k.contype = 'p' AND a.attrelid = c.oid AND a.attnum = u.n ORDER BY u.i)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 2, 3";

const COLUMNS: &str = r"
    WITH RECURSIVE under AS (
        SELECT t.oid AS of, t.oid AS at, t.typnotnull AS required, t.typtypmod AS mod FROM pg_catalog.pg_type t WHERE t.typtype = 'd'
        UNION ALL
        SELECT u.of, t.typbasetype, u.required OR t.typnotnull, t.typtypmod
        FROM under u JOIN pg_catalog.pg_type t ON t.oid = u.at WHERE t.typtype = 'd'),
    base AS (SELECT u.of, u.at, pg_catalog.bool_or(u.required) OVER (PARTITION BY u.of) AS required, t.typcategory AS category
             FROM under u JOIN pg_catalog.pg_type t ON t.oid = u.at)
    SELECT a.attrelid, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
           COALESCE((SELECT b.category::text FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.at WHERE b.of = a.atttypid AND t.typtype <> 'd' LIMIT 1),
                    t.typcategory::text),
           a.attnotnull OR COALESCE((SELECT pg_catalog.bool_or(b.required) FROM base b WHERE b.of = a.atttypid), false),
           EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey::int2[])),
           a.attgenerated <> '' OR a.attidentity <> '',
           CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 THEN a.atttypmod - 4 END
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND c.oid >= 16384
    ORDER BY a.attrelid, a.attnum";

/// Keys of partitions that stand for their table's own are left out.
const REFERENCES: &str = r"
    SELECT k.conname::text, k.conrelid,
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(n, i)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
           k.confrelid,
           ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(n, i)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i),
           EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
                   AND (i.indkey::int2[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey)
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0
    ORDER BY n.nspname, c.relname, k.conname";
