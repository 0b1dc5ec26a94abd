//! `pgpurpose training`: who was taught what, by the register, and who has access without it.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::Ending;
use super::output::{Output, Style, printable};
use super::setup::{self, Source};
use crate::app::{self, Database, runtime};
use crate::config::Config;
use crate::document::Fault;
use crate::policy::PolicySet;
use crate::requests::lessons::{self, Passed, Signed};
use crate::requests::told::Step;

#[derive(Debug, Args)]
pub(super) struct TrainingArgs {
    #[command(flatten)]
    source: Source,
    /// The database [default: found by the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
}

/// The register of a configuration.
struct Register {
    lines: Vec<(Passed, Signed)>,
    /// Whether the log has a key, with which lines are signed.
    keyed: bool,
}

async fn read(config: &Config, database: &Database) -> Result<Register, String> {
    let signer = app::log_options(&config.audit)?.signer;
    let client = database.client().await?;
    let lines = lessons::list(&client, signer.as_ref().map(|signer| signer.public())).await;
    let lines = lines.map_err(|trouble| {
        let text = trouble.to_string();
        // undefined_table
        let made = if text.contains("42P01") { "; `deploy/privacy.sql` makes it" } else { "" };
        format!("{text}{made}")
    })?;
    Ok(Register { lines, keyed: signer.is_some() })
}

/// Whether any role demands training.
pub(super) fn is_demanded(policies: &PolicySet) -> bool {
    policies.roles().any(|role| role.training.is_some())
}

/// What `check` tells: each login whose role demands training that it has not, or not any more.
pub(super) async fn missing(config: &Config, policies: &PolicySet, database: &Database) -> Vec<String> {
    if !is_demanded(policies) {
        return Vec::new();
    }
    match read(config, database).await {
        Ok(register) => untrained(policies, &register).into_iter().map(|(_, _, text)| text).collect(),
        Err(error) => vec![format!("roles demand training, and the register of lessons cannot be read: {error}")],
    }
}

/// By role and login, in words.
fn untrained(policies: &PolicySet, register: &Register) -> Vec<(String, String, String)> {
    let today = policies.zone().today();
    let mut found = Vec::new();
    for role in policies.roles() {
        let Some(training) = role.training else { continue };
        for (login, until) in
            lessons::of_role(role, &register.lines, register.keyed, |time| policies.zone().day_of(time))
        {
            let since = match until {
                Some(until) if until >= today => continue,
                Some(until) => format!("the last lesson counted until {until}"),
                None => "no lesson is in the register".to_owned(),
            };
            let text =
                format!("role `{}` demands training every {training}, and of login `{login}` {since}", role.name);
            found.push((role.name.clone(), login.to_owned(), text));
        }
    }
    found
}

pub(super) fn run(arguments: &TrainingArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(arguments.source.load(), output) else { return Ending::Wrong };
    let read = runtime().and_then(|runtime| {
        runtime.block_on(async {
            let database = Database::find(&config, &policies, arguments.database.as_deref()).await?;
            read(&config, &database).await
        })
    });
    let register = match read {
        Ok(register) => register,
        Err(error) => return output.wrong(error),
    };
    let untrained = untrained(&policies, &register);
    let bad = register.lines.iter().any(|(_, signed)| !signed.counts(register.keyed));
    if arguments.json {
        let lines: Vec<Value> = register.lines.iter().map(|(passed, signed)| object(passed, *signed)).collect();
        let missing: Vec<Value> =
            untrained.iter().map(|(role, login, why)| json!({ "role": role, "login": login, "why": why })).collect();
        output.line(json!({ "lessons": lines, "untrained": missing }));
    } else {
        for (passed, signed) in &register.lines {
            let style = if signed.counts(register.keyed) { Style::Good } else { Style::Bad };
            let said = output.styled(style, signed.says());
            output.line(format_args!(
                "{}  {:20} {:10} {} of {} right, {} steps  {said}",
                policies.zone().show(passed.at),
                printable(&passed.learner),
                printable(&passed.lesson),
                passed.right,
                passed.questions,
                passed.steps
            ));
        }
        for (_, _, why) in &untrained {
            let line = output.styled(Style::Middling, printable(why));
            output.line(line);
        }
        if register.lines.is_empty() && untrained.is_empty() {
            output.remark("no lesson is in the register, and no role demands one");
        }
    }
    if untrained.is_empty() && !bad { Ending::Fine } else { Ending::Failed }
}

fn object(passed: &Passed, signed: Signed) -> Value {
    json!({ "learner": passed.learner, "lesson": passed.lesson, "edition": passed.edition, "passed_at": passed.at.to_string(),
            "steps": passed.steps, "right": passed.right, "questions": passed.questions, "signature": signed.says() })
}

/// Enters a lesson that was passed: a record of the configuration's log first, then the line in its database. Gives what its signature is.
///
/// # Errors
/// The configuration is wrong, the log or the database cannot be written.
pub(super) fn enter(config: &Path, passed: &Passed) -> Result<&'static str, String> {
    let written = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let config = Config::load(config).map_err(written)?;
    let policies = app::policies(&config).map_err(written)?;
    runtime()?.block_on(async {
        let database = Database::find(&config, &policies, None).await?;
        let client = database.client().await?;
        let told = crate::app::told(&config, &config.upstream.catalog_login, &database.name, &passed.learner)?;
        let says = format!("{}: {} steps, {} of {} right", passed.lesson, passed.steps, passed.right, passed.questions);
        let step = Step { step: "lesson", request: None, subject: None, says: &says, lookups: &[] };
        told.tell(&step).await.map_err(|trouble| trouble.to_string())?;
        let signer = app::log_options(&config.audit)?.signer;
        lessons::enter(&client, passed, signer.as_deref()).await.map_err(|trouble| trouble.to_string())?;
        Ok(if signer.is_some() { Signed::Holds.says() } else { Signed::Missing.says() })
    })
}
