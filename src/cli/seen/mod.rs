//! `pgpurpose audit subject` and `audit breach`: who was seen, from the access log.

mod form;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Ending;
use super::audit::database;
use super::bar::Bar;
use super::days::{self, Days};
use super::output::{Output, Style, printable};
use super::setup;
use crate::audit::{Sightings, SubjectKey, Wanted};
use crate::config::{Config, Organisation, When, Zone};
use crate::policy::{OURSELVES, PolicySet};

/// Where the log and what explains it are.
#[derive(Debug, Args)]
struct Source {
    /// The configuration file: the log's folder, the key of the pseudonyms, and what the purposes are for
    #[arg(long, value_name = "FILE", required_unless_present_any = ["dir", "audit_db"])]
    config: Option<PathBuf>,
    /// The folder of the access log, where it is another than the configuration's
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Instead of a folder all logs of all proxies that an audit database holds: `postgresql://login@host:port/database`, or
    /// `env:NAME` or `file:PATH` of such a line
    #[arg(long, value_name = "URL", conflicts_with_all = ["dir", "all"])]
    audit_db: Option<String>,
    #[command(flatten)]
    days: Days,
    /// Only what was seen of this table: `customers` or `public.customers`
    #[arg(long, value_name = "TABLE")]
    relation: Option<String>,
    /// Read everything, whatever the indexes say
    #[arg(long)]
    all: bool,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
    /// Write the result into this file
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct SubjectArgs {
    /// The data subject, as the database writes its key: `17`
    id: String,
    #[command(flatten)]
    source: Source,
    /// Not before: `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`
    #[arg(long, alias = "from", value_name = "TIME")]
    since: Option<When>,
    /// Until, in the same forms: the whole of a day, and before a moment
    #[arg(long, alias = "to", value_name = "TIME")]
    until: Option<When>,
    /// The page's language: `en`, `af` or `zu`; in the last two it has the words of the privacy centre
    #[arg(long, value_name = "CODE", default_value = "en", conflicts_with = "json")]
    language: String,
}

#[derive(Debug, Args)]
pub(super) struct BreachArgs {
    /// The PostgreSQL login that somebody else had, or that was misused
    #[arg(long, required_unless_present = "actor")]
    login: Option<String>,
    /// The end user of an application, where many share its login: as it was stated, or as it stands in the log
    #[arg(long)]
    actor: Option<String>,
    #[command(flatten)]
    source: Source,
    /// From when on: `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`
    #[arg(long, alias = "since", value_name = "TIME")]
    from: When,
    /// Until when, in the same forms, the whole of a day; now where it is not given
    #[arg(long, alias = "until", value_name = "TIME")]
    to: Option<When>,
    /// A file of keys as the database writes them, one a line: those whose pseudonyms were seen are named
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// The fields of the notification to the Regulator (POPIA s22), filled in as far as the log and `[organisation]` know
    #[arg(long)]
    form: bool,
}

/// The log's folder, and what the configuration adds.
struct Known {
    directory: PathBuf,
    key: Option<SubjectKey>,
    policies: PolicySet,
    zone: Zone,
    organisation: Organisation,
}

impl Source {
    fn known(&self, output: &mut Output) -> Result<Known, Ending> {
        let Some(file) = &self.config else {
            let directory = self.dir.clone().unwrap_or_default();
            let zone = self.days.zone(None);
            let (policies, organisation) = (PolicySet::default(), Organisation::default());
            return Ok(Known { directory, key: None, policies, zone, organisation });
        };
        let (config, policies) = setup::loaded(Config::load(file), output).ok_or(Ending::Wrong)?;
        let key = crate::app::subject_key(&config).map_err(|error| output.wrong(error))?;
        let zone = self.days.zone(Some(&config));
        let directory = self.dir.clone().unwrap_or(config.audit.directory);
        Ok(Known { directory, key, policies, zone, organisation: config.organisation })
    }

