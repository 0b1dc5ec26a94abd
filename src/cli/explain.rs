//! `pgpurpose explain`: what a statement would get, and why. Nothing of it runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Ending;
use super::layout::laid_out;
use super::output::{Output, Style, printable};
use super::setup::{self, Source};
use super::verdict::{Judged, Question, default_path, judge};
use super::{assumed, verdict};
use crate::app::{Database, runtime};
use crate::catalog::{Catalog, RelationName};
use crate::config::Config;
use crate::policy::{AccessReport, PolicySet, RelationReport, Verdict};
use crate::sql::on_parser_stack;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    source: Source,
    /// The PostgreSQL login that asks
    #[arg(long)]
    login: String,
    /// The purpose [default: the first of the login's role]
    #[arg(long)]
    purpose: Option<String>,
    /// The application's end user on whose behalf it would run
    #[arg(long)]
    actor: Option<String>,
    /// The database whose catalog is used [default: found by the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Schemas of names without one, in their order [default: the login's own and `public`, as PostgreSQL has it]
    #[arg(long, value_name = "SCHEMA,...", value_delimiter = ',')]
    search_path: Vec<String>,
    /// Do not ask the database: assume a catalog of the policies' own tables
    #[arg(long, conflicts_with = "database")]
    offline: bool,
    /// One JSON object for each statement
    #[arg(long)]
    json: bool,
    /// Statements from a file, one JSON string a line; prints one JSON verdict a line
    #[arg(long, value_name = "FILE", required_unless_present = "sql", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// The statement
    #[arg(value_name = "SQL")]
    sql: Option<String>,
}

/// A catalog, and where it came from.
pub(super) struct Known {
    pub(super) catalog: Catalog,
    /// The database's name; `None`: assumed from the policies.
    pub(super) database: Option<String>,
}

/// The database's catalog, or one made of the policies where it cannot be reached; the person is told which.
pub(super) fn known(
    config: &Config,
    policies: &PolicySet,
    database: Option<&str>,
    offline: bool,
    output: &mut Output,
) -> Result<Known, String> {
    if !offline {
        let read = runtime()?.block_on(async {
            let database = Database::find(config, policies, database).await?;
            let catalog = database.catalog().await?.current();
            Ok::<_, String>((database.name, catalog))
        });
        match read {
            Ok((name, catalog)) => {
                return Ok(Known { catalog: catalog.as_ref().clone(), database: Some(name) });
            }
            // Who names a database means it.
            Err(error) if database.is_some() => return Err(error),
            Err(error) => output.remark(format_args!(
                "note: {error}; a catalog of the policies' own tables is assumed, with types that fit their masks"
            )),
        }
    }
    Ok(Known { catalog: assumed::catalog(policies), database: None })
}

pub(super) fn run(arguments: &ExplainArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(arguments.source.load(), output) else { return Ending::Wrong };
    let known = match known(&config, &policies, arguments.database.as_deref(), arguments.offline, output) {
        Ok(known) => known,
        Err(error) => return output.wrong(error),
    };
    let policies = policies.fitted(&known.catalog);
    let Some(role) = policies.role_of(&arguments.login) else {
        return output.wrong(format_args!("no role of the policies has the login `{}`", printable(&arguments.login)));
    };
    let question = Question {
        policies: &policies,
        catalog: &known.catalog,
        role,
        login: &arguments.login,
        purpose: arguments.purpose.as_deref(),
        actor: arguments.actor.as_deref(),
        today: policies.zone().today(),
        search_path: match arguments.search_path.as_slice() {
            [] => default_path(&arguments.login),
            given => given.to_vec(),
        },
    };
    match (&arguments.file, &arguments.sql) {
        (Some(file), _) => many(file, &question, &known, output),
        (None, Some(sql)) => one(sql, &question, &known, arguments.json, output),
        (None, None) => output.wrong("a statement is missing"),
    }
}

