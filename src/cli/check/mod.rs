//! `pgpurpose check`: is the configuration right, do the policies do what their tests say, do they fit the database.

mod by_itself;
mod live;
pub(super) mod own_tests;
mod whole;

pub(super) use live::functions;

use std::path::PathBuf;

use clap::Args;

use super::Ending;
use super::changes;
use super::explain::{Known, known};
use super::output::{Output, Style, printable};
use super::setup::{self, Source};
use super::training;
use crate::app::{Database, runtime};
use crate::config::Config;
use crate::document::{Fault, Place};
use crate::policy::PolicySet;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    source: Source,
    /// Compare with the database's catalog too; the database must be there
    #[arg(long)]
    live: bool,
    /// The database [default: found by the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Do not ask the database: run the policies' tests against a catalog that is assumed
    #[arg(long, conflicts_with_all = ["live", "database"])]
    offline: bool,
    /// Say what these policies open and close against older ones: a file, a folder, or a pattern
    #[arg(long, value_name = "OLD", num_args = 1..)]
    against: Vec<String>,
    /// End with 1 where anybody gains anything against the older ones
    #[arg(long, requires = "against")]
    fail_on_opening: bool,
}

impl CheckArgs {
    /// `check --config FILE --live`.
    pub(super) fn live(config: PathBuf) -> Self {
        let source = Source { config: Some(config), upstream: None, policy: Vec::new() };
        Self { source, live: true, database: None, offline: false, against: Vec::new(), fail_on_opening: false }
    }
}

pub(super) fn run(arguments: &CheckArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(arguments.source.load(), output) else { return Ending::Wrong };
    setup::tell(policies.warnings(), output);
    setup::tell(&policies.lint(), output);
    setup::tell(&policies.overdue(policies.zone().today()), output);
    let old = match (!arguments.against.is_empty()).then(|| changes::load(&arguments.against)).transpose() {
        Ok(old) => old,
        Err(faults) => {
            setup::tell(&faults, output);
            return Ending::Wrong;
        }
    };
    let named = arguments.against.join(" ");
    // What a pattern opens is known when the database is.
    let patterns = policies.has_patterns() || old.as_ref().is_some_and(PolicySet::has_patterns);
    let mut opened = 0;
    if let Some(old) = old.as_ref().filter(|_| !patterns) {
        opened = changes::tell(old, &policies, &named, false, output);
    }
    // Policies alone say nothing of keys or logins.
    let faults = if arguments.source.config.is_some() { configuration(&config, &policies) } else { Vec::new() };
    setup::tell(&faults, output);
    if faults.iter().any(Fault::is_error) {
        return Ending::Wrong;
    }
    let (known, findings) = match gather(arguments, &config, &policies, output) {
        Ok(gathered) => gathered,
        Err(error) => return output.wrong(error),
    };
    if let Some(old) = old.as_ref().filter(|_| patterns) {
        opened = match known.database {
            Some(_) => {
                let (old, new) = (old.fitted(&known.catalog), policies.fitted(&known.catalog));
                changes::tell(&old, &new, &named, false, output)
            }
            None => changes::tell(old, &policies, &named, false, output),
        };
    }
    let policies = policies.fitted(&known.catalog);
    let fits = tell(&findings, output);
    let passed = own_tests::run(&policies, &known, output);
    output.line(format_args!("policy {}", policies.hash()));
    let closed = !(arguments.fail_on_opening && opened > 0);
    if fits && passed && closed { Ending::Fine } else { Ending::Failed }
}

/// What one file alone cannot tell.
fn configuration(config: &Config, policies: &PolicySet) -> Vec<Fault> {
    let mut faults: Vec<Fault> = crate::app::fits(config, policies).err().into_iter().collect();
    if let Some(Err(error)) = config.policy.token_key.as_ref().map(crate::config::SecretSource::read_key) {
        // The key need not be on the machine where policies are checked.
        faults.push(Fault::warning(&Place::default(), error));
    }
    for login in config.logins.iter().filter(|login| policies.role_of(&login.name).is_none()) {
        let message = format!("login `{}` of `[[logins]]` has no role in the policies", login.name);
        faults.push(Fault::warning(&Place::default(), message));
    }
    faults
}

fn gather(
    arguments: &CheckArgs,
    config: &Config,
    policies: &PolicySet,
    output: &mut Output,
) -> Result<(Known, Vec<live::Finding>), String> {
    if !arguments.live {
        let known = known(config, policies, arguments.database.as_deref(), arguments.offline, output)?;
        let policies = &policies.fitted(&known.catalog);
        let mut findings = by_itself::stricter_parts(policies, &known.catalog);
        if let Some(name) = known.database.as_ref().filter(|_| training::is_demanded(policies)) {
            let missing = runtime()?.block_on(async {
                let database = Database::find(config, policies, Some(name)).await?;
                Ok::<_, String>(training::missing(config, policies, &database).await)
            })?;
            findings.extend(missing.into_iter().map(live::note));
        }
        if known.database.is_some() {
            findings.extend(live::patterns(policies, &known.catalog));
        }
        return Ok((known, findings));
    }
    runtime()?.block_on(async {
        let database = Database::find(config, policies, arguments.database.as_deref()).await?;
        let catalog = database.catalog().await?.current();
        let policies = &policies.fitted(&catalog);
        let mut findings = live::compare(policies, &catalog);
        findings.extend(live::patterns(policies, &catalog));
        findings.extend(whole::tables(policies, &catalog));
        findings.extend(by_itself::stricter_parts(policies, &catalog));
        findings.extend(by_itself::of_catalog(policies, &catalog));
        let client = database.client().await?;
        findings.extend(by_itself::columns(policies, &client).await?);
        findings.extend(live::functions(policies, &client).await?.into_iter().map(|(_, finding)| finding));
        findings.extend(live::opt_out_lists(policies, &client).await);
        findings.extend(training::missing(config, policies, &database).await.into_iter().map(live::note));
        if arguments.source.config.is_some() {
            findings
                .extend(crate::app::trouble(config, policies, &database).await?.into_iter().map(live::Finding::from));
        }
        Ok((Known { catalog: catalog.as_ref().clone(), database: Some(database.name) }, findings))
    })
}

/// Whether nothing that was found is an error.
fn tell(findings: &[live::Finding], output: &mut Output) -> bool {
    for finding in findings {
        let (style, kind) = if finding.wrong { (Style::Bad, "error") } else { (Style::Middling, "note") };
        let line = format!("{}: {}", output.styled(style, kind), printable(&finding.text));
        output.line(line);
    }
    !findings.iter().any(|finding| finding.wrong)
}
