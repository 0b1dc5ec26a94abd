//! `pgpurpose policy`: what a change opens and closes, and what may stand in a policy.

mod bundle;
mod schema;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Ending;
use super::changes;
use super::output::Output;
use super::setup;
use crate::app::{Database, runtime};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::document::{Fault, Place};
use crate::policy::PolicySet;

#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What newer policies open and close against older ones, for whom
    #[command(
        after_help = "A file, a folder, or a pattern in quotes. Patterns for tables and columns are compared as they are written; with --live both\nare fitted to the database first, so that each table that one newly opens is told.\n\nExamples:\n  pgpurpose policy diff /etc/pgpurpose/policies policies --fail-on-opening\n  pgpurpose policy diff old.toml --config pgpurpose.toml --live"
    )]
    Diff(DiffArgs),
    /// All policies as one signed file, which a proxy takes whole or not at all (`[policy] bundle`)
    #[command(
        after_help = "The policies are checked first. `audit keygen` makes the key; its public half is `verify_key` of the proxies.\n\nExamples:\n  pgpurpose policy bundle 'policies/*.toml' -o policies.bundle --key file:bundle.key\n  pgpurpose policy bundle --config pgpurpose.toml -o policies.bundle --key env:BUNDLE_KEY"
    )]
    Bundle(bundle::BundleArgs),
    /// The JSON Schema of policy files, for editors
    #[command(after_help = "Example:\n  pgpurpose policy schema > policy.schema.json")]
    Schema,
    /// Every key of policy files, as Markdown
    Keys,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// The older policies
    #[arg(value_name = "OLD")]
    old: String,
    /// The newer ones [default: those of --config]
    #[arg(value_name = "NEW", required_unless_present = "config")]
    new: Option<String>,
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Fit patterns to the database of the configuration first
    #[arg(long, requires = "config")]
    live: bool,
    /// The database [default: found by the policies' tables]
    #[arg(long, value_name = "NAME", requires = "live")]
    database: Option<String>,
    /// End with 1 where anybody gains anything
    #[arg(long)]
    fail_on_opening: bool,
    /// One JSON object for each change
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &PolicyArgs, output: &mut Output) -> Ending {
    match &arguments.verb {
        Verb::Diff(arguments) => diff(arguments, output).unwrap_or_else(|faults| {
            setup::tell(&faults, output);
            Ending::Wrong
        }),
        Verb::Bundle(arguments) => bundle::run(arguments, output).unwrap_or_else(|faults| {
            setup::tell(&faults, output);
            Ending::Wrong
        }),
        Verb::Schema => {
            output.line(schema::json());
            Ending::Fine
        }
        Verb::Keys => {
            output.line(schema::markdown().trim_end());
            Ending::Fine
        }
    }
}

fn diff(arguments: &DiffArgs, output: &mut Output) -> Result<Ending, Vec<Fault>> {
    let config = arguments.config.as_ref().map(|file| Config::load(file)).transpose()?;
    let old = changes::load(std::slice::from_ref(&arguments.old))?;
    let new = match (&arguments.new, &config) {
        (Some(new), _) => changes::load(std::slice::from_ref(new))?,
        (None, Some(config)) => crate::app::policies(config)?,
        (None, None) => return Ok(output.wrong("neither newer policies nor --config is given")),
    };
    let (old, new) = match config.filter(|_| arguments.live) {
        None => (old, new),
        Some(config) => {
            let catalog = catalog(&config, &new, arguments.database.as_deref())
                .map_err(|error| vec![Fault::error(&Place::default(), error)])?;
            (old.fitted(&catalog), new.fitted(&catalog))
        }
    };
    let opened = changes::tell(&old, &new, &arguments.old, arguments.json, output);
    Ok(if opened > 0 && arguments.fail_on_opening { Ending::Failed } else { Ending::Fine })
}

fn catalog(config: &Config, policies: &PolicySet, database: Option<&str>) -> Result<Catalog, String> {
    runtime()?.block_on(async {
        let database = Database::find(config, policies, database).await?;
        Ok(database.catalog().await?.current().as_ref().clone())
    })
}