    fn collect(&self, known: &Known, wanted: &Wanted, output: &mut Output) -> Result<Sightings, Ending> {
        if let Some(place) = &self.audit_db {
            let found = database::open(place, output)?.sightings(wanted);
            return found.map(|found| shown_in(found, &known.zone)).map_err(|error| output.wrong(error));
        }
        let mut bar = Bar::new("reading the log");
        let found = Sightings::collect(&known.directory, wanted, self.all, &mut |advance| bar.at(advance, output));
        bar.end(output);
        let wrong = |error| format!("`{}` cannot be read: {error}", known.directory.display());
        found.map(|(found, _)| shown_in(found, &known.zone)).map_err(|error| output.wrong(wrong(error)))
    }

    fn write(&self, text: &str, output: &mut Output) -> Ending {
        match &self.out {
            None => {
                output.line(text);
                Ending::Fine
            }
            Some(file) => match std::fs::write(file, format!("{text}\n")) {
                Ok(()) => Ending::Fine,
                Err(error) => output.wrong(format_args!("`{}` cannot be written: {error}", file.display())),
            },
        }
    }
}

/// Everything that was seen of one person.
pub(super) fn subject(arguments: &SubjectArgs, output: &mut Output) -> Ending {
    let known = match arguments.source.known(output) {
        Ok(known) => known,
        Err(ending) => return ending,
    };
    let pseudonym = known.key.as_ref().map(|key| key.pseudonym(&arguments.id));
    if pseudonym.is_none() && !arguments.id.starts_with("ps_") {
        output.remark("note: without a key only plain records are found; name the configuration with --config");
    }
    let (since, until) = match days::bounds(arguments.since.as_ref(), arguments.until.as_ref(), &known.zone) {
        Ok(bounds) => bounds,
        Err(error) => return output.wrong(error),
    };
    let wanted = Wanted {
        subjects: std::iter::once(arguments.id.clone()).chain(pseudonym).collect(),
        login: None,
        actor: Vec::new(),
        relation: arguments.source.relation.clone(),
        since,
        until,
    };
    let found = match arguments.source.collect(&known, &wanted, output) {
        Ok(found) => found,
        Err(ending) => return ending,
    };
    let text = if arguments.source.json {
        let mut object = told(&found, &known.policies);
        if let Some(object) = object.as_object_mut() {
            object.insert("time_zone".to_owned(), json!(known.zone.to_string()));
            object.insert("subject".to_owned(), json!(arguments.id));
        }
        object.to_string()
    } else if arguments.language == "en" {
        page::page(&arguments.id, &found, &known.policies, &known.zone)
    } else {
        let policies = known.policies.clone().in_zone(known.zone.clone());
        match crate::centre::seen_page(&arguments.language, &arguments.id, &found, &policies) {
            Ok(page) => crate::page::html::render(&page),
            Err(error) => return output.wrong(error),
        }
    };
    arguments.source.write(&text, output)
}

/// Everybody whom a login saw in a time.
pub(super) fn breach(arguments: &BreachArgs, output: &mut Output) -> Ending {
    let known = match arguments.source.known(output) {
        Ok(known) => known,
        Err(ending) => return ending,
    };
    let (since, until) = match days::bounds(Some(&arguments.from), arguments.to.as_ref(), &known.zone) {
        Ok(bounds) => bounds,
        Err(error) => return output.wrong(error),
    };
    let wanted = Wanted {
        subjects: Vec::new(),
        login: arguments.login.clone(),
        actor: forms(arguments.actor.as_deref(), known.key.as_ref()),
        relation: arguments.source.relation.clone(),
        since,
        until,
    };
    let found = match arguments.source.collect(&known, &wanted, output) {
        Ok(found) => found,
        Err(ending) => return ending,
    };
    if arguments.form {
        let whose = match (&arguments.login, &arguments.actor) {
            (Some(login), None) => format!("the login `{login}`"),
            (Some(login), Some(actor)) => format!("the login `{login}`, on behalf of `{actor}`,"),
            (None, actor) => format!("the access of `{}`", actor.as_deref().unwrap_or_default()),
        };
        let fields = form::fields(&whose, &wanted, &found, &known);
        let text = if arguments.source.json { form::as_json(&fields).to_string() } else { form::text(&fields) };
        return arguments.source.write(&text, output);
    }
    let named = match &arguments.ids {
        None => None,
        Some(file) => match std::fs::read_to_string(file) {
            Ok(text) => Some(names(&text, &found, known.key.as_ref())),
            Err(error) => return output.wrong(format_args!("`{}` cannot be read: {error}", file.display())),
        },
    };
    if arguments.source.json {
        let mut object = told(&found, &known.policies);
        if let Some(object) = object.as_object_mut() {
            object.insert("time_zone".to_owned(), json!(known.zone.to_string()));
            object.insert("login".to_owned(), json!(arguments.login));
            object.insert("actor".to_owned(), json!(arguments.actor));
            object.insert("from".to_owned(), json!(wanted.since.map(|since| known.zone.show(since))));
            object.insert("to".to_owned(), json!(wanted.until.map(|until| known.zone.show(until))));
            object.insert("statements".to_owned(), json!(found.statements));
            object.insert("refused".to_owned(), json!(found.refused));
            object.insert("subjects".to_owned(), json!(found.subjects));
            object.insert("named".to_owned(), json!(named));
        }
        return arguments.source.write(&object.to_string(), output);
    }
    let whose = [("login", &arguments.login), ("actor", &arguments.actor)];
    let whose: Vec<String> =
        whose.iter().filter_map(|(what, name)| Some(format!("{what} {}", printable(name.as_deref()?)))).collect();
    let text = breach_text(&whose.join(", "), &wanted, &found, &known, named.as_ref(), output);
    arguments.source.write(&text, output)
}

/// With every time shown in the zone.
fn shown_in(mut found: Sightings, zone: &Zone) -> Sightings {
    let times = found.seen.values_mut().flat_map(|seen| [&mut seen.first, &mut seen.last]);
    let tallied = found.tally.groups.values_mut().chain(found.tally.unrestricted.values_mut());
    let tallied = tallied.flat_map(|times| [&mut times.first, &mut times.last]);
    for time in times.chain(tallied).chain(&mut found.log_from).chain(&mut found.log_to) {
        *time = zone.show_text(time);
    }
    found
}

/// The keys of the file that were seen, plain or by pseudonym, by relation.
fn names(text: &str, found: &Sightings, key: Option<&SubjectKey>) -> BTreeMap<String, BTreeSet<String>> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for id in text.lines().filter(|line| !line.is_empty()) {
        let pseudonym = key.map(|key| key.pseudonym(id));
        for (relation, seen) in &found.subjects {
            if seen.contains(id) || pseudonym.as_ref().is_some_and(|pseudonym| seen.contains(pseudonym)) {
                named.entry(relation.clone()).or_default().insert(id.to_owned());
            }
        }
    }
    named
}

