//! `pgpurpose grant`: a purpose for a login, for a time, with a reason; listed for review, and ended.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde_json::json;

use super::Ending;
use super::days;
use super::output::{Output, Style, printable};
use super::setup;
use crate::app::grants::{Grant, Grants, NewLine, What, is_another};
use crate::audit::read::last;
use crate::audit::{Filter, search_with};
use crate::config::{Config, Zone};
use crate::policy::GrantRule;

/// The longest exception.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);
/// How long the proxy may take to put it in force.
const WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(super) struct GrantArgs {
    #[command(subcommand)]
    verb: Option<GrantVerb>,
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "pgpurpose.toml", global = true)]
    config: std::path::PathBuf,
    /// The PostgreSQL login that may use the purpose
    #[arg(long, required = true)]
    login: Option<String>,
    /// The purpose
    #[arg(long, required = true)]
    purpose: Option<String>,
    /// For how long: `2h`, `90m`, `1d`; 31 days at most
    #[arg(long = "for", value_name = "DURATION", required = true)]
    length: Option<String>,
    /// Why: an incident, a ticket
    #[arg(long, value_name = "TEXT", required = true)]
    reason: Option<String>,
    /// Who approved it, where the policy wants two persons
    #[arg(long, value_name = "WHO")]
    approved_by: Option<String>,
    /// Who grants it [default: the user of this machine]
    #[arg(long, value_name = "WHO", global = true)]
    by: Option<String>,
}

#[derive(Debug, Subcommand)]
enum GrantVerb {
    /// All grants, those in force first, with what was done under each
    #[command(after_help = "Example:\n  pgpurpose grant list --config pgpurpose.toml")]
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// End a grant before its time
    #[command(after_help = "Example:\n  pgpurpose grant end g-5f3a91c2 --config pgpurpose.toml")]
    End {
        /// As `grant list` shows it
        id: String,
    },
}

pub(super) fn run(arguments: &GrantArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(Config::load(&arguments.config), output) else { return Ending::Wrong };
    let grants = match Grants::of(&config) {
        Ok(grants) => grants,
        Err(error) => return output.wrong(error),
    };
    let by = match &arguments.by {
        Some(by) => by.clone(),
        None => std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "unknown".to_owned()),
    };
    match &arguments.verb {
        None => match grant(arguments, &policies, &grants, &by) {
            Ok((id, until)) => {
                let zone = &config.audit.time_zone;
                let line = format!("{}  until {}", output.styled(Style::Good, &id), zone.show(until));
                output.line(line);
                mark(&grants, output);
                await_proxy(&config, &id, "begun", output)
            }
            Err(error) => output.wrong(error),
        },
        Some(GrantVerb::End { id }) => match grants.add(NewLine { what: What::End(id), reason: None, by: &by }) {
            Ok(_) => {
                mark(&grants, output);
                await_proxy(&config, id, "ended", output)
            }
            Err(error) => output.wrong(error),
        },
        Some(GrantVerb::List { json }) => list(&config, &grants, *json, output),
    }
}

/// That it cannot be noted how far the file goes is no reason to undo what was granted or ended.
fn mark(grants: &Grants, output: &mut Output) {
    if let Err(why) = grants.mark() {
        output.remark(why);
    }
}

fn grant(
    arguments: &GrantArgs,
    policies: &crate::policy::PolicySet,
    grants: &Grants,
    by: &str,
) -> Result<(String, Timestamp), String> {
    let needed = |value: &Option<String>, name: &str| {
        value
            .as_deref()
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .ok_or(format!("--{name} is empty"))
    };
    let login = needed(&arguments.login, "login")?;
    let purpose = needed(&arguments.purpose, "purpose")?;
    let reason = needed(&arguments.reason, "reason")?;
    let until = end_of(&needed(&arguments.length, "for")?)?;
    let approved_by = arguments.approved_by.as_deref().map(str::trim).filter(|who| !who.is_empty());
    match policies.may_grant(&login, &purpose)? {
        GrantRule::Two if approved_by.is_none() => {
            return Err(format!("purpose `{purpose}` needs two persons: name the other one with --approved-by"));
        }
        GrantRule::Two if approved_by.is_some_and(|who| !is_another(who, by, &login)) => {
            return Err(
                "who grants, and who is granted, cannot approve it as well: --approved-by names another person"
                    .to_owned(),
            );
        }
        GrantRule::One | GrantRule::Two | GrantRule::Never => {}
    }
    let what = What::Grant { login: &login, purpose: &purpose, until, approved_by };
    let line = grants.add(NewLine { what, reason: Some(&reason), by })?;
    Ok((line.id, until))
}

