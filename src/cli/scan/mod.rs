//! `pgpurpose scan`: which columns hold personal information, and a first policy for them.

mod drift;
mod review;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio_postgres::Client;

use super::Ending;
use super::bar::Bar;
use super::output::{Output, Style, printable};
use super::setup;
use crate::app::{Database, runtime};
use crate::audit::Advance;
use crate::config::{Config, SecretSource, UpstreamAddress};
use crate::policy::PolicySet;
use crate::scan::{
    About, Judged, Kept, Level, Lexicon, Limits, Table, facts, judge_table, prepare_session, read_tables,
    sampled_facts, starter_policy,
};

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// The configuration file: its database, and with --drift its policies
    #[arg(long, value_name = "FILE", required_unless_present = "upstream")]
    config: Option<PathBuf>,
    /// Without a file: the database, as `host:port` or the folder of a Unix socket
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "config")]
    upstream: Option<UpstreamAddress>,
    /// The PostgreSQL login that reads [default: the configuration's `catalog_login`]
    #[arg(long, value_name = "LOGIN", required_unless_present = "config")]
    login: Option<String>,
    /// Its password, as `env:NAME` or `file:PATH` [default: `env:PGPASSWORD` where that is set]
    #[arg(long, value_name = "SOURCE", value_parser = secret)]
    password: Option<SecretSource>,
    /// The database [default: the only one, else the one that has most of the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Write a first policy into this file; one that is there and differs is kept as FILE.bak
    #[arg(short, long = "out", value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a line a column into this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Look at names, types and comments alone, at no value
    #[arg(long)]
    no_values: bool,
    /// End with 1 where something is unsure
    #[arg(long)]
    strict: bool,
    /// Ask about each column that is unsure, and keep the answers
    #[arg(long)]
    review: bool,
    /// Compare with the policies in force: what is new, gone, or looks different; ends with 1 where something is
    #[arg(long, conflicts_with_all = ["review", "out"])]
    drift: bool,
    /// With --upstream and --drift: the policies, as file names or patterns
    #[arg(long, value_name = "GLOB", num_args = 1.., conflicts_with = "config")]
    policy: Vec<String>,
    /// With --drift: the lines of an earlier scan (--json), to compare types and evidence with
    #[arg(long, value_name = "FILE", requires = "drift")]
    baseline: Option<PathBuf>,
    /// With --drift: the folder of the access log, to say who asked for what is closed [default: the configuration's]
    #[arg(long, value_name = "DIR", requires = "drift")]
    audit: Option<PathBuf>,
    /// Verdicts of people, kept from one scan to the next
    #[arg(long, value_name = "FILE", default_value = "scan.toml")]
    verdicts: PathBuf,
    /// Who reviews [default: the system's user]
    #[arg(long, value_name = "NAME", requires = "review")]
    by: Option<String>,
    /// A folder of further names and phrases
    #[arg(long, value_name = "DIR")]
    names: Option<PathBuf>,
    /// Rows of a table that are looked at, at most
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rows: u32,
    /// No statement runs longer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    timeout: u64,
}

fn secret(text: &str) -> Result<SecretSource, String> {
    SecretSource::parse(text, Path::new(""))
}

/// What a scan read and judged.
struct Scanned {
    judged: Vec<Judged>,
    about: About,
    /// What `--drift` compares with besides.
    reaching: Option<drift::Reaching>,
}

pub(super) fn run(arguments: &ScanArgs, output: &mut Output) -> Ending {
    let config = match configuration(arguments) {
        Ok(config) => config,
        Err(faults) => {
            setup::tell(&faults, output);
            return Ending::Wrong;
        }
    };
    let policies = if arguments.config.is_some() || !arguments.policy.is_empty() {
        crate::app::policies(&config)
    } else {
        Ok(PolicySet::default())
    };
    let policies = match policies {
        Ok(policies) => policies,
        // Whose policies are still to be written scans for that.
        Err(_) if !arguments.drift => PolicySet::default(),
        Err(faults) => {
            setup::tell(&faults, output);
            return Ending::Wrong;
        }
    };
    match scan(arguments, &config, &policies, output) {
        Ok(ending) => ending,
        Err(error) => output.wrong(error),
    }
}

