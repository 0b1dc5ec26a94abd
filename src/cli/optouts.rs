//! `pgpurpose optouts import`: a list of those who opted out of direct marketing, into the database (POPIA s69).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use futures_util::SinkExt;
use jiff::civil::Date;
use ring::digest::{Context, SHA256, digest};
use tokio_postgres::Client;

use super::Ending;
use super::output::{Output, printable};
use super::setup::{self, Source};
use crate::app::{Database, runtime};
use crate::audit::chain::hex;
use crate::catalog::RelationName;
use crate::policy::{ContactKind, PolicySet};

#[derive(Debug, Args)]
pub(super) struct OptOutsArgs {
    #[command(subcommand)]
    verb: OptOutsVerb,
}

#[derive(Debug, Subcommand)]
enum OptOutsVerb {
    /// Put a list in the place of the one that has its name
    #[command(
        after_help = "A file is text in UTF-8, a line for each entry: one value, of the kind that --kind says, or columns between commas,\nsemicolons or tabs under a first line that names them (email, phone, id_number). Values are brought to one form and\nhashed (SHA-256); the database sees the hashes alone. All files together are the list: what is in none of them leaves it.\n\nThe login of `[upstream] catalog_login` needs SELECT, INSERT, UPDATE and DELETE on both tables (`privacy_keeper`).\n\nExamples:\n  pgpurpose optouts import --config pgpurpose.toml --list registry --as-of 2026-11-01 november.csv\n  pgpurpose optouts import --config pgpurpose.toml --list own --kind email unsubscribed.txt"
    )]
    Import(ImportArgs),
}

#[derive(Debug, Args)]
struct ImportArgs {
    #[command(flatten)]
    source: Source,
    /// The database [default: found by the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Which list it is
    #[arg(long, value_name = "NAME", default_value = "registry")]
    list: String,
    /// The day of which the list speaks [default: today]
    #[arg(long, value_name = "DATE")]
    as_of: Option<Date>,
    /// What each line holds, where the files name no columns
    #[arg(long)]
    kind: Option<Kind>,
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Email,
    Phone,
    #[value(name = "id_number")]
    IdNumber,
}

impl From<Kind> for ContactKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Email => Self::Email,
            Kind::Phone => Self::Phone,
            Kind::IdNumber => Self::IdNumber,
        }
    }
}

/// A list as it was read.
#[derive(Debug, Default)]
struct List {
    entries: BTreeSet<(ContactKind, [u8; 32])>,
    /// Names and hashes of the files.
    sources: Vec<String>,
    /// Lines that hold no value of any kind.
    unusable: u64,
}

pub(super) fn run(arguments: &OptOutsArgs, output: &mut Output) -> Ending {
    let OptOutsVerb::Import(arguments) = &arguments.verb;
    let Some((config, policies)) = setup::loaded(arguments.source.load(), output) else { return Ending::Wrong };
    let Some((table, lists, _)) = policies.opt_out_tables() else {
        return output.wrong("the policies say nowhere that opt-outs are kept: `[direct_marketing] opt_outs`");
    };
    let today = policies.zone().today();
    let as_of = arguments.as_of.unwrap_or(today);
    if as_of > today {
        return output.wrong(format_args!("the list speaks of {as_of}, which is a day to come"));
    }
    let mut list = List::default();
    for file in &arguments.files {
        if let Err(error) = list.read(file, arguments.kind.map(ContactKind::from)) {
            return output.wrong(format_args!("`{}`: {error}", file.display()));
        }
    }
    if list.entries.is_empty() {
        return output.wrong("the files hold no address and no number: the list that is there stays as it is");
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return output.wrong(error),
    };
    let imported = runtime.block_on(async {
        let database = Database::find(&config, &policies, arguments.database.as_deref()).await?;
        let mut client = database.client().await?;
        import(&mut client, table, lists, &arguments.list, as_of, &list).await
    });
    match imported {
        Ok(()) => {
            if list.unusable > 0 {
                output.remark(format_args!(
                    "{} lines hold nothing that can be compared, and were left out",
                    list.unusable
                ));
            }
            let told = format!(
                "list `{}` as of {as_of}: {} entries{}",
                printable(&arguments.list),
                list.entries.len(),
                stale(&policies, as_of)
            );
            output.line(told);
            Ending::Fine
        }
        Err(error) => output.wrong(error),
    }
}

/// When the list will be stale.
fn stale(policies: &PolicySet, as_of: Date) -> String {
    let days = policies.opt_out_tables().and_then(|(_, _, days)| days);
    days.and_then(|days| as_of.checked_add(jiff::Span::new().days(i64::from(days))).ok())
        .map(|last| format!("; the next list is needed after {last}"))
        .unwrap_or_default()
}

