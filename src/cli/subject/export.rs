//! `pgpurpose subject export`: everything that is held about a person, as one ZIP file.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio_postgres::{Client, IsolationLevel};

use super::{Common, Desk};
use crate::audit::{Sightings, Wanted};
use crate::cli::Ending;
use crate::cli::bar::Bar;
use crate::cli::output::Output;
use crate::page::{count, number};
use crate::requests::PersonMap;
use crate::requests::deletion::Trouble;
use crate::requests::export::{About, Seen, export};
use crate::requests::told::Step;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// Write it into this file [default: request-NUMBER.zip]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(
    desk: &Desk,
    client: &mut Client,
    arguments: &ExportArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let (register, request) = desk.request(client, arguments.id).await?;
    let step =
        Step { step: "export", request: Some(request.id), subject: Some(&request.subject), says: "", lookups: &[] };
    desk.told.tell(&step).await?;
    let map = PersonMap::new(&desk.shape, &desk.policies, Some(&request.people))
        .map_err(|none| Trouble::Refused(none.to_string()))?;
    let found = sightings(desk, &request.subject, output)?;
    let about = About {
        subject: &request.subject,
        people: &request.people,
        request: Some(request.id),
        today: desk.today(),
        organisation: &desk.config.organisation,
        seen: found.as_ref().map(|found| Seen { found, zone: desk.policies.zone() }),
    };
    let to = arguments.out.clone().unwrap_or_else(|| format!("request-{}.zip", request.id).into());
    let unfinished = unfinished(&to);
    let file = create(&unfinished).map_err(|error| Trouble::Refused(format!("`{}`: {error}", unfinished.display())))?;
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    let mut told = |rows: u64| output.progress(format!("{} rows", number(rows)));
    let written = export(&transaction, &map, &desk.policies, &about, BufWriter::new(file), &mut told).await;
    output.progress("");
    let written = match written {
        Ok(written) => written,
        Err(trouble) => {
            let _ = std::fs::remove_file(&unfinished);
            return Err(trouble);
        }
    };
    transaction.rollback().await?;
    std::fs::rename(&unfinished, &to).map_err(|error| Trouble::Refused(format!("`{}`: {error}", to.display())))?;
    let rows: u64 = written.iter().map(|table| table.own + table.named).sum();
    let says = format!("{} of {}", count(rows, "row"), count(written.len() as u64, "table"));
    register.step(&*client, request.id, "export", &desk.by, &says).await?;
    output.line(format_args!("{}: {says}", to.display()));
    Ok(Ending::Fine)
}

/// Who has seen the person, by the access log; `None` where there is no log.
pub(super) fn sightings(desk: &Desk, subject: &str, output: &mut Output) -> Result<Option<Sightings>, Trouble> {
    let directory = &desk.config.audit.directory;
    if !directory.exists() {
        return Ok(None);
    }
    let key = crate::app::subject_key(&desk.config).map_err(Trouble::Refused)?;
    let pseudonym = key.map(|key| key.pseudonym(subject));
    let wanted = Wanted {
        actor: Vec::new(),
        subjects: std::iter::once(subject.to_owned()).chain(pseudonym).collect(),
        login: None,
        relation: None,
        since: None,
        until: None,
    };
    let mut bar = Bar::new("reading the log");
    let found = Sightings::collect(directory, &wanted, false, &mut |advance| bar.at(advance, output));
    bar.end(output);
    found
        .map(|(found, _)| Some(found))
        .map_err(|error| Trouble::Refused(format!("the access log cannot be read: {error}")))
}

/// Where a file is written until it is whole.
pub(super) fn unfinished(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    to.with_file_name(name)
}

/// For its owner alone: it holds everything about somebody.
fn create(file: &Path) -> std::io::Result<File> {
    let _ = std::fs::remove_file(file);
    OpenOptions::new().write(true).read(true).create_new(true).mode(0o600).open(file)
}
