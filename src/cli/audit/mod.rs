//! `pgpurpose audit`: reads the access log. Nothing here writes to it; `index` writes the indexes beside it, and `confirm-clock`
//! lays down a word for the proxy that does.

mod bundle;
mod confirm;
pub(super) mod database;
mod export;
mod keygen;
mod looked_up;
mod show;
pub(super) mod verify;

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::Ending;
use super::bar::Bar;
use super::days::{self, Days};
use super::output::{Output, Style, printable};
use super::report::{self, ReportArgs};
use super::seen::{self, BreachArgs, SubjectArgs};
use super::setup;
use crate::audit::read::{Entry, Follower, last};
use crate::audit::{Effort, Filter, Reindexed, reindex, search_with};
use crate::config::{Config, When, Zone};
use show::show;

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
        after_help = "Examples:\n  pgpurpose audit search --dir audit --relation customers --column id_number --since 7d\n  pgpurpose audit search --dir audit --verdict deny --login marketing --json\n  pgpurpose audit search --config pgpurpose.toml --lookup 7110185001781 --since 30d\n  pgpurpose audit search --audit-db postgresql://auditor@audit-db/audit --login support_agent"
    )]
    Search {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        looked_up: looked_up::LookedUpArgs,
        #[command(flatten)]
        wanted: Box<Wanted>,
        /// Read everything, whatever the indexes say
        #[arg(long)]
        all: bool,
        /// The records as they are in the log, one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Write records as other programs read them: a table, OCSF, ECS, CEF
    #[command(
        after_help = "To stdout, record by record, in the order of the log. docs/audit.md says which field becomes which.\n\nExamples:\n  pgpurpose audit export --dir audit --since 30d > log.csv\n  pgpurpose audit export --config pgpurpose.toml --format ocsf --verdict deny --from 2026-11-01 --to 2026-11-30"
    )]
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        looked_up: looked_up::LookedUpArgs,
        #[command(flatten)]
        wanted: Box<Wanted>,
        /// As what
        #[arg(long, value_enum, default_value_t = export::Format::Csv)]
        format: export::Format,
    },
    /// What was seen of one person, by whom and why: a page for them, or JSON
    #[command(
        after_help = "Examples:\n  pgpurpose audit subject 17 --config pgpurpose.toml -o 17.html\n  pgpurpose audit subject 17 --config pgpurpose.toml --since 2026-01-01 --json"
    )]
    Subject(Box<SubjectArgs>),
    /// Whose information a login saw in a time, and what of it
    #[command(
        after_help = "Example:\n  pgpurpose audit breach --config pgpurpose.toml --login support_agent --from 2026-11-20 --to 2026-11-22"
    )]
    Breach(Box<BreachArgs>),
    /// Who used what and why over time, refusals, what is unusual, what is open and not used: a page, Markdown or JSON
    #[command(
        after_help = "Ends with 1 where the log does not verify. `--unused` and `--observe` give that part alone.\n\nExamples:\n  pgpurpose audit report --dir audit --since 30d\n  pgpurpose audit report --config pgpurpose.toml --public-key signing.pub -o report.html\n  pgpurpose audit report --config pgpurpose.toml --unused 90\n  pgpurpose audit report --dir audit --observe --format json"
    )]
    Report(Box<ReportArgs>),
    /// Prove that no record was changed, removed, inserted or reordered, or say where
    #[command(
        after_help = "Ends with 1 where the chain breaks. Without a key, a rewrite of everything from some record on cannot be seen, and\nwithout a checkpoint that was kept elsewhere, a clean cut of the newest records cannot.\n\nExamples:\n  pgpurpose audit verify --dir audit --public-key signing.pub\n  pgpurpose audit verify --dir audit --public-key signing.pub --checkpoint kept.jsonl\n  pgpurpose audit verify --dir one/audit --dir two/audit --public-key signing.pub\n  pgpurpose audit verify --audit-db postgresql://auditor@audit-db/audit --dir audit --public-key signing.pub"
    )]
    Verify {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        proof: verify::Proof,
        /// The result as one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Build the indexes that are missing, damaged or of another form
    #[command(
        after_help = "A proxy that runs does so by itself. A file without an index is read whole by whatever looks for records.\n\nExample:\n  pgpurpose audit index --dir audit"
    )]
    Index {
        #[command(flatten)]
        place: Place,
        /// Build every index again
        #[arg(long)]
        again: bool,
    },
    /// Say that the machine's clock is right after it jumped, so that old files are destroyed again
    #[command(
        name = "confirm-clock",
        after_help = "Compare the machine's clock with another one first. A log that is signed takes the word of its key alone: give `--config`.\nThe proxy takes it within a second, or with its next start. Ends with 1 where no jump waits.\n\nExample:\n  pgpurpose audit confirm-clock --config pgpurpose.toml --reason 'compared with time.example, ticket OPS-12'"
    )]
    ConfirmClock {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        word: confirm::Word,
    },
    /// Make the key that signs checkpoints; prints its public half
    #[command(
        after_help = "Keep the file where the proxy alone can read it, and the public half where the log's readers are.\n\nExamples:\n  pgpurpose audit keygen --out signing.key > signing.pub\n  pgpurpose audit keygen --of signing.key"
    )]
    Keygen(keygen::KeygenArgs),
    /// Hold what an auditor was given by the console to its list and to the log's public key
    #[command(after_help = "Example:\n  pgpurpose audit bundle access-review-2026-11-30.zip --public-key signing.pub")]
    Bundle(bundle::BundleArgs),
}

