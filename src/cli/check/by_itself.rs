//! What the database does by itself that reaches what the policies govern, as `check --live` lists it.

use tokio_postgres::Client;

use super::live::{Finding, note};
use crate::catalog::{Catalog, RelationName};
use crate::document::Fault;
use crate::policy::{Governance, PolicySet};

/// What the snapshot shows: foreign keys, triggers, rules, defaults, what is attached below a table.
pub(super) fn of_catalog(policies: &PolicySet, catalog: &Catalog) -> Vec<Finding> {
    policies.by_itself(catalog).into_iter().map(note).collect()
}

/// Children and partitions that are listed more strictly than the whole.
pub(super) fn stricter_parts(policies: &PolicySet, catalog: &Catalog) -> Vec<Finding> {
    let placed = |Fault { file, line, message, .. }: Fault| note(format!("{file}:{line}: {message}"));
    policies.stricter_parts(catalog).into_iter().map(placed).collect()
}

/// Columns that are computed of others, which, and those that the database numbers.
const COLUMNS: &str = "SELECT n.nspname::text, c.relname::text, a.attname::text, a.attidentity <> '', \
        ARRAY(SELECT DISTINCT s.attname::text FROM pg_catalog.regexp_matches(d.adbin::text, ':varattno ([0-9]+)', 'g') AS m \
              JOIN pg_catalog.pg_attribute AS s ON s.attrelid = c.oid AND s.attnum = m[1]::int2 ORDER BY 1) \
    FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum AND a.attgenerated <> '' \
    WHERE (a.attidentity <> '' OR a.attgenerated <> '') AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND c.oid >= 16384 \
    ORDER BY 1, 2, 3";

/// The same of governed tables.
///
/// # Errors
/// The database's answer, in words for the operator.
pub(super) async fn columns(policies: &PolicySet, client: &Client) -> Result<Vec<Finding>, String> {
    let failed = |error: tokio_postgres::Error| format!("generated columns could not be read: {error}");
    let mut found = Vec::new();
    for row in client.query(COLUMNS, &[]).await.map_err(failed)? {
        let table = RelationName::new(
            row.try_get::<_, String>(0).map_err(failed)?,
            row.try_get::<_, String>(1).map_err(failed)?,
        );
        let column: String = row.try_get(2).map_err(failed)?;
        if policies.governance(&table) != Governance::Governed {
            continue;
        }
        if row.try_get(3).map_err(failed)? {
            found.push(note(format!(
                "identity column `{table}.{column}` is numbered by a sequence where an INSERT leaves it out"
            )));
            continue;
        }
        let sources: Vec<String> = row.try_get(4).map_err(failed)?;
        let more = sources.iter().filter(|source| policies.shows_more((&table, &column), (&table, source)));
        let more: Vec<String> = more.map(|source| format!("`{source}`")).collect();
        let of: Vec<String> = sources.iter().map(|source| format!("`{source}`")).collect();
        let told = match more.as_slice() {
            [] => "nobody sees more of it than of those".to_owned(),
            more => format!("its own category shows it to who sees less of {}", more.join(", ")),
        };
        found.push(note(format!("generated column `{table}.{column}` is computed of {}: {told}", of.join(", "))));
    }
    Ok(found)
}
