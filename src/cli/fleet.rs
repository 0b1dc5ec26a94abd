//! `pgpurpose fleet`: which proxy runs which policies since when.

use std::collections::BTreeSet;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Ending;
use super::audit::database;
use super::days::{self, Days};
use super::output::{Output, Style, printable};
use crate::config::Zone;
use crate::fleet::{Proxy, proxies};

/// A proxy that wrote nothing for so long is not counted, unless it is asked for.
const GONE_DAYS: u32 = 7;

#[derive(Debug, Args)]
pub(super) struct FleetArgs {
    /// The audit database: `postgresql://login@host:port/database`, or `env:NAME` or `file:PATH` of such a line
    #[arg(long, value_name = "URL")]
    audit_db: String,
    /// Leave out proxies that were stopped, or whose newest record is older than so many days
    #[arg(long, value_name = "DAYS", default_value_t = GONE_DAYS)]
    days: u32,
    /// Those too
    #[arg(long, conflicts_with = "days")]
    all: bool,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zone: Days,
}

pub(super) fn run(arguments: &FleetArgs, output: &mut Output) -> Ending {
    let zone = arguments.zone.zone(None);
    let mut database = match database::open(&arguments.audit_db, output) {
        Ok(database) => database,
        Err(ending) => return ending,
    };
    let found = match proxies(&mut database) {
        Ok(found) => found,
        Err(error) => return output.wrong(error),
    };
    let oldest = Timestamp::now() - SignedDuration::from_hours(24 * i64::from(arguments.days));
    let (running, gone): (Vec<Proxy>, Vec<Proxy>) = found.into_iter().partition(|proxy| is_there(proxy, oldest));
    let policies: BTreeSet<_> = running.iter().map(|proxy| (&proxy.policy, &proxy.mode)).collect();
    let same = policies.len() <= 1;
    if arguments.json {
        let gone: Vec<&Proxy> = gone.iter().filter(|_| arguments.all).collect();
        output.line(json!({
            "time_zone": zone.to_string(), "same": same,
            "proxies": running.iter().map(|proxy| as_json(proxy, &zone)).collect::<Vec<_>>(),
            "gone": gone.into_iter().map(|proxy| as_json(proxy, &zone)).collect::<Vec<_>>(),
        }));
    } else {
        days::tell(&zone, output);
        for proxy in &running {
            tell(proxy, &zone, output);
        }
        for proxy in gone.iter().filter(|_| arguments.all) {
            tell(proxy, &zone, output);
        }
        let hidden = gone.len();
        if hidden > 0 && !arguments.all {
            output.remark(format_args!("{hidden} more were stopped or not seen for {} days: --all", arguments.days));
        }
        let line = match (running.len(), same) {
            (0, _) => "no proxy runs that sends its log here".to_owned(),
            (1, _) => "one proxy runs".to_owned(),
            (count, true) => {
                format!(
                    "{}: {count} proxies run the same policies in the same mode",
                    output.styled(Style::Good, "one truth")
                )
            }
            (count, false) => format!(
                "{}: {count} proxies run {} different sets of policies or modes",
                output.styled(Style::Bad, "they differ"),
                policies.len()
            ),
        };
        output.line(line);
    }
    if same { Ending::Fine } else { Ending::Failed }
}

/// Whether it runs, as far as its log tells.
fn is_there(proxy: &Proxy, oldest: Timestamp) -> bool {
    let seen: Option<Timestamp> = proxy.last_seen.as_deref().and_then(|time| time.parse().ok());
    proxy.stopped.is_none() && seen.is_some_and(|seen| seen >= oldest)
}

fn as_json(proxy: &Proxy, zone: &Zone) -> Value {
    let mut value = serde_json::to_value(proxy).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        for field in ["since", "started", "stopped", "last_seen"] {
            if let Some(Value::String(time)) = object.get_mut(field) {
                *time = zone.show_text(time);
            }
        }
    }
    value
}

fn tell(proxy: &Proxy, zone: &Zone, output: &mut Output) {
    let time =
        |time: &Option<String>| time.as_deref().map_or_else(|| "not known".to_owned(), |time| zone.show_text(time));
    let text = |text: &Option<String>| printable(text.as_deref().unwrap_or("not known"));
    let name = proxy.name.as_deref().unwrap_or(&proxy.log);
    output.line(output.styled(Style::Heading, printable(name)));
    output.line(format_args!("  policy     {} since {}", text(&proxy.policy), time(&proxy.since)));
    if let Some(bundle) = &proxy.bundle {
        output.line(format_args!("  bundle     {}", printable(bundle)));
    }
    output.line(format_args!("  mode       {}", text(&proxy.mode)));
    output.line(format_args!("  version    {}", text(&proxy.version)));
    output.line(format_args!("  started    {}", time(&proxy.started)));
    match &proxy.stopped {
        Some(stopped) => output.line(format_args!("  stopped    {}", zone.show_text(stopped))),
        None => output.line(format_args!("  last seen  {}, record {}", time(&proxy.last_seen), proxy.records)),
    }
    if let Some(refused) = &proxy.refused {
        let what = output.styled(Style::Bad, "not taken");
        output.line(format_args!("  {what}  policies that came later: {}", printable(refused)));
    }
    output.line(format_args!("  log        {}", printable(&proxy.log)));
}