#[derive(Debug, Args)]
struct Place {
    /// The folder of the access log, where it is another than the configuration's [default: audit]; `verify` takes several
    #[arg(long, value_name = "DIR")]
    dir: Vec<PathBuf>,
    /// The configuration file: the log's folder and its time zone; for `search` the key of pseudonyms for --subject, and what
    /// --lookup needs, the key and the columns for lookups
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Instead of a folder all logs of all proxies that an audit database holds, for `search`, `export` and `verify`:
    /// `postgresql://login@host:port/database`, or `env:NAME` or `file:PATH` of such a line; `verify` holds each --dir against it
    #[arg(long, value_name = "URL")]
    audit_db: Option<String>,
    #[command(flatten)]
    days: Days,
}

/// Where the log is, and whose days count.
struct Known {
    directory: PathBuf,
    zone: Zone,
}

impl Place {
    fn known(&self, output: &mut Output) -> Result<Known, Ending> {
        Ok(self.configured(output)?.0)
    }

    /// The same, with the configuration, where one is given.
    fn configured(&self, output: &mut Output) -> Result<(Known, Option<Config>), Ending> {
        let config = match &self.config {
            None => None,
            Some(file) => match Config::load(file) {
                Ok(config) => Some(config),
                Err(faults) => {
                    setup::tell(&faults, output);
                    return Err(Ending::Wrong);
                }
            },
        };
        Ok((self.of(config.as_ref()), config))
    }