fn configuration(arguments: &ScanArgs) -> Result<Config, Vec<crate::document::Fault>> {
    let mut config = match (&arguments.config, &arguments.upstream) {
        (Some(file), _) => Config::load(file)?,
        (None, Some(upstream)) => Config::for_upstream(upstream.clone(), arguments.policy.clone()),
        (None, None) => {
            return Err(vec![crate::document::Fault::error(
                &crate::document::Place::default(),
                "neither --config nor --upstream is given",
            )]);
        }
    };
    if let Some(login) = &arguments.login {
        config.upstream.catalog_login.clone_from(login);
        config.upstream.catalog_password = None;
    }
    let usual = std::env::var_os("PGPASSWORD").map(|_| SecretSource::Env("PGPASSWORD".to_owned()));
    if let Some(password) = arguments.password.clone().or(usual.filter(|_| config.upstream.catalog_password.is_none()))
    {
        config.upstream.catalog_password = Some(password);
    }
    Ok(config)
}

fn scan(arguments: &ScanArgs, config: &Config, policies: &PolicySet, output: &mut Output) -> Result<Ending, String> {
    let mut lexicon = Lexicon::built_in().map_err(|error| error.to_string())?;
    if let Some(folder) = &arguments.names {
        lexicon.add_folder(folder).map_err(|error| error.to_string())?;
    }
    let mut kept = Kept::load(&arguments.verdicts).map_err(|error| error.to_string())?;
    let mut scanned = runtime()?.block_on(read(arguments, config, policies, &lexicon, output))?;
    if arguments.review {
        let who = arguments.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "unknown".to_owned());
        review::ask(&scanned.judged, &mut kept, &who, &arguments.verdicts, output)?;
    }
    let raw: BTreeMap<String, String> = seen_now(&scanned.judged);
    for change in kept.apply(&mut scanned.judged) {
        output.remark(format_args!("note: {}", printable(&change)));
    }
    if let Some(file) = &arguments.json {
        write_lines(file, &scanned.judged, output)?;
    }
    if arguments.drift {
        let directory =
            arguments.audit.clone().or_else(|| arguments.config.as_ref().map(|_| config.audit.directory.clone()));
        let Some(reaching) = &scanned.reaching else { return Err("the catalog was not read".to_owned()) };
        let asked =
            drift::Against { reaching, baseline: arguments.baseline.as_deref(), log: directory.as_deref(), seen: &raw };
        return drift::tell(&scanned.judged, &asked, arguments.json.is_some(), output);
    }
    let text = starter_policy(&scanned.judged, &scanned.about, &lexicon);
    match &arguments.out {
        Some(file) => replace(file, &text, output)?,
        None if arguments.json.is_none() && !arguments.review => output.line(text.trim_end()),
        None => {}
    }
    Ok(summary(&scanned.judged, arguments.strict, output))
}

/// What the scan itself says of each column, before people's verdicts.
fn seen_now(judged: &[Judged]) -> BTreeMap<String, String> {
    let of = |table: &Judged| {
        let name = table.name();
        table
            .columns()
            .map(|(column, verdict)| (format!("{name}.{}", column.name), crate::scan::seen(verdict)))
            .collect::<Vec<_>>()
    };
    judged.iter().flat_map(of).collect()
}

async fn read(
    arguments: &ScanArgs,
    config: &Config,
    policies: &PolicySet,
    lexicon: &Lexicon,
    output: &mut Output,
) -> Result<Scanned, String> {
    let database = Database::find(config, policies, arguments.database.as_deref()).await?;
    let limits = Limits {
        rows: usize::try_from(arguments.rows).unwrap_or(500),
        statement_ms: arguments.timeout,
        ..Limits::default()
    };
    let values = !arguments.no_values;
    let (judged, login) = judged(&database, &config.upstream.catalog_login, limits, values, lexicon, output).await?;
    let reaching = match arguments.drift {
        true => Some(drift::Reaching::read(&database, policies).await?),
        false => None,
    };
    Ok(Scanned { judged, about: About { database: database.name, login, values }, reaching })
}

/// A first policy for a database, from its structure and, where `values`, from samples; `own` is the login that no application has.
///
/// # Errors
/// The database ended the connection, or cannot be read.
pub(super) async fn first_policy(
    database: &Database,
    own: &str,
    values: bool,
    output: &mut Output,
) -> Result<String, String> {
    let lexicon = Lexicon::built_in().map_err(|error| error.to_string())?;
    let (judged, login) = judged(database, own, Limits::default(), values, &lexicon, output).await?;
    summary(&judged, false, output);
    Ok(starter_policy(&judged, &About { database: database.name.clone(), login, values }, &lexicon))
}

