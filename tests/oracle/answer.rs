//! What a server says to a statement, and whether two servers say the same.

use std::error::Error;

use tokio_postgres::types::{FromSql, Kind, ToSql, Type};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::generate::{Statement, Value};

type Row = Vec<Option<Vec<u8>>>;

/// Rows with their columns' names and, over the extended protocol, types; or an SQLSTATE and a message.
#[derive(Debug)]
pub enum Answer {
    Rows { names: Vec<String>, types: Vec<u32>, rows: Vec<Row>, count: u64 },
    Failed { code: String, message: String },
}

/// A value as the server wrote it.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// As text, by the simple protocol.
pub async fn simple(client: &Client, sql: &str) -> Answer {
    match client.simple_query(sql).await {
        Err(error) => failed(&error),
        Ok(messages) => {
            let (mut names, mut rows, mut count) = (Vec::new(), Vec::new(), 0);
            for message in messages {
                match message {
                    SimpleQueryMessage::RowDescription(columns) => {
                        names = columns.iter().map(|column| column.name().to_owned()).collect();
                    }
                    SimpleQueryMessage::Row(row) => {
                        rows.push((0..row.len()).map(|at| row.get(at).map(|text| text.as_bytes().to_vec())).collect());
                    }
                    SimpleQueryMessage::CommandComplete(rows) => count = rows,
                    _ => {}
                }
            }
            Answer::Rows { names, types: Vec::new(), rows, count }
        }
    }
}

/// In binary, by the extended protocol.
pub async fn extended(client: &Client, statement: &Statement) -> Answer {
    match prepared(client, statement).await {
        Ok(answer) => answer,
        Err(error) => failed(&error),
    }
}

async fn prepared(client: &Client, statement: &Statement) -> Result<Answer, tokio_postgres::Error> {
    let prepared = client.prepare(&statement.sql).await?;
    let values: Vec<&(dyn ToSql + Sync)> = statement
        .values
        .iter()
        .map(|value| match value {
            Value::Int(number) => number as &(dyn ToSql + Sync),
            Value::Text(text) => text as &(dyn ToSql + Sync),
        })
        .collect();
    let found = client.query(&prepared, &values).await?;
    let names = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    // A whole row is a `record` where it comes from a derived table, the table's own type where it does not.
    let plain = |ty: &Type| if matches!(ty.kind(), Kind::Composite(_)) { Type::RECORD.oid() } else { ty.oid() };
    let types = prepared.columns().iter().map(|column| plain(column.type_())).collect();
    let rows: Vec<Row> = found
        .iter()
        .map(|row| (0..row.len()).map(|at| row.get::<_, Option<Raw>>(at).map(|raw| raw.0)).collect())
        .collect();
    let count = rows.len() as u64;
    Ok(Answer::Rows { names, types, rows, count })
}

fn failed(error: &tokio_postgres::Error) -> Answer {
    match error.as_db_error() {
        Some(db) => Answer::Failed { code: db.code().code().to_owned(), message: db.message().to_owned() },
        None => Answer::Failed { code: String::new(), message: error.to_string() },
    }
}

/// What is different between two answers with rows; `None` where nothing is.
pub fn difference(one: &Answer, other: &Answer, ordered: bool) -> Option<String> {
    let (
        Answer::Rows { names, types, rows, count },
        Answer::Rows { names: names2, types: types2, rows: rows2, count: count2 },
    ) = (one, other)
    else {
        return None;
    };
    if names != names2 {
        return Some(format!("columns are named {names:?} and {names2:?}"));
    }
    if types != types2 {
        return Some(format!("columns have the types {types:?} and {types2:?}"));
    }
    if count != count2 {
        return Some(format!("{count} rows and {count2} rows"));
    }
    let (mut rows, mut rows2) = (rows.clone(), rows2.clone());
    if !ordered {
        rows.sort();
        rows2.sort();
    }
    let differ = rows.iter().zip(&rows2).find(|(a, b)| a != b)?;
    Some(format!("a row {} and {}", shown(differ.0), shown(differ.1)))
}

fn shown(row: &Row) -> String {
    let fields: Vec<String> = row
        .iter()
        .map(|field| field.as_ref().map_or("∅".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned()))
        .collect();
    format!("({})", fields.join(" | "))
}