    fn of(&self, config: Option<&Config>) -> Known {
        let configured = || config.map(|config| config.audit.directory.clone());
        let directory = self.dir.first().cloned().or_else(configured).unwrap_or_else(|| PathBuf::from("audit"));
        Known { directory, zone: self.days.zone(config) }
    }
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
    /// On behalf of this end user of the application, as it stands in the record; with --config also as it was stated
    #[arg(long)]
    actor: Vec<String>,
    /// With this ticket
    #[arg(long)]
    ticket: Option<String>,
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
    /// That disclosed this subject, as it stands in the record; with --config also as the database writes its key
    #[arg(long)]
    subject: Vec<String>,
    /// Not before: `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`
    #[arg(long, alias = "from", value_name = "TIME")]
    since: Option<When>,
    /// Until, in the same forms: the whole of a day, and before a moment
    #[arg(long, alias = "to", value_name = "TIME")]
    until: Option<When>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WantedVerdict {
    Allow,
    Mask,
    Deny,
}

impl Wanted {
    fn filter(&self, zone: &Zone) -> Result<Filter, String> {
        let wanted = self;
        let (since, until) = days::bounds(self.since.as_ref(), self.until.as_ref(), zone)?;
        Ok(Filter {
            login: wanted.login.clone(),
            role: wanted.role.clone(),
            purpose: wanted.purpose.clone(),
            actor: wanted.actor.clone(),
            ticket: wanted.ticket.clone(),
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
            subject: wanted.subject.clone(),
            lookup: Vec::new(),
            statement: wanted.statement.clone(),
            since,
            until,
        })
    }
}

pub(super) fn run(arguments: &AuditArgs, output: &mut Output) -> Ending {
    match &arguments.verb {
        AuditVerb::Tail { place, lines, follow, json } => {
            at(place, output, |known, output| tail(known, *lines, *follow, *json, output))
        }
        AuditVerb::Search { place, looked_up, wanted, all, json } => match looked_up.narrow(place, wanted, output) {
            Ok((known, filter)) => match &place.audit_db {
                Some(place) => database::find(place, &known.zone, &filter, *json, output),
                None => {
                    let done = find(&known, filter, *all, *json, output);
                    done.unwrap_or_else(|error| unreadable(&known, &error, output))
                }
            },
            Err(ending) => ending,
        },
        AuditVerb::Export { place, looked_up, wanted, format } => match looked_up.narrow(place, wanted, output) {
            Ok((known, filter)) => match &place.audit_db {
                Some(place) => database::export(place, &known.zone, &filter, *format, output),
                None => {
                    let done = export::run(&known, filter, *format, output);
                    done.unwrap_or_else(|error| unreadable(&known, &error, output))
                }
            },
            Err(ending) => ending,
        },
        AuditVerb::Verify { place, proof, json } => verify_all(place, proof, *json, output),
        AuditVerb::Index { place, again } => at(place, output, |known, output| index(&known.directory, *again, output)),
        AuditVerb::ConfirmClock { place, .. } if place.audit_db.is_some() => {
            output.wrong("this verb reads a folder: give --dir instead of --audit-db")
        }
        AuditVerb::ConfirmClock { place, word } => match place.configured(output) {
            Ok((known, config)) => confirm::run(&known.directory, word, config.as_ref(), &known.zone, output),
            Err(ending) => ending,
        },
        AuditVerb::Keygen(arguments) => keygen::run(arguments, output),
        AuditVerb::Bundle(arguments) => bundle::run(arguments, output),
        AuditVerb::Subject(arguments) => seen::subject(arguments, output),
        AuditVerb::Breach(arguments) => seen::breach(arguments, output),
        AuditVerb::Report(arguments) => report::run(arguments, output),
    }
}

/// Each folder's log by itself: the worst of them is how it ends.
fn verify_all(place: &Place, proof: &verify::Proof, json: bool, output: &mut Output) -> Ending {
    let known = match place.known(output) {
        Ok(known) => known,
        Err(ending) => return ending,
    };
    if let Some(url) = &place.audit_db {
        return database::verify(url, &place.dir, proof, &known.zone, json, output);
    }
    let others =
        place.dir.iter().skip(1).map(|directory| Known { directory: directory.clone(), zone: known.zone.clone() });
    let all: Vec<Known> = others.collect();
    if !all.is_empty() && proof.is_of_one() {
        return output.wrong("--last and --signed-from are about one log: give one --dir");
    }
    let mut worst = Ending::Fine;
    for known in std::iter::once(&known).chain(&all) {
        if !all.is_empty() && !json {
            output.line(format_args!("{}", printable(&known.directory.display().to_string())));
        }
        let ended = verify::run(&known.directory, proof, &known.zone, json, output);
        let ended = ended.unwrap_or_else(|error| unreadable(known, &error, output));
        worst = match (worst, ended) {
            (Ending::Wrong, _) | (_, Ending::Wrong) => Ending::Wrong,
            (Ending::Failed, _) | (_, Ending::Failed) => Ending::Failed,
            (Ending::Fine, Ending::Fine) => Ending::Fine,
        };
    }
    worst
}

fn at(place: &Place, output: &mut Output, verb: impl FnOnce(&Known, &mut Output) -> io::Result<Ending>) -> Ending {
    if place.dir.len() > 1 {
        return output.wrong("this verb reads one log: give one --dir");
    }
    if place.audit_db.is_some() {
        return output.wrong("this verb reads a folder: give --dir instead of --audit-db");
    }
    match place.known(output) {
        Ok(known) => verb(&known, output).unwrap_or_else(|error| unreadable(&known, &error, output)),
        Err(ending) => ending,
    }
}

fn unreadable(known: &Known, error: &io::Error, output: &mut Output) -> Ending {
    output.wrong(format_args!("`{}` cannot be read: {error}", known.directory.display()))
}

fn tail(known: &Known, lines: usize, follow: bool, json: bool, output: &mut Output) -> io::Result<Ending> {
    let Known { directory, zone } = known;
    days::tell(zone, output);
    let mut follower = Follower::at_end(directory)?;
    let mut shown = None;
    for entry in last(directory, lines, u64::MAX, |_| true)? {
        shown = entry.seq().max(shown);
        show(&entry, zone, json, output);
    }
    while follow && !output.closed() {
        std::thread::sleep(Duration::from_millis(200));
        // What was added before the newest were shown was shown with them.
        for entry in follower.poll()?.into_iter().filter(|entry| entry.seq().is_none_or(|seq| shown < Some(seq))) {
            show(&entry, zone, json, output);
        }
    }
    Ok(Ending::Fine)
}

fn find(known: &Known, filter: Filter, all: bool, json: bool, output: &mut Output) -> io::Result<Ending> {
    let Known { directory, zone } = known;
    days::tell(zone, output);
    let (mut found, mut bar) = (0_u64, Bar::new("searching the log"));
    // Both what is found and how far it is go there.
    let shared = RefCell::new(&mut *output);
    let each = |entry: Entry| {
        found += u64::from(entry.event() != "outcome");
        let output = &mut **shared.borrow_mut();
        show(&entry, zone, json, output);
        !output.closed()
    };
    let effort = search_with(directory, filter, all, each, &mut |advance| bar.at(advance, &mut shared.borrow_mut()));
    bar.end(output);
    let effort = effort?;
    if !json {
        let Effort { files, unindexed, blocks, read, .. } = effort;
        output.remark(format_args!(
            "{found} found; of {files} files, {unindexed} without an index were read whole, of the others {read} of {blocks} blocks"
        ));
    }
    Ok(damaged(&effort, output))
}

/// Says which files could not be read, and how a verb ends that could not read them.
pub(in crate::cli) fn damaged(effort: &Effort, output: &mut Output) -> Ending {
    for file in &effort.damaged {
        output.remark(format_args!(
            "{}: {}; what it holds is missing here, and `audit verify` says more",
            output.styled(Style::Bad, "damaged"),
            printable(file)
        ));
    }
    if effort.damaged.is_empty() { Ending::Fine } else { Ending::Failed }
}

fn index(directory: &Path, again: bool, output: &mut Output) -> io::Result<Ending> {
    let mut bar = Bar::new("building indexes");
    let built = reindex(directory, again, |advance| bar.at(advance, output));
    bar.end(output);
    let Reindexed { files, built } = built?;
    output.line(format_args!("{built} indexes built; {files} closed files have one"));
    Ok(Ending::Fine)
}
