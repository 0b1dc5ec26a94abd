//! `pgpurpose audit`: reads the access log. Nothing here writes to it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::Ending;
use super::output::{Output, Style, printable};
use crate::audit::read::{Entry, Follower, last, scan};
use crate::audit::{Filter, Search, verify};

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// Show the newest records
    #[command(after_help = "Example:\n  pgpurpose audit tail --dir audit -f")]
    Tail {
        #[command(flatten)]
        place: Place,
        /// How many
        #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
        lines: usize,
        /// Go on with what is added
        #[arg(short, long)]
        follow: bool,
        /// The records as they are in the log, one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Find records
    #[command(
        after_help = "Examples:\n  pgpurpose audit search --dir audit --relation customers --column id_number --since 7d\n  pgpurpose audit search --dir audit --verdict deny --login marketing --json"
    )]
    Search {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        wanted: Box<Wanted>,
        /// The records as they are in the log, one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Prove that no record was changed, removed, inserted or reordered, or say where
    #[command(
        after_help = "Ends with 1 where the chain breaks. A clean cut of the newest records cannot be seen in the log itself:\ncompare the last hash with one that was kept elsewhere (--last).\n\nExample:\n  pgpurpose audit verify --dir audit"
    )]
    Verify {
        #[command(flatten)]
        place: Place,
        /// The log must hold a record with this number and hash, as `verify` printed them earlier
        #[arg(long, value_name = "SEQ:HASH")]
        last: Option<String>,
        /// The result as one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// The folder of the access log
    #[arg(long, value_name = "DIR", default_value = "audit")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Wanted {
    /// By this PostgreSQL login
    #[arg(long)]
    login: Option<String>,
    /// By this role of the policy
    #[arg(long)]
    role: Option<String>,
    /// For this purpose or a child of it
    #[arg(long)]
    purpose: Option<String>,
    /// On behalf of this recipient
    #[arg(long)]
    recipient: Option<String>,
    /// That touch this table: `customers` or `public.customers`
    #[arg(long)]
    relation: Option<String>,
    /// That touch this column: `email` or `public.customers.email`
    #[arg(long)]
    column: Option<String>,
    /// With this verdict
    #[arg(long)]
    verdict: Option<WantedVerdict>,
    /// Of this kind: access, outcome, connect, login_refused, purpose, policy, incident ...
    #[arg(long)]
    event: Option<String>,
    /// Whose statement holds this text
    #[arg(long)]
    statement: Option<String>,
    /// Not before: `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Before, in the same forms
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WantedVerdict {
    Allow,
    Mask,
    Deny,
}

/// A moment: with a zone, without one (UTC), a day (its beginning in UTC), or so long ago.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text.parse::<Date>().map(|day| day.to_datetime(jiff::civil::Time::midnight()));
    if let Ok(civil) = civil.or_else(|_| text.parse::<DateTime>()) {
        return civil.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|error| error.to_string());
    }
    let wrong = || "a time is `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let then = Zoned::now().with_time_zone(TimeZone::UTC).checked_sub(span.abs()).map_err(|_| wrong())?;
    Ok(then.timestamp())
}

impl From<&Wanted> for Filter {
    fn from(wanted: &Wanted) -> Self {
        Self {
            login: wanted.login.clone(),
            role: wanted.role.clone(),
            purpose: wanted.purpose.clone(),
            recipient: wanted.recipient.clone(),
            relation: wanted.relation.clone(),
            column: wanted.column.clone(),
            verdict: wanted.verdict.map(|verdict| {
                match verdict {
                    WantedVerdict::Allow => "allow",
                    WantedVerdict::Mask => "mask",
                    WantedVerdict::Deny => "deny",
                }
                .to_owned()
            }),
            event: wanted.event.clone(),
            statement: wanted.statement.clone(),
            since: wanted.since,
            until: wanted.until,
        }
    }
}

pub(super) fn run(arguments: &AuditArgs, output: &mut Output) -> Ending {
    let directory = match &arguments.verb {
        AuditVerb::Tail { place, .. } | AuditVerb::Search { place, .. } | AuditVerb::Verify { place, .. } => &place.dir,
    };
    let done = match &arguments.verb {
        AuditVerb::Tail { lines, follow, json, .. } => tail(directory, *lines, *follow, *json, output),
        AuditVerb::Search { wanted, json, .. } => search(directory, Filter::from(wanted.as_ref()), *json, output),
        AuditVerb::Verify { last, json, .. } => prove(directory, last.as_deref(), *json, output),
    };
    done.unwrap_or_else(|error| output.wrong(format_args!("`{}` cannot be read: {error}", directory.display())))
}

fn tail(directory: &Path, lines: usize, follow: bool, json: bool, output: &mut Output) -> io::Result<Ending> {
    let mut follower = Follower::at_end(directory)?;
    for entry in last(directory, lines, u64::MAX, |_| true)? {
        show(&entry, json, output);
    }
    while follow && !output.closed() {
        std::thread::sleep(Duration::from_millis(200));
        for entry in follower.poll()? {
            show(&entry, json, output);
        }
    }
    Ok(Ending::Fine)
}

