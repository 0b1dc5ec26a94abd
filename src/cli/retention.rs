//! `pgpurpose retention`: what is due for destruction (POPIA s14(4)). Counts only, by the proxy's own login.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::json;
use tokio_postgres::Client;

use super::Ending;
use super::output::{Output, Style, printable};
use super::setup::{self, Source};
use crate::app::{Database, runtime};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::policy::{Limit, PolicySet, Retained};
use crate::sql::due_counts;

#[derive(Debug, Args)]
pub(super) struct RetentionArgs {
    #[command(flatten)]
    source: Source,
    /// The database [default: found by the policies' tables]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// One JSON object for each table
    #[arg(long)]
    json: bool,
}

/// What of one table is due.
struct Due {
    rows: i64,
    subjects: Option<i64>,
    oldest: Option<String>,
}

pub(super) fn run(arguments: &RetentionArgs, output: &mut Output) -> Ending {
    let Some((config, policies)) = setup::loaded(arguments.source.load(), output) else { return Ending::Wrong };
    if !policies.keeps_for_a_time() {
        output.remark("no table of the policies says how long its rows are kept (`retain`)");
        return Ending::Fine;
    }
    match gather(arguments, &config, policies) {
        Ok((policies, due)) => {
            let found: Found<'_> = policies.retained().into_iter().zip(due).collect();
            tell(&found, arguments.json, output)
        }
        Err(error) => output.wrong(error),
    }
}

type Found<'a> = Vec<(Retained<'a>, Result<Due, String>)>;

/// What is due of each table that says how long its rows are kept, with the policies for the database that was asked.
fn gather(
    arguments: &RetentionArgs,
    config: &Config,
    policies: PolicySet,
) -> Result<(PolicySet, Vec<Result<Due, String>>), String> {
    runtime()?.block_on(async {
        let database = Database::find(config, &policies, arguments.database.as_deref()).await?;
        let catalog = database.catalog().await?.current();
        let client = database.client().await?;
        let policies = policies.fitted(&catalog);
        let mut found = Vec::new();
        for retained in policies.retained() {
            found.push(count(&client, &catalog, &retained).await);
        }
        Ok((policies, found))
    })
}

async fn count(client: &Client, catalog: &Catalog, retained: &Retained<'_>) -> Result<Due, String> {
    let limits: BTreeSet<&Limit> = retained.limits.iter().map(|(_, limit)| *limit).collect();
    let limits: Vec<Limit> = limits.into_iter().cloned().collect();
    let sql = due_counts(retained.table, &limits, retained.subject, catalog).map_err(|refusal| refusal.message)?;
    let row = client.query_one(&sql, &[]).await.map_err(|error| {
        let denied = error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE);
        match error.as_db_error() {
            Some(db) if denied => format!("{}: grant the proxy's own login SELECT on it", db.message()),
            Some(db) => db.message().to_owned(),
            None => error.to_string(),
        }
    })?;
    let failed = |error: tokio_postgres::Error| error.to_string();
    Ok(Due {
        rows: row.try_get(0).map_err(failed)?,
        subjects: row.try_get(1).map_err(failed)?,
        oldest: row.try_get(2).map_err(failed)?,
    })
}

fn tell(found: &Found<'_>, as_json: bool, output: &mut Output) -> Ending {
    let mut ending = Ending::Fine;
    for (retained, due) in found {
        let limits: Vec<_> =
            retained.limits.iter().map(|(purpose, limit)| (purpose.unwrap_or("*"), limit.to_string())).collect();
        if due.is_err() {
            ending = Ending::Failed;
        }
        if as_json {
            let limits: serde_json::Map<_, _> =
                limits.iter().map(|(purpose, limit)| ((*purpose).to_owned(), json!(limit))).collect();
            output.line(match due {
                Ok(due) => json!({
                    "table": retained.table.to_string(), "retain": limits,
                    "rows": due.rows, "subjects": due.subjects, "oldest": due.oldest, "error": null,
                }),
                Err(error) => json!({
                    "table": retained.table.to_string(), "retain": limits,
                    "rows": null, "subjects": null, "oldest": null, "error": error,
                }),
            });
            continue;
        }
        let table = output.styled(Style::Heading, printable(&retained.table.to_string()));
        output.line(table);
        for (purpose, limit) in &limits {
            let purpose = if *purpose == "*" { "every other purpose" } else { *purpose };
            output.line(format_args!("  {limit}  ({purpose})"));
        }
        let line = match due {
            Ok(Due { rows: 0, .. }) => format!("  {}", output.styled(Style::Good, "nothing is due")),
            Ok(due) => {
                let subjects = due.subjects.map(|subjects| format!(" of {subjects} data subjects")).unwrap_or_default();
                let oldest = due.oldest.as_ref().map(|day| format!(", the oldest of {day}")).unwrap_or_default();
                let text = format!("due for destruction: {} rows{subjects}{oldest}", due.rows);
                format!("  {}", output.styled(Style::Middling, text))
            }
            Err(error) => format!("  {}: {}", output.styled(Style::Bad, "error"), printable(error)),
        };
        output.line(line);
    }
    ending
}