/// What both reports have in common.
fn told(found: &Sightings, policies: &PolicySet) -> Value {
    let categories: serde_json::Map<String, Value> = found
        .categories
        .iter()
        .map(|(name, people)| (name.clone(), json!({ "people": people.len(), "special": policies.is_special(name) })))
        .collect();
    let seen: Vec<Value> = found
        .seen
        .iter()
        .map(|(whom, seen)| {
            let purpose = policies.purpose(&whom.purpose);
            json!({
                "recipient": whom.recipient, "third_party": whom.recipient != OURSELVES,
                "purpose": whom.purpose, "description": purpose.and_then(|purpose| purpose.description.clone()),
                "basis": purpose.map(|purpose| purpose.basis.name()), "role": whom.role, "seen": seen,
            })
        })
        .collect();
    let groups: Vec<Value> =
        found.tally.groups.iter().map(|(group, times)| json!({ "group": group, "times": times })).collect();
    let people: BTreeMap<&String, usize> = found.subjects.iter().map(|(name, people)| (name, people.len())).collect();
    json!({
        "log": { "from": found.log_from, "to": found.log_to },
        "people": people, "categories": categories, "seen": seen, "may_have_been_part_of": groups,
        "unrestricted": found.tally.unrestricted,
    })
}

/// An actor in each form that it may have in the log.
fn forms(actor: Option<&str>, key: Option<&SubjectKey>) -> Vec<String> {
    let pseudonym = actor.and_then(|actor| Some(key?.actor(actor)));
    actor.map(str::to_owned).into_iter().chain(pseudonym).collect()
}