fn search(directory: &Path, filter: Filter, json: bool, output: &mut Output) -> io::Result<Ending> {
    let mut search = Search::new(filter);
    let mut found = 0_u64;
    scan(directory, |entry| {
        if search.wants(&entry) {
            found += u64::from(entry.event() != "outcome");
            show(&entry, json, output);
        }
        !output.closed()
    })?;
    if !json {
        output.remark(format_args!("{found} found"));
    }
    Ok(Ending::Fine)
}

fn show(entry: &Entry, json: bool, output: &mut Output) {
    if json {
        output.line(&entry.line);
    } else {
        let line = describe(entry, output);
        output.line(line);
    }
}

/// One record for a person.
fn describe(entry: &Entry, output: &Output) -> String {
    let text = |field| printable(entry.text(field).unwrap_or("-"));
    let seq = entry.seq().unwrap_or_default();
    let who = format!("{} for {}", text("login"), text("purpose"));
    let time = text("time");
    match entry.event() {
        "access" => {
            let verdict = text("verdict");
            let style = match verdict.as_str() {
                "allow" => Style::Good,
                "mask" => Style::Middling,
                _ => Style::Bad,
            };
            let mode = if entry.text("mode").is_some() { " (observed)" } else { "" };
            let reason = entry.text("reason").map(|reason| format!("\n    {}", printable(reason))).unwrap_or_default();
            let verdict = output.styled(style, format_args!("{verdict:5}"));
            format!("{seq:>8} {time} {verdict}{mode} {who}: {}{reason}", text("statement"))
        }
        "outcome" => {
            let number = |field| entry.number(field).map_or_else(|| "-".to_owned(), |number| number.to_string());
            let ms = entry.field("ms").map(ToString::to_string).unwrap_or_default();
            let state = entry.text("sqlstate").map(|state| format!(" {}", printable(state))).unwrap_or_default();
            format!("{seq:>8}   of {}: {}{state}, {} rows, {ms} ms", number("of"), text("status"), number("rows"))
        }
        other => {
            let details: Vec<String> = [
                "client",
                "database",
                "application",
                "from",
                "to",
                "refused",
                "policy",
                "what",
                "error",
                "kept",
                "sync",
                "reason",
            ]
            .into_iter()
            .filter_map(|field| Some((field, entry.field(field)?)))
            .filter(|(_, value)| !value.is_null())
            .map(|(field, value)| {
                format!("{field}={}", printable(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            })
            .collect();
            let who = entry.text("login").map(|login| format!(" {}", printable(login))).unwrap_or_default();
            format!("{seq:>8} {time} {}{who} {}", output.styled(Style::Heading, printable(other)), details.join(" "))
        }
    }
}

fn prove(directory: &Path, last: Option<&str>, json: bool, output: &mut Output) -> io::Result<Ending> {
    let expected =
        match last.map(|last| last.split_once(':').and_then(|(seq, hash)| Some((seq.parse::<u64>().ok()?, hash)))) {
            None => None,
            Some(Some(expected)) => Some(expected),
            Some(None) => return Ok(output.wrong("--last takes a number and a hash: `17:5d41…`")),
        };
    let found = verify(directory)?;
    let mut breaks: Vec<String> = found.breaks.iter().map(ToString::to_string).collect();
    if let Some((seq, hash)) = expected {
        let mut there = false;
        scan(directory, |entry| {
            there |= entry.seq() == Some(seq) && entry.text("hash") == Some(hash);
            !there && entry.seq().is_none_or(|at| at <= seq)
        })?;
        if !there {
            breaks.push(format!("record {seq} with the expected hash is not in the log: it was cut off or rewritten"));
        }
    }
    let last = format!("{}:{}", found.last.seq, found.last.hash);
    let ending = if breaks.is_empty() { Ending::Fine } else { Ending::Failed };
    if json {
        output.line(serde_json::json!({
            "holds": breaks.is_empty(), "files": found.files, "records": found.records, "last": last,
            "breaks": breaks, "notices": found.notices,
        }));
        return Ok(ending);
    }
    for notice in &found.notices {
        output.line(format_args!("note: {}", printable(notice)));
    }
    for broken in &breaks {
        let line = format!("{}: {}", output.styled(Style::Bad, "broken"), printable(broken));
        output.line(line);
    }
    let counts = format!("{} records in {} files, the last is {last}", found.records, found.files);
    let line = match ending {
        Ending::Fine => format!("{}: {counts}", output.styled(Style::Good, "the chain holds")),
        Ending::Failed | Ending::Wrong => format!("{}: {counts}", output.styled(Style::Bad, "the chain is broken")),
    };
    output.line(line);
    Ok(ending)
}