impl List {
    fn read(&mut self, file: &Path, kind: Option<ContactKind>) -> Result<(), String> {
        let mut reader = BufReader::new(File::open(file).map_err(|error| error.to_string())?);
        let mut whole = Context::new(&SHA256);
        let mut line = Vec::new();
        let mut columns: Option<Vec<Option<ContactKind>>> = kind.map(|kind| vec![Some(kind)]);
        let mut separator = ',';
        let mut number = 0_u64;
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(|error| error.to_string())? == 0 {
                break;
            }
            number += 1;
            whole.update(&line);
            let text = std::str::from_utf8(&line).map_err(|_| format!("line {number} is not UTF-8"))?;
            let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
            match &columns {
                None => {
                    separator = [';', '\t'].into_iter().find(|c| text.contains(*c)).unwrap_or(',');
                    let named: Vec<_> = text.split(separator).map(column).collect();
                    if named.iter().all(Option::is_none) {
                        return Err(
                            "its first line names no column `email`, `phone` or `id_number`: say what the lines \
                                    hold with --kind"
                                .to_owned(),
                        );
                    }
                    columns = Some(named);
                }
                Some(columns) => self.add(text, separator, columns, kind.is_some()),
            }
        }
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let hash = hex(whole.finish().as_ref());
        self.sources.push(format!("{name} sha256:{hash}"));
        Ok(())
    }

    fn add(&mut self, text: &str, separator: char, columns: &[Option<ContactKind>], whole_line: bool) {
        if text.trim().is_empty() {
            return;
        }
        let cells: Vec<&str> = if whole_line { vec![text] } else { text.split(separator).collect() };
        let mut usable = false;
        for (cell, kind) in cells.iter().zip(columns) {
            let cell = cell.trim().trim_matches('"').trim();
            let Some(kind) = kind else { continue };
            if let Some(normal) = kind.normalised(cell).filter(|normal| plausible(*kind, normal)) {
                let hash: Option<[u8; 32]> = digest(&SHA256, normal.as_bytes()).as_ref().try_into().ok();
                usable |= hash.is_some();
                self.entries.extend(hash.map(|hash| (*kind, hash)));
            }
        }
        self.unusable += u64::from(!usable);
    }
}

/// Whether a value can be what it is said to be: a heading, or a column of another kind, cannot.
fn plausible(kind: ContactKind, normal: &str) -> bool {
    match kind {
        ContactKind::Email => normal.contains('@'),
        ContactKind::Phone => normal.len() >= 7,
        ContactKind::IdNumber => normal.len() == 13,
    }
}

/// What a column holds, by its heading.
fn column(heading: &str) -> Option<ContactKind> {
    let plain: String = heading.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    match plain.as_str() {
        "email" | "emailaddress" => Some(ContactKind::Email),
        "phone" | "phonenumber" | "telephone" | "tel" | "mobile" | "cell" | "cellphone" | "msisdn" => {
            Some(ContactKind::Phone)
        }
        "idnumber" | "identitynumber" | "idno" => Some(ContactKind::IdNumber),
        _ => None,
    }
}

/// Replaces the list, whole or not at all.
async fn import(
    client: &mut Client,
    table: &RelationName,
    lists: &RelationName,
    name: &str,
    as_of: Date,
    list: &List,
) -> Result<(), String> {
    let (table, lists) = (table.to_sql(), lists.to_sql());
    let failed = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    };
    let transaction = client.transaction().await.map_err(failed)?;
    let newer = format!("SELECT as_of::text FROM {lists} WHERE list = $1 AND as_of > $2::text::date");
    let as_of = as_of.to_string();
    if let Some(row) = transaction.query_opt(&newer, &[&name, &as_of]).await.map_err(failed)? {
        let there: String = row.try_get(0).map_err(failed)?;
        return Err(format!("list `{name}` is already there as of {there}, which is later"));
    }
    let entries = i64::try_from(list.entries.len()).map_err(|_| "the list is too long")?;
    let source = list.sources.join(", ");
    let upsert = format!(
        "INSERT INTO {lists} (list, as_of, imported_at, source, entries) VALUES ($1, $2::text::date, now(), $3, $4) \
         ON CONFLICT (list) DO UPDATE SET as_of = excluded.as_of, imported_at = excluded.imported_at, \
         source = excluded.source, entries = excluded.entries"
    );
    transaction.execute(&upsert, &[&name, &as_of, &source, &entries]).await.map_err(failed)?;
    transaction.execute(&format!("DELETE FROM {table} WHERE list = $1"), &[&name]).await.map_err(failed)?;
    let copy = format!("COPY {table} (list, kind, digest) FROM STDIN");
    let sink = transaction.copy_in(&copy).await.map_err(failed)?;
    let mut sink = std::pin::pin!(sink);
    let name = copied(name);
    for chunk in list.entries.iter().collect::<Vec<_>>().chunks(1000) {
        let mut text = String::new();
        for (kind, hash) in chunk {
            text.push_str(&format!("{name}\t{}\t\\\\x{}\n", kind.name(), hex(hash)));
        }
        sink.send(bytes::Bytes::from(text)).await.map_err(failed)?;
    }
    sink.finish().await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// A text as COPY reads it.
fn copied(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}
