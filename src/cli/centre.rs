//! `pgpurpose centre`: the privacy centre.

use std::io::BufRead;
use std::path::PathBuf;

use clap::Args;

use super::Ending;
use super::output::{Output, printable};
use super::setup::{self, Source};
use crate::app::{self, centre};
use crate::config::Config;
use crate::policy::PolicySet;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct CentreArgs {
    #[command(flatten)]
    source: Source,
    /// The database [default: found by the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Print the functions that the centre's login needs in this database, and end
    #[arg(long, conflicts_with_all = ["links", "verify"])]
    sql: bool,
    /// For each key of a person on standard input, print the address whose one click ends this purpose (RFC 8058), and end
    #[arg(long, value_name = "PURPOSE", conflicts_with = "verify")]
    links: Option<String>,
    /// Say whether a receipt is as this centre gave it, and end
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    /// The centre's own log as JSON
    #[arg(long)]
    log_json: bool,
}

pub(super) fn run(arguments: &CentreArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(arguments.source.load(), output) else { return Ending::Wrong };
    let done = if arguments.sql {
        sql(arguments, &config, &policies, output)
    } else if let Some(purpose) = &arguments.links {
        links(purpose, &config, &policies, output)
    } else if let Some(file) = &arguments.verify {
        verify(file, &config, output)
    } else {
        let format = if arguments.log_json { telemetry::Format::Json } else { telemetry::Format::Text };
        if let Err(error) = telemetry::start(format) {
            return output.wrong(error);
        }
        let ready = |url: &str| tracing::info!(url, "ready");
        centre::serve(&config, policies, arguments.database.as_deref(), ready).map(|()| Ending::Fine)
    };
    done.unwrap_or_else(|error| output.wrong(printable(&error)))
}

fn sql(arguments: &CentreArgs, config: &Config, policies: &PolicySet, output: &mut Output) -> Result<Ending, String> {
    let (text, missing) = app::runtime()?.block_on(centre::setup(config, policies, arguments.database.as_deref()))?;
    output.line(text.trim_end());
    for what in missing {
        output.remark(format_args!("left out: {}", printable(&what)));
    }
    Ok(Ending::Fine)
}

fn links(purpose: &str, config: &Config, policies: &PolicySet, output: &mut Output) -> Result<Ending, String> {
    if policies.purpose(purpose).is_none() {
        return Err(format!("the policies know no purpose `{purpose}`"));
    }
    let link = centre::links(config)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| format!("standard input: {error}"))?;
        if !line.is_empty() {
            output.line(link(purpose, &line));
        }
    }
    Ok(Ending::Fine)
}

fn verify(file: &std::path::Path, config: &Config, output: &mut Output) -> Result<Ending, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("`{}`: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let receipt = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    if centre::is_receipt(config, &receipt)? {
        output.line("the receipt is as this centre gave it");
        return Ok(Ending::Fine);
    }
    output.line("that is no receipt of this centre, or it was changed");
    Ok(Ending::Failed)
}