/// `2h`, `90m`, `1d12h` from now.
fn end_of(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is no length of time: write `2h`, `90m`, `1d`");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if length <= SignedDuration::ZERO || length > LONGEST {
        return Err("a grant is for more than nothing, and for 31 days at most".to_owned());
    }
    Timestamp::now().checked_add(length).map_err(|_| wrong())
}

/// Waits until the proxy has written that it took the change, where one writes the log.
fn await_proxy(config: &Config, id: &str, what: &str, output: &mut Output) -> Ending {
    let begun = Instant::now();
    let told = |entry: &crate::audit::read::Entry| {
        entry.event() == "grant" && entry.text("grant") == Some(id) && entry.text("what") == Some(what)
    };
    while begun.elapsed() < WITHIN {
        if last(&config.audit.directory, 1, 1 << 20, told).is_ok_and(|found| !found.is_empty()) {
            output.remark(if what == "begun" { "in force from the next statement on" } else { "ended" });
            return Ending::Fine;
        }
        if !crate::audit::is_written(&config.audit.directory) {
            output.remark("no proxy writes this log now: it counts from the start of one");
            return Ending::Fine;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    output.remark("the proxy has not taken it yet: its own log says why");
    Ending::Failed
}

fn list(config: &Config, grants: &Grants, json: bool, output: &mut Output) -> Ending {
    let all = match grants.all() {
        Ok(all) => all,
        Err(error) => return output.failed(error),
    };
    let (zone, now) = (&config.audit.time_zone, Timestamp::now());
    if !json {
        days::tell(zone, output);
    }
    let mut sorted: Vec<&Grant> = all.iter().rev().collect();
    sorted.sort_by_key(|grant| !grant.is_open(now));
    for grant in sorted {
        // A log that is not there yet holds none.
        let statements = statements(config, grant).ok();
        if json {
            let (id, line) = (&grant.line.id, &grant.line);
            output.line(json!({
                "id": id, "login": grant.login, "purpose": grant.purpose, "from": zone.show(grant.from), "until": zone.show(grant.until),
                "state": state(grant, now), "reason": line.reason, "by": line.by, "approved_by": line.approved_by,
                "ended": grant.ended.as_ref().map(|(time, _)| zone.show(*time)), "ended_by": grant.ended.as_ref().map(|(_, by)| by),
                "statements": statements,
            }));
        } else {
            tell(grant, statements, zone, now, output);
        }
    }
    Ending::Fine
}

fn state(grant: &Grant, now: Timestamp) -> &'static str {
    match &grant.ended {
        Some(_) => "ended",
        None if grant.is_open(now) => "open",
        None => "expired",
    }
}

fn tell(grant: &Grant, statements: Option<u64>, zone: &Zone, now: Timestamp, output: &mut Output) {
    let state = state(grant, now);
    let style = if state == "open" { Style::Middling } else { Style::Good };
    let approved = grant.line.approved_by.as_ref().map(|who| format!(", approved by {}", printable(who)));
    let line = format!(
        "{}  {:7} {} for {}, {} to {}: {} (by {}{}), {} statements",
        printable(&grant.line.id),
        output.styled(style, state),
        printable(&grant.login),
        printable(&grant.purpose),
        zone.show(grant.from),
        zone.show(grant.ended.as_ref().map_or(grant.until, |(time, _)| *time)),
        printable(grant.line.reason.as_deref().unwrap_or("-")),
        printable(&grant.line.by),
        approved.unwrap_or_default(),
        statements.map_or_else(|| "?".to_owned(), |count| count.to_string())
    );
    output.line(line);
}

/// Statements that the login made for the purpose while it was in force.
fn statements(config: &Config, grant: &Grant) -> std::io::Result<u64> {
    let filter = Filter {
        login: Some(grant.login.clone()),
        purpose: Some(grant.purpose.clone()),
        event: Some("access".to_owned()),
        since: Some(grant.from),
        until: Some(grant.ended.as_ref().map_or(grant.until, |(time, _)| *time)),
        ..Filter::default()
    };
    let mut count = 0;
    search_with(
        &config.audit.directory,
        filter,
        false,
        |_| {
            count += 1;
            true
        },
        &mut |_| {},
    )?;
    Ok(count)
}
