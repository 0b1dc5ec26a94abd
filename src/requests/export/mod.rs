//! The answer to a request for access (POPIA s23): everything that is held, as pages, tables and data, in one ZIP file.
//!
//! Rows are read in one snapshot and written as they come, so that a person of a million rows needs no more memory than one of ten. Of a row
//! that is somebody else's, and names the person, only that is shown: its key, the reference, and its moments.

mod page;
mod rows;

use std::io::{Seek, Write};

use tokio_postgres::Transaction;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::deletion::Trouble;
use super::map::PersonMap;
use crate::policy::PolicySet;
pub use page::{About, Seen};
use rows::Columns;

/// What was written of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The table, as the policies write it.
    pub table: String,
    /// Whether the policies list it.
    pub listed: bool,
    /// Rows that are the person's.
    pub own: u64,
    /// Rows of others that name the person.
    pub named: u64,
    /// The columns that stand in the file.
    columns: Vec<String>,
    /// The first rows, for the page.
    first: Vec<Vec<Option<String>>>,
    /// The file's name within the ZIP.
    file: String,
}

impl From<zip::result::ZipError> for Trouble {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Refused(format!("the file cannot be written: {error}"))
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(format!("the file cannot be written: {error}"))
    }
}

/// Writes everything that is held about a person.
///
/// `transaction` must see one snapshot (REPEATABLE READ); `progress` is told the rows written so far. Gives what was written of each table.
///
/// # Errors
/// [`Trouble`]; what was written so far is no whole file.
pub async fn export<W: Write + Seek>(
    transaction: &Transaction<'_>,
    map: &PersonMap<'_>,
    policies: &PolicySet,
    about: &About<'_>,
    to: W,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Written>, Trouble> {
    let mut zip = ZipWriter::new(to);
    let options = SimpleFileOptions::default().large_file(true);
    let mut all = Vec::new();
    let mut done = 0;
    for held in &map.held {
        let Some(table) = map.table(held) else { continue };
        let columns = Columns::of(map, held);
        if columns.counted(transaction, about.subject).await? == 0 {
            continue;
        }
        let file = format!("tables/{}.csv", safe(&table.name.to_string()));
        zip.start_file(&file, options)?;
        let mut written = Written {
            table: table.name.to_string(),
            listed: held.listed,
            own: 0,
            named: 0,
            columns: columns.names(),
            first: Vec::new(),
            file,
        };
        rows::csv(transaction, &columns, about.subject, &mut zip, &mut written, &mut |rows| progress(done + rows))
            .await?;
        done += written.own + written.named;
        all.push(written);
    }
    zip.start_file("data.json", options)?;
    rows::json(transaction, map, about, &all, &mut zip).await?;
    zip.start_file("index.html", options)?;
    zip.write_all(page::index(&all, map, policies, about).as_bytes())?;
    zip.start_file("read me.txt", options)?;
    zip.write_all(page::READ_ME.as_bytes())?;
    zip.finish()?;
    Ok(all)
}

/// A name that is a file's on every system.
fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect()
}
