//! The ways in which a client may ask for the rows of one query.

use futures_util::TryStreamExt;
use tokio_postgres::Client;

use super::answer::{Answer, extended, failed, simple};
use super::generate::Statement;

#[derive(Debug, Clone, Copy)]
pub enum Way {
    Simple,
    Binary,
    TextParameters,
    /// That many rows with each Execute.
    Portal(i32),
    /// DECLARE, and that many rows with the first FETCH.
    Cursor(usize),
    CopyText,
    CopyCsv,
}

impl Way {
    /// `cursors`: whether rows may come a few at a time; consent may be withdrawn in between.
    pub fn of(seed: u64, cursors: bool) -> Self {
        let some = 1 + seed / 24 % 9;
        match seed % 12 {
            1 | 7 => Self::Binary,
            3 | 9 => Self::TextParameters,
            5 | 11 if cursors => Self::Portal(i32::try_from(some).unwrap()),
            5 | 11 => Self::Binary,
            2 => Self::CopyText,
            8 => Self::CopyCsv,
            4 | 10 if cursors => Self::Cursor(usize::try_from(some).unwrap()),
            _ => Self::Simple,
        }
    }

    pub fn parameters(self) -> bool {
        matches!(self, Self::Binary | Self::TextParameters | Self::Portal(_))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Binary => "prepared",
            Self::TextParameters => "prepared, parameters as text",
            Self::Portal(_) => "portal in portions",
            Self::Cursor(_) => "cursor",
            Self::CopyText => "COPY",
            Self::CopyCsv => "COPY as CSV",
        }
    }

    pub async fn answer(self, client: &mut Client, statement: &Statement) -> Answer {
        match self {
            Self::Simple => simple(client, &statement.sql).await,
            Self::Binary => extended(client, statement, false, None).await,
            Self::TextParameters => extended(client, statement, true, None).await,
            Self::Portal(most) => extended(client, statement, false, Some(most)).await,
            Self::Cursor(some) => cursor(client, &statement.sql, some).await,
            Self::CopyText => copied(client, &statement.sql, "", false).await,
            Self::CopyCsv => copied(client, &statement.sql, " WITH (FORMAT csv, HEADER)", true).await,
        }
    }
}

async fn cursor(client: &Client, sql: &str, some: usize) -> Answer {
    let answer = fetched(client, sql, some).await;
    let end = if matches!(answer, Answer::Rows { .. }) { "COMMIT" } else { "ROLLBACK" };
    match client.batch_execute(end).await {
        Ok(()) => answer,
        Err(error) => failed(&error),
    }
}

async fn fetched(client: &Client, sql: &str, some: usize) -> Answer {
    if let Err(error) = client.batch_execute("BEGIN").await {
        return failed(&error);
    }
    if let Err(error) = client.batch_execute(&format!("DECLARE \"A cursor\" NO SCROLL CURSOR FOR {sql}")).await {
        return failed(&error);
    }
    let mut answer = simple(client, &format!("FETCH FORWARD {some} FROM \"A cursor\"")).await;
    let rest = simple(client, "FETCH ALL IN \"A cursor\"").await;
    match (&mut answer, rest) {
        (Answer::Rows { rows, count, .. }, Answer::Rows { rows: more, count: others, .. }) => {
            rows.extend(more);
            *count += others;
        }
        (Answer::Rows { .. }, failure) => return failure,
        (Answer::Failed { .. }, _) => {}
    }
    answer
}

/// No value has a line break in it, so that a line is a row.
async fn copied(client: &Client, sql: &str, options: &str, header: bool) -> Answer {
    let found = async {
        let stream = client.copy_out(&format!("COPY ({sql}\n) TO STDOUT{options}")).await?;
        let mut all = Vec::new();
        let mut stream = std::pin::pin!(stream);
        while let Some(part) = stream.try_next().await? {
            all.extend_from_slice(&part);
        }
        Ok::<_, tokio_postgres::Error>(all)
    };
    let all = match found.await {
        Ok(all) => all,
        Err(error) => return failed(&error),
    };
    let text = String::from_utf8(all).unwrap();
    let mut lines = text.lines();
    let names = if header { lines.next().into_iter().map(str::to_owned).collect() } else { Vec::new() };
    let rows: Vec<_> = lines.map(|line| vec![Some(line.as_bytes().to_vec())]).collect();
    let count = rows.len() as u64;
    Answer::Rows { names, types: Vec::new(), rows, count }
}