/// Every table with what its columns seem to hold, and the login that applications most likely have.
async fn judged(
    database: &Database,
    own: &str,
    limits: Limits,
    values: bool,
    lexicon: &Lexicon,
    output: &mut Output,
) -> Result<(Vec<Judged>, Option<String>), String> {
    let client = database.client().await?;
    let described = |error: tokio_postgres::Error| {
        error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned())
    };
    // The catalog of a large database takes longer than a sample may.
    prepare_session(&client, Limits { statement_ms: 60_000, ..limits }).await.map_err(described)?;
    let tables = read_tables(&client).await.map_err(described)?;
    let login = application_login(&client, own).await;
    prepare_session(&client, limits).await.map_err(described)?;
    let mut bar = Bar::new("scanning");
    let of = u64::try_from(tables.len()).unwrap_or(u64::MAX);
    let mut judged = Vec::with_capacity(tables.len());
    for (table, done) in tables.into_iter().zip(0..) {
        bar.at(Advance { done, of }, output);
        judged.push(one_table(&client, table, limits, values, lexicon).await);
        if client.is_closed() {
            return Err("the database ended the connection".to_owned());
        }
    }
    bar.end(output);
    for table in &judged {
        if let Some(skipped) = &table.skipped {
            output.remark(format_args!(
                "note: `{}` was not sampled: {skipped}; judged by names alone",
                printable(&table.name())
            ));
        }
    }
    Ok((judged, login))
}

async fn one_table(client: &Client, table: Table, limits: Limits, values: bool, lexicon: &Lexicon) -> Judged {
    let (facts, skipped) = if values {
        match sampled_facts(client, &table, limits).await {
            Ok(facts) => (facts, None),
            Err(reason) => (facts(&table), Some(reason.to_string())),
        }
    } else {
        (facts(&table), None)
    };
    let verdicts = judge_table(&table.name, &facts, lexicon);
    Judged { table, verdicts, skipped }
}

/// The login that an application most likely has: the first that is no superuser and not the scan's own.
async fn application_login(client: &Client, own: &str) -> Option<String> {
    const LOGINS: &str = "SELECT rolname::text FROM pg_catalog.pg_roles \
        WHERE rolcanlogin AND NOT rolsuper AND NOT rolreplication AND rolname <> $1 AND rolname !~ '^pg' ORDER BY rolname LIMIT 1";
    let row = client.query_opt(LOGINS, &[&own]).await.ok()??;
    row.try_get(0).ok()
}

fn write_lines(file: &Path, judged: &[Judged], output: &mut Output) -> Result<(), String> {
    let lines = judged.iter().flat_map(Judged::json);
    if file == Path::new("-") {
        lines.for_each(|line| output.line(line));
        return Ok(());
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    std::fs::write(file, text).map_err(|error| format!("`{}` cannot be written: {error}", file.display()))
}

/// Somebody's corrections are not lost to a second scan.
fn replace(file: &Path, text: &str, output: &mut Output) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", file.display());
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    if std::fs::read_to_string(file).is_ok_and(|before| before != text) {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".bak");
        std::fs::rename(file, &beside).map_err(failed)?;
        output.remark(format_args!(
            "note: what stood in `{}` is kept as `{}`",
            file.display(),
            Path::new(&beside).display()
        ));
    }
    std::fs::write(file, text).map_err(failed)
}

fn summary(judged: &[Judged], strict: bool, output: &mut Output) -> Ending {
    let verdicts = || judged.iter().flat_map(|table| &table.verdicts);
    let of = |level: Level| verdicts().filter(|verdict| verdict.kind.is_some() && verdict.level() == level).count();
    let by_name = verdicts().filter(|verdict| verdict.kind.is_none() && verdict.suggested.is_some()).count();
    let unsure = of(Level::Unsure) + by_name;
    let special = verdicts().filter(|verdict| verdict.kind.is_some_and(crate::scan::Kind::is_special)).count();
    let text = format!(
        "{} tables, {} columns: personal {} sure, {} likely, {unsure} unsure; {special} of special categories",
        judged.len(),
        verdicts().count(),
        of(Level::Sure),
        of(Level::Likely),
    );
    let style = if unsure > 0 { Style::Middling } else { Style::Good };
    let text = output.styled(style, text);
    output.remark(text);
    if strict && unsure > 0 { Ending::Failed } else { Ending::Fine }
}
