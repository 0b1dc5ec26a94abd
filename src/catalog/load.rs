//! Reads a snapshot from a server's system catalogs (PostgreSQL 13 and later).
//!
//! In: a connection of the proxy's own login; no right beyond connecting is needed. Out: a [`Catalog`] of the database
//! that the connection is to. Everything is read in one transaction that sees one moment.

pub(super) mod automatic;
mod queries;
pub(super) mod rows;

use std::sync::LazyLock;

use tokio_postgres::{Client, IsolationLevel};

use super::changes::{Read, Unapplied};
use super::{Catalog, CatalogBuilder, Oid};

/// Objects below this number were made by `initdb` (`FirstNormalObjectId` in PostgreSQL's `access/transam.h`).
pub(super) const FIRST_USER_OID: Oid = 16384;

/// The snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The proxy's own connection could not be made.
    #[error("the catalog's connection failed: {0}")]
    Connect(String),
    /// The database refused a query, or the connection broke.
    #[error("the catalog could not be read: {}", describe(.0))]
    Query(#[from] tokio_postgres::Error),
    /// A server that the queries are not written for.
    #[error("PostgreSQL {0} is too old: 13 is the oldest that is supported")]
    TooOld(u32),
    /// An answer is not what was asked for.
    #[error(transparent)]
    Unreadable(#[from] Unapplied),
    /// It took too long.
    #[error("the catalog was not read within {0} seconds")]
    Timeout(u64),
}

/// The driver says only `db error` by itself.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

/// The statement that tells what has changed since a transaction, whose number it takes as its one parameter, as text. Its
/// rows are a word and JSON, for [`Catalog::changed`]. It is to run with nothing but `pg_catalog` in the search path.
pub fn changed_query() -> &'static str {
    static QUERY: LazyLock<String> = LazyLock::new(queries::changed);
    &QUERY
}

/// The same for a session that asks within its own transaction: what operators and types call, and what relations do by themselves, come
/// with it.
pub fn seen_query() -> &'static str {
    static QUERY: LazyLock<String> = LazyLock::new(queries::seen);
    &QUERY
}

/// The statement that tells of relations with which nothing else goes. Its one parameter, as text, is a [`Question`](super::Question); its rows
/// are for [`Catalog::told`]. It is to run as [`changed_query`].
pub fn plain_query() -> &'static str {
    static QUERY: LazyLock<String> = LazyLock::new(queries::plain);
    &QUERY
}

/// The same for relations and all that goes with them.
pub fn within_query() -> &'static str {
    static QUERY: LazyLock<String> = LazyLock::new(queries::within);
    &QUERY
}

/// Reads what has changed since a transaction: a [`changed_query`] that was prepared.
///
/// # Errors
/// [`LoadError::Query`].
pub(super) async fn read_changes(
    client: &Client,
    prepared: &tokio_postgres::Statement,
    since: u32,
) -> Result<Vec<(String, Option<String>)>, LoadError> {
    let since = since.to_string();
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&since];
    let (mut rows, own) =
        futures_util::try_join!(client.query(prepared, &parameters), client.query(automatic::query(), &[]))?;
    rows.extend(own);
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Reads the snapshot. `epoch` is given to it as it is.
///
/// The connection's `search_path` is set for the time of the transaction only.
///
/// # Errors
/// [`LoadError::Query`] or [`LoadError::TooOld`].
pub async fn load_catalog(client: &mut Client, epoch: u64) -> Result<Catalog, LoadError> {
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    // With nothing in the path `format_type` qualifies every type that is not built in.
    transaction.batch_execute("SET LOCAL search_path = ''; SET LOCAL jit = off").await?;
    let version: i32 =
        transaction.query_one("SELECT current_setting('server_version_num')::int4", &[]).await?.try_get(0)?;
    let version = u32::try_from(version).unwrap_or_default();
    let named = transaction.query_one("SELECT current_database()::text, session_user::text", &[]).await?;
    let (database, reader): (String, String) = (named.try_get(0)?, named.try_get(1)?);
    if version < 130_000 {
        return Err(LoadError::TooOld(version / 10_000));
    }
    let (marks, columns, calls) = (queries::marks(), queries::columns(), queries::rule_functions());
    let (functions_query, types_query) = (queries::functions(), queries::calling_types());
    let marks = transaction.query_one(&marks, &[]).await?;
    // Sent one behind the other without waiting for answers.
    let (schemas, types, relations, columns, keys) = futures_util::try_join!(
        transaction.query(queries::SCHEMAS, &[]),
        transaction.query(queries::TYPES, &[]),
        transaction.query(queries::RELATIONS, &[]),
        transaction.query(&columns, &[]),
        transaction.query(queries::PRIMARY_KEYS, &[]),
    )?;
    let (inherits, reaches, calls, functions, operators) = futures_util::try_join!(
        transaction.query(queries::INHERITS, &[]),
        transaction.query(queries::RULE_RELATIONS, &[]),
        transaction.query(&calls, &[]),
        transaction.query(&functions_query, &[]),
        transaction.query(queries::LEAKPROOF_OPERATORS, &[]),
    )?;
    let (calling_operators, calling_types) = futures_util::try_join!(
        transaction.query(queries::CALLING_OPERATORS, &[]),
        transaction.query(&types_query, &[]),
    )?;
    let automatic = transaction.query(automatic::query(), &[]).await?;
    let parts = transaction.query(queries::PARTS, &[]).await?;
    transaction.commit().await?;

    let mut builder = CatalogBuilder::empty(epoch, version).database(database).reader(reader);
    for row in &schemas {
        builder.add_schema(row.try_get::<_, String>(0)?);
    }
    let types = rows::types(&types)?;
    let (mut relations, rules) = rows::Relations::read(&relations)?
        .columns(&columns, &types)?
        .primary_keys(&keys)?
        .inheritance(&inherits)?
        .rules(&reaches, &calls)?
        .finish();
    let automatic = automatic
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<Vec<(String, Option<String>)>, tokio_postgres::Error>>()?;
    for (oid, own) in automatic::read(&Read(&automatic))? {
        if let Some(relation) = relations.get_mut(&oid) {
            relation.automatic = own;
        }
    }
    for function in rows::functions(&functions, &types, &relations)? {
        builder.add_function(function);
    }
    for row in &operators {
        builder.add_leakproof_operator(row.try_get::<_, String>(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    for row in &calling_operators {
        builder.add_calling_operator(row.try_get::<_, String>(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    for row in &calling_types {
        builder.add_calling_type(
            row.try_get(0)?,
            row.try_get::<_, String>(1)?,
            row.try_get(2)?,
            (row.try_get(3)?, row.try_get(4)?),
        );
    }
    for (ty, _) in types.into_values() {
        builder.add_type(ty);
    }
    for relation in relations.into_values() {
        builder.add_relation(relation);
    }
    builder.read_at(marks.try_get::<_, String>(0)?.parse().ok(), marks.try_get(1)?, rules);
    let parts = parts.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    builder.belonging(parts.collect::<Result<Vec<_>, tokio_postgres::Error>>()?, marks.try_get(2)?);
    Ok(builder.build())
}