/// `by u17, u42 and 3 more: `
fn actors(actors: &BTreeSet<String>) -> String {
    const TOLD: usize = 10;
    if actors.is_empty() {
        return String::new();
    }
    let told: Vec<String> = actors.iter().take(TOLD).map(|actor| printable(actor)).collect();
    let more = actors.len().saturating_sub(TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("by {}{more}: ", told.join(", "))
}

fn breach_text(
    whose: &str,
    wanted: &Wanted,
    found: &Sightings,
    known: &Known,
    named: Option<&BTreeMap<String, BTreeSet<String>>>,
    output: &Output,
) -> String {
    let mut lines = Vec::new();
    let heading = |text: &str| format!("\n{}", output.styled(Style::Heading, text));
    let Known { policies, zone, .. } = known;
    let from = wanted.since.map_or_else(|| "the beginning".to_owned(), |from| zone.show(from));
    let to = wanted.until.map_or_else(|| "now".to_owned(), |to| format!("before {}", zone.show(to)));
    lines.push(format!("{whose} from {from} to {to}"));
    lines.push(format!("days and times are those of {zone}"));
    lines.push(format!("statements: {}, of which refused: {}", found.statements, found.refused));
    lines.push(heading("whose rows were seen"));
    for (relation, people) in &found.subjects {
        lines.push(format!("  {:32} {} data subjects", printable(relation), people.len()));
    }
    if found.subjects.is_empty() {
        lines.push("  nobody's, of tables that record their subjects".to_owned());
    }
    lines.push(heading("what was seen of them"));
    for (category, people) in &found.categories {
        let special = if policies.is_special(category) { "  special personal information (POPIA s26)" } else { "" };
        lines.push(format!("  {:32} of {}{special}", printable(category), people.len()));
    }
    lines.push(heading("why, and on whose behalf"));
    for (whom, seen) in &found.seen {
        lines.push(format!(
            "  {} for {}: {}{} statements, {} to {}",
            printable(&whom.recipient),
            printable(&whom.purpose),
            actors(&seen.actors),
            seen.statements,
            printable(&seen.first),
            printable(&seen.last)
        ));
    }
    if !found.tally.groups.is_empty() {
        lines.push(heading("counted, grouped or tested for, by people who are not known one by one"));
        for (group, times) in &found.tally.groups {
            let filter =
                group.filter.as_deref().map(|filter| format!(" where {}", printable(filter))).unwrap_or_default();
            lines.push(format!("  {}{filter}: {} statements", printable(&group.relation), times.statements));
        }
    }
    for (login, times) in &found.tally.unrestricted {
        lines.push(heading("statements that were relayed as they are: what they saw is not known"));
        lines.push(format!("  {}: {} statements", printable(login), times.statements));
    }
    for (relation, ids) in named.into_iter().flatten() {
        lines.push(heading(&format!("of the given keys, seen in {}", printable(relation))));
        lines.extend(ids.iter().map(|id| format!("  {}", printable(id))));
    }
    lines.push(heading("what a notification must say besides (POPIA s22(5))"));
    for line in [
        "  the possible consequences for the people concerned",
        "  what you do, or mean to do, about it",
        "  what they can do themselves",
        "  who had the login, if you know",
    ] {
        lines.push(line.to_owned());
    }
    lines.join("\n")
}