fn one(sql: &str, question: &Question<'_>, known: &Known, json: bool, output: &mut Output) -> Ending {
    let judged = match on_parser_stack(|| judge(sql, question)) {
        Ok(judged) => judged,
        Err(refusal) => verdict::refused(refusal),
    };
    if json {
        output.line(object(&judged, question, known));
    } else {
        describe(&judged, question, output);
    }
    Ending::Fine
}

/// The file's statements on one large stack; the lines come out as they are judged.
fn many(file: &Path, question: &Question<'_>, known: &Known, output: &mut Output) -> Ending {
    let reader = match File::open(file) {
        Ok(opened) => BufReader::new(opened),
        Err(error) => return output.wrong(format_args!("`{}` cannot be read: {error}", file.display())),
    };
    let (verdicts, judged) = std::sync::mpsc::sync_channel::<Result<String, String>>(1024);
    let work = move || {
        for (number, line) in reader.lines().enumerate() {
            let verdict = line
                .map_err(|error| error.to_string())
                .and_then(|line| serde_json::from_str::<String>(&line).map_err(|_| "is not a JSON string".to_owned()))
                .map(|sql| object(&judge(&sql, question), question, known).to_string())
                .map_err(|error| format!("line {} of `{}`: {error}", number + 1, file.display()));
            let failed = verdict.is_err();
            // The other side is gone where nobody reads the results any more.
            if verdicts.send(verdict).is_err() || failed {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| on_parser_stack(work));
        let mut ending = Ending::Fine;
        for verdict in judged {
            match verdict {
                Ok(line) => output.line(line),
                Err(error) => ending = output.wrong(error),
            }
            if output.closed() {
                break;
            }
        }
        match worker.join() {
            Ok(Ok(())) => ending,
            Ok(Err(_)) | Err(_) => output.wrong("a statement could not be judged"),
        }
    })
}

fn object(judged: &Judged, question: &Question<'_>, known: &Known) -> serde_json::Value {
    let mut object = judged.json();
    if let Some(object) = object.as_object_mut() {
        object.insert("login".to_owned(), json!(question.login));
        object.insert("role".to_owned(), json!(question.role.name));
        let purpose = question.purpose.or_else(|| question.role.purposes.first().map(String::as_str));
        let basis = purpose.and_then(|purpose| question.policies.purpose(purpose)).map(|purpose| purpose.basis);
        object.insert("basis".to_owned(), json!(basis.map(crate::policy::Basis::name)));
        object.insert("section".to_owned(), json!(basis.map(crate::policy::Basis::section)));
        let (Judged::Runs { report, .. } | Judged::Refused { report, .. }) = judged;
        let rules = grounds(report, question);
        let rules = rules.iter().map(|(rule, place, ground)| json!({"name": rule, "at": place, "ground": ground}));
        object.insert("rules".to_owned(), rules.collect());
        if let Some((_, budget)) = budgets(judged, question).first() {
            object.insert("queries_per_day".to_owned(), json!(budget));
        }
        object.insert("catalog".to_owned(), json!(known.database.as_deref().map_or("assumed", |_| "database")));
    }
    object
}

/// The rules that decided, where they stand, and the ground that each names.
fn grounds(report: &AccessReport, question: &Question<'_>) -> Vec<(String, String, Option<String>)> {
    let rules: BTreeSet<&str> = report
        .relations
        .iter()
        .flat_map(|relation| relation.columns.iter().filter_map(|column| column.rule.as_deref()))
        .collect();
    let found = rules.into_iter().filter_map(|name| {
        let (place, ground, child_ground) = question.policies.rule_at(name)?;
        let grounds: Vec<&str> = ground.into_iter().chain(child_ground).collect();
        Some((name.to_owned(), place.to_string(), (!grounds.is_empty()).then(|| grounds.join("; "))))
    });
    found.collect()
}

