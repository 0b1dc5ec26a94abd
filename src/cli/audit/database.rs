//! The verbs of `audit` over all logs of an audit database: `--audit-db`.

use std::collections::HashMap;
use std::path::PathBuf;

use super::verify::{self, Proof};
use super::{export, show::show};
use crate::audit::Filter;
use crate::audit::export::Exporter;
use crate::cli::output::{Output, Style, printable};
use crate::cli::{Ending, days};
use crate::config::Zone;
use crate::fleet::{AuditDb, AuditPlace, Held, LogName};

/// An audit database, as it is at this moment.
pub(in crate::cli) fn open(place: &str, output: &mut Output) -> Result<AuditDb, Ending> {
    let place = AuditPlace::read(place).map_err(|error| output.wrong(error))?;
    AuditDb::open(&place).map_err(|error| output.wrong(error))
}

pub(super) fn find(place: &str, zone: &Zone, filter: &Filter, json: bool, output: &mut Output) -> Ending {
    let mut database = match open(place, output) {
        Ok(database) => database,
        Err(ending) => return ending,
    };
    days::tell(zone, output);
    let (mut found, mut shown) = (0_u64, String::new());
    let done = database.search(filter, |log, entry| {
        found += u64::from(entry.event() != "outcome");
        if json {
            let own = entry.text("log").is_some();
            let line = entry.line.strip_prefix('{').filter(|_| !own);
            output.line(line.map_or_else(|| entry.line.clone(), |rest| format!("{{\"log\":{},{rest}", quoted(log))));
        } else {
            // Once for all that follow of it.
            if shown != log {
                output.line(format_args!("log {}", printable(log)));
                log.clone_into(&mut shown);
            }
            show(&entry, zone, false, output);
        }
        !output.closed()
    });
    match done {
        Ok(()) => {
            if !json {
                output.remark(format_args!("{found} found; in the database are {}", counted(&database)));
            }
            Ending::Fine
        }
        Err(error) => output.wrong(error),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn counted(database: &AuditDb) -> String {
    match database.logs().len() {
        1 => "the records of one log".to_owned(),
        logs => format!("the records of {logs} logs"),
    }
}

pub(super) fn export(place: &str, zone: &Zone, filter: &Filter, format: export::Format, output: &mut Output) -> Ending {
    let mut database = match open(place, output) {
        Ok(database) => database,
        Err(ending) => return ending,
    };
    days::tell(zone, output);
    if let Some(header) = Exporter::new(format.into()).header() {
        output.line(header);
    }
    let mut exporters: HashMap<String, Exporter> = HashMap::new();
    let done = database.search(filter, |log, entry| {
        let exporter = exporters.entry(log.to_owned()).or_insert_with(|| Exporter::of_log(format.into(), log));
        let line = exporter.line(&entry.in_log(log));
        output.line(line);
        !output.closed()
    });
    done.map_or_else(|error| output.wrong(error), |()| Ending::Fine)
}

/// Each log of the database, and each folder against it.
pub(super) fn verify(
    place: &str,
    directories: &[PathBuf],
    proof: &Proof,
    zone: &Zone,
    json: bool,
    output: &mut Output,
) -> Ending {
    if proof.is_of_one() {
        return output.wrong("--last and --signed-from are about one log: a database may hold several");
    }
    let trust = match proof.trust() {
        Ok(trust) => trust,
        Err(error) => return output.wrong(error),
    };
    let mut database = match open(place, output) {
        Ok(database) => database,
        Err(ending) => return ending,
    };
    let logs = database.logs().to_vec();
    let mut worst = Ending::Fine;
    if logs.is_empty() {
        output.line("the audit database holds no record: there is nothing to verify");
        worst = Ending::Failed;
    }
    for sent in &trust.sent {
        if !logs.iter().any(|log| log.name == sent.checkpoint.log) {
            worst = Ending::Failed;
            let what = format!("the checkpoint in {} is of a log of which the database holds nothing", sent.place);
            output.line(format_args!("{}: {}", output.styled(Style::Bad, "broken"), printable(&what)));
        }
    }
    if !json {
        days::tell(zone, output);
    }
    for LogName { name, .. } in &logs {
        let Some(log) = database.logs().iter().find(|log| log.name == *name).cloned() else { continue };
        match database.prove(&log, &trust) {
            Ok(found) => {
                if !json {
                    output.line(format_args!("log {}", printable(name)));
                }
                if verify::told(name, &found, &trust, proof, zone, json, output) == Ending::Failed {
                    worst = Ending::Failed;
                }
            }
            Err(error) => return output.wrong(error),
        }
    }
    for directory in directories {
        match database.hold_against(directory) {
            Ok(held) => {
                let place = directory.display().to_string();
                let holds = held.known && held.wrong.is_none();
                if json {
                    output.line(as_json(&place, &held));
                } else {
                    let style = if holds { Style::Good } else { Style::Bad };
                    let text = output.styled(style, if holds { "the same log" } else { "broken" });
                    output.line(format_args!("{}: {text}: {}", printable(&place), printable(&in_words(&held))));
                }
                if !holds {
                    worst = Ending::Failed;
                }
            }
            Err(error) => return output.wrong(error),
        }
    }
    worst
}

/// What holding a folder against the database came to.
fn in_words(held: &Held) -> String {
    match (&held.wrong, held.known) {
        (_, false) => format!("the database holds nothing of its log `{}`", held.log),
        (Some(wrong), true) => wrong.to_string(),
        (None, true) => {
            format!("{} records are in both, {} have not been sent yet", held.same, held.waiting)
        }
    }
}

fn as_json(directory: &str, held: &Held) -> serde_json::Value {
    serde_json::json!({
        "directory": directory, "log": held.log, "holds": held.known && held.wrong.is_none(),
        "same": held.same, "waiting": held.waiting,
        "breaks": if held.known && held.wrong.is_none() { Vec::new() } else { vec![in_words(held)] },
    })
}
