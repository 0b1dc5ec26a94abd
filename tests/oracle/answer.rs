//! What a server says to a statement, and whether two servers say the same.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
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

/// What COPY .. TO STDOUT sends, a row for each line.
pub async fn copied(client: &Client, sql: &str) -> Answer {
    let stream = match client.copy_out(sql).await {
        Ok(stream) => stream,
        Err(error) => return failed(&error),
    };
    let parts: Result<Vec<Bytes>, _> = stream.try_collect().await;
    match parts {
        Err(error) => failed(&error),
        Ok(parts) => {
            let all = parts.concat();
            let rows: Vec<Row> =
                all.split_inclusive(|byte| *byte == b'\n').map(|line| vec![Some(line.to_vec())]).collect();
            let count = rows.len() as u64;
            Answer::Rows { names: Vec::new(), types: Vec::new(), rows, count }
        }
    }
}

/// A parameter in the text format.
#[derive(Debug)]
struct InText(String);

impl ToSql for InText {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// In binary, by the extended protocol; the parameters in binary or as text, the rows at once or some at a time.
pub async fn extended(client: &mut Client, statement: &Statement, text: bool, portion: Option<i32>) -> Answer {
    match prepared(client, statement, text, portion).await {
        Ok(answer) => answer,
        Err(error) => failed(&error),
    }
}

async fn prepared(
    client: &mut Client,
    statement: &Statement,
    text: bool,
    portion: Option<i32>,
) -> Result<Answer, tokio_postgres::Error> {
    let prepared = client.prepare(&statement.sql).await?;
    let values: Vec<Box<dyn ToSql + Sync>> = statement
        .values
        .iter()
        .map(|value| -> Box<dyn ToSql + Sync> {
            match value {
                Value::Int(number) if text => Box::new(InText(number.to_string())),
                Value::Text(words) if text => Box::new(InText(words.clone())),
                Value::Int(number) => Box::new(*number),
                Value::Text(words) => Box::new(words.clone()),
            }
        })
        .collect();
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value).collect();
    let found = match portion {
        None => client.query(&prepared, &values).await?,
        Some(most) => {
            let transaction = client.transaction().await?;
            let portal = transaction.bind(&prepared, &values).await?;
            let mut found = Vec::new();
            loop {
                let some = transaction.query_portal(&portal, most).await?;
                let last = some.len() < usize::try_from(most).unwrap();
                found.extend(some);
                if last {
                    break;
                }
            }
            transaction.commit().await?;
            found
        }
    };
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

pub fn failed(error: &tokio_postgres::Error) -> Answer {
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
