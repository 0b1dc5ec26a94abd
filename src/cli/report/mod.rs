//! `pgpurpose audit report`: what the log says of a time, as a page, as Markdown or as JSON.

mod activity;
mod content;
mod findings;
mod first;
mod reviews;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Ending;
use super::audit::{database, verify};
use super::bar::Bar;
use super::days::{self, Days};
use super::output::Output;
use super::setup;
use crate::audit::read::merged;
use crate::audit::report::{Report, Reporter, Wanted, of_log, span};
use crate::audit::{read_all, verify_with};
use crate::config::{Config, When, Zone};
use crate::page::{Cell, html, markdown};
use crate::policy::PolicySet;

use content::{Chain, Parts};

const UNUSED_DAYS: u32 = 90;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder of the access log; `audit`, or the configuration's. Given more than once: one report over the logs of several proxies
    #[arg(long, value_name = "DIR")]
    dir: Vec<PathBuf>,
    /// All logs of all proxies that an audit database holds: `postgresql://login@host:port/database`, or `env:NAME` or `file:PATH` of
    /// such a line; each --dir is held against it
    #[arg(long, value_name = "URL")]
    audit_db: Option<String>,
    /// The configuration file: the log's folder, and the policies that say what is open
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Not before: `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`. What is older is still the past by which
    /// unusual access is judged
    #[arg(long, alias = "from", value_name = "TIME")]
    since: Option<When>,
    /// Until, in the same forms: the whole of a day, and before a moment
    #[arg(long, alias = "to", value_name = "TIME")]
    until: Option<When>,
    /// The form; else by the ending of the file, and Markdown without one
    #[arg(long, value_name = "FORM")]
    format: Option<Format>,
    /// Write the report into this file
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The public key that `audit keygen` printed, or a file that holds it; again for each key that was ever in use
    #[arg(long, value_name = "FILE|HEX")]
    public_key: Vec<String>,
    /// Leave out that the log is verified, which is faster
    #[arg(long, conflicts_with = "public_key")]
    no_verify: bool,
    /// Only what the policies open and nobody used in so many days; needs --config
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "90", requires = "config")]
    unused: Option<u32>,
    /// Only what enforcement would break, from what was logged in observe mode
    #[arg(long, conflicts_with = "unused")]
    observe: bool,
    #[command(flatten)]
    days: Days,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    #[value(alias = "md")]
    Markdown,
    Json,
}

impl ReportArgs {
    fn format(&self) -> Format {
        let by_ending = || {
            let ending = self.out.as_ref()?.extension()?.to_str()?.to_ascii_lowercase();
            match ending.as_str() {
                "html" | "htm" => Some(Format::Html),
                "json" => Some(Format::Json),
                _ => None,
            }
        };
        self.format.or_else(by_ending).unwrap_or(Format::Markdown)
    }

    fn parts(&self) -> Parts {
        match (self.unused, self.observe) {
            (Some(_), _) => Parts::Unused,
            (None, true) => Parts::Observed,
            (None, false) => Parts::All,
        }
    }
}

pub(super) fn run(arguments: &ReportArgs, output: &mut Output) -> Ending {
    let known = match &arguments.config {
        None => None,
        Some(file) => match setup::loaded(Config::load(file), output) {
            Some(known) => Some(known),
            None => return Ending::Wrong,
        },
    };
    let of_config = || known.as_ref().map(|(config, _)| config.audit.directory.clone());
    let directories = match arguments.dir.as_slice() {
        [] => vec![of_config().unwrap_or_else(|| PathBuf::from("audit"))],
        several => several.to_vec(),
    };
    let zone = arguments.days.zone(known.as_ref().map(|(config, _)| config));
    match report(arguments, &directories, &zone, known.as_ref(), output) {
        Ok(ending) => ending,
        Err(error) => output.wrong(error),
    }
}

fn report(
    arguments: &ReportArgs,
    directories: &[PathBuf],
    zone: &Zone,
    known: Option<&(Config, PolicySet)>,
    output: &mut Output,
) -> Result<Ending, String> {
    let policies = known.map(|(_, policies)| policies);
    let unreadable =
        |directory: &Path, error: std::io::Error| format!("`{}` cannot be read: {error}", directory.display());
    let (since, until) = days::bounds(arguments.since.as_ref(), arguments.until.as_ref(), zone)?;
    let wanted = Wanted {
        since,
        until,
        zone: zone.tz().clone(),
        unused_days: arguments.unused.unwrap_or(UNUSED_DAYS),
        now: Timestamp::now(),
    };
    if let Some(place) = &arguments.audit_db {
        return of_database(arguments, place, wanted, zone, known, output);
    }
    let mut whole: Option<(Timestamp, Timestamp)> = None;
    for directory in directories {
        let one = span(directory).map_err(|error| unreadable(directory, error))?;
        whole = match (whole, one) {
            (Some((from, to)), Some((first, last))) => Some((from.min(first), to.max(last))),
            (whole, one) => whole.or(one),
        };
    }
    let mut reporter = Reporter::new(wanted, whole, policies);
    match directories {
        [directory] => {
            let mut bar = Bar::new("reading the log");
            let read = read_all(directory, |entry| reporter.add(entry), &mut |advance| bar.at(advance, output));
            bar.end(output);
            read.map_err(|error| unreadable(directory, error))?;
        }
        several => {
            merged(several, |log, entry| reporter.add(&entry.of_log(log)))
                .map_err(|(directory, error)| unreadable(&directory, error))?;
        }
    }
    let report = reporter.finish();
    let parts = arguments.parts();
    let mut chains = Vec::new();
    if parts == Parts::All && !arguments.no_verify {
        let trust = verify::trust(&arguments.public_key, &[], false)?;
        for directory in directories {
            let mut bar = Bar::new("verifying the log");
            let found = verify_with(directory, &trust, |advance| bar.at(advance, output));
            bar.end(output);
            let found = found.map_err(|error| unreadable(directory, error))?;
            let limits = verify::limits(&found, &trust, false);
            let directory = (directories.len() > 1).then(|| directory.display().to_string());
            chains.push(Chain { directory, found, limits });
        }
    }
    give(arguments, &report, &chains, zone, known, output)
}