fn describe(judged: &Judged, question: &Question<'_>, output: &mut Output) {
    let (name, style) = match judged.verdict() {
        Verdict::Allow => ("allow", Style::Good),
        Verdict::Mask => ("mask", Style::Middling),
        Verdict::Deny => ("deny", Style::Bad),
    };
    let purpose = question.purpose.or_else(|| question.role.purposes.first().map(String::as_str)).unwrap_or("none");
    let whom = match &question.role.unrestricted {
        Some(reason) => format!("role {}, unrestricted: {reason}", question.role.name),
        None => {
            let basis = question
                .policies
                .purpose(purpose)
                .map(|purpose| format!(" ({}, POPIA {})", purpose.basis.name(), purpose.basis.section()));
            format!("role {} for purpose {purpose}{}", question.role.name, basis.unwrap_or_default())
        }
    };
    let line = format!("{}  {}", output.styled(style, name), printable(&whom));
    output.line(line);
    for (purpose, budget) in budgets(judged, question) {
        output.line(printable(&format!("counts as one of {budget} queries a day and login for purpose {purpose}")));
    }
    let (Judged::Runs { report, .. } | Judged::Refused { report, .. }) = judged;
    for relation in &report.relations {
        describe_relation(relation, question.policies, output);
    }
    for (rule, place, ground) in grounds(report, question) {
        let ground = ground.map(|ground| format!(", on the ground: {}", printable(&ground))).unwrap_or_default();
        output.line(format_args!("\nrule `{}` stands at {place}{ground}", printable(&rule)));
    }
    match judged {
        Judged::Refused { refusal, .. } => {
            output.line(format_args!("\nrefused at {} with {}", stage(refusal.stage), refusal.sqlstate));
            let parts = [
                ("message", Some(&refusal.message)),
                ("detail", refusal.detail.as_ref()),
                ("hint", refusal.hint.as_ref()),
            ];
            for (name, text) in parts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
                output.line(format_args!("  {name:8} {}", printable(text)));
            }
        }
        Judged::Runs { text, .. } => {
            let heading = output.styled(Style::Heading, "forwarded");
            output.line(format_args!("\n{heading}"));
            for line in laid_out(text).lines() {
                output.line(format_args!("  {}", printable(line)));
            }
        }
    }
}

/// The budgets that a run would be counted against.
fn budgets<'a>(judged: &Judged, question: &Question<'a>) -> Vec<(&'a str, u32)> {
    let (Judged::Runs { report, .. } | Judged::Refused { report, .. }) = judged;
    let purpose = question.purpose.or_else(|| question.role.purposes.first().map(String::as_str));
    match purpose {
        Some(purpose) if report.shows_groups() => question.policies.budgets(purpose).collect(),
        Some(_) | None => Vec::new(),
    }
}

fn describe_relation(relation: &RelationReport, policies: &PolicySet, output: &mut Output) {
    let name: Option<RelationName> = relation.name.parse().ok();
    let filter = relation.filter.as_deref().map(|filter| format!("  rows: {}", printable(filter))).unwrap_or_default();
    let heading = output.styled(Style::Heading, printable(&relation.name));
    output.line(format_args!("\n{heading}{filter}"));
    let width = relation.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    for column in &relation.columns {
        let what = match &column.mask {
            Some(mask) => format!("{} {mask}", column.action),
            None => column.action.to_owned(),
        };
        let rule = column.rule.as_deref().unwrap_or("no rule opens it");
        let given = name.as_ref().and_then(|name| policies.category_at(name, &column.name));
        let category = given.map(|(category, place)| format!("  {category}, {place}")).unwrap_or_default();
        let line = format!(
            "  {:width$}  {:18} {}{}",
            printable(&column.name),
            printable(&what),
            printable(rule),
            printable(&category)
        );
        output.line(line);
    }
}

fn stage(stage: crate::error::Stage) -> String {
    serde_json::to_value(stage).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