/// The same over all logs of an audit database.
fn of_database(
    arguments: &ReportArgs,
    place: &str,
    wanted: Wanted,
    zone: &Zone,
    known: Option<&(Config, PolicySet)>,
    output: &mut Output,
) -> Result<Ending, String> {
    let mut database = match database::open(place, output) {
        Ok(database) => database,
        Err(ending) => return Ok(ending),
    };
    let mut reporter = Reporter::new(wanted, database.span(), known.map(|(_, policies)| policies));
    database.merged(|log, entry| reporter.add(&entry.of_log(log))).map_err(|error| error.to_string())?;
    let report = reporter.finish();
    let mut chains = Vec::new();
    let mut wrong = Vec::new();
    if arguments.parts() == Parts::All && !arguments.no_verify {
        let trust = verify::trust(&arguments.public_key, &[], false)?;
        let logs = database.logs().to_vec();
        for log in &logs {
            let found = database.prove(log, &trust).map_err(|error| error.to_string())?;
            let limits = verify::limits(&found, &trust, false);
            chains.push(Chain { directory: (logs.len() > 1).then(|| log.name.clone()), found, limits });
        }
        for directory in &arguments.dir {
            let held = database.hold_against(directory).map_err(|error| error.to_string())?;
            if !held.known || held.wrong.is_some() {
                wrong.push(directory.display().to_string());
            }
        }
    }
    let ending = give(arguments, &report, &chains, zone, known, output)?;
    for directory in &wrong {
        output.remark(format_args!(
            "pgpurpose: `{directory}` is not the log that the database holds; `pgpurpose audit verify` with both says where"
        ));
    }
    Ok(if wrong.is_empty() { ending } else { Ending::Failed })
}

fn give(
    arguments: &ReportArgs,
    report: &Report,
    chains: &[Chain],
    zone: &Zone,
    known: Option<&(Config, PolicySet)>,
    output: &mut Output,
) -> Result<Ending, String> {
    let parts = arguments.parts();
    let organisation = known.map(|(config, _)| &config.organisation);
    let page = || content::page(report, chains, parts, zone.tz(), organisation);
    let text = match arguments.format() {
        Format::Json => as_json(report, chains, parts)?,
        Format::Html => html::render(&page()),
        Format::Markdown => markdown::render(&page()),
    };
    match &arguments.out {
        None => output.line(text.trim_end()),
        Some(file) => std::fs::write(file, format!("{}\n", text.trim_end()))
            .map_err(|error| format!("`{}` cannot be written: {error}", file.display()))?,
    }
    if chains.iter().any(|chain| !chain.found.holds()) {
        output.remark("pgpurpose: the log does not verify; `pgpurpose audit verify` says where");
        return Ok(Ending::Failed);
    }
    Ok(Ending::Fine)
}

/// A record's number, with that of its log where there are several.
fn record(seq: u64) -> Cell {
    match of_log(seq) {
        (0, seq) => Cell::Record(seq),
        (log, seq) => format!("{seq} of log {}", log + 1).into(),
    }
}

fn as_json(report: &Report, chains: &[Chain], parts: Parts) -> Result<String, String> {
    let mut value = serde_json::to_value(report).map_err(|error| error.to_string())?;
    if let Some(object) = value.as_object_mut() {
        let wanted: Option<&str> = match parts {
            Parts::All => None,
            Parts::Unused => Some("unused"),
            Parts::Observed => Some("observed"),
        };
        object.retain(|name, _| {
            wanted.is_none_or(|wanted| name == wanted || matches!(name.as_str(), "time_zone" | "log" | "records"))
        });
        if parts == Parts::All {
            let mut said = chains.iter().map(|chain| {
                let breaks: Vec<String> = chain.found.breaks.iter().map(ToString::to_string).collect();
                let mut said = verify::as_json(&chain.found, &breaks);
                if let Some(said) = said.as_object_mut() {
                    said.insert("limits".to_owned(), json!(chain.limits));
                    if let Some(directory) = &chain.directory {
                        said.insert("directory".to_owned(), json!(directory));
                    }
                }
                said
            });
            let chain = match chains.len() {
                0 | 1 => said.next().unwrap_or(Value::Null),
                _ => said.collect(),
            };
            object.insert("chain".to_owned(), chain);
        }
    }
    serde_json::to_string_pretty(&value).map_err(|error| error.to_string())
}
