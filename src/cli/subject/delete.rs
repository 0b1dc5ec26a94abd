//! `pgpurpose subject delete`: the plan, and its carrying out with a certificate.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::export::{sightings, unfinished};
use super::letters::{self, Letters};
use super::{Common, Desk};
use crate::cli::Ending;
use crate::cli::output::{Output, Style, printable};
use crate::requests::deletion::{Plan, Trouble, delete};
use crate::requests::letters::{Change, Recipient, recipients};
use crate::requests::register::Request;
use crate::requests::told::Step;

#[derive(Debug, Args)]
#[group(id = "plan_or_apply", required = true, multiple = false, args = ["plan", "apply"])]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// Only say what would become of each table's rows
    #[arg(long)]
    plan: bool,
    /// Do it, whole or not at all
    #[arg(long)]
    apply: bool,
    /// Write the certificate into this file [default: request-NUMBER-certificate.json]
    #[arg(long, value_name = "FILE", requires = "apply")]
    certificate: Option<PathBuf>,
    /// Write letters into this folder: to those who were given the information (POPIA s24(3)), and to the person (s24(4))
    #[arg(long, value_name = "DIR", requires = "apply")]
    letters: Option<PathBuf>,
    /// The plan as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    desk: &Desk,
    client: &mut Client,
    arguments: &DeleteArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let (register, request) = desk.request(client, arguments.id).await?;
    let name = if arguments.apply { "delete" } else { "plan deletion" };
    let step = Step { step: name, request: Some(request.id), subject: Some(&request.subject), says: "", lookups: &[] };
    let record = desk.told.tell(&step).await?;
    let people = request.people.clone();
    let map = crate::requests::PersonMap::new(&desk.shape, &desk.policies, Some(&people))
        .map_err(|none| Trouble::Refused(none.to_string()))?;
    if arguments.apply && held_back(desk, client, &request.subject).await? {
        return Err(Trouble::Refused(
            "the person's records are restricted for proof or by dispute (POPIA s14(6)): lift that first, having told the person (s14(8))".to_owned(),
        ));
    }
    let seen = if arguments.apply { sightings(desk, &request.subject, output)? } else { None };
    let letters = arguments.letters.as_deref().map(Letters::into_folder).transpose()?;
    let transaction = client.build_transaction().start().await?;
    let plan = delete(&transaction, &map, &desk.policies, &desk.catalog, &request.subject, arguments.apply).await?;
    if !arguments.apply {
        transaction.rollback().await?;
        let (gone, bare, kept) = plan.totals();
        register
            .step(&*client, request.id, name, &desk.by, &format!("{gone} go, {bare} made anonymous, {kept} stay"))
            .await?;
        tell(&plan, arguments.json, output);
        return Ok(Ending::Fine);
    }
    let (gone, bare, kept) = plan.totals();
    register
        .step(&transaction, request.id, name, &desk.by, &format!("{gone} went, {bare} made anonymous, {kept} stay"))
        .await?;
    let change = change(desk, &request, &plan);
    let recipients = recipients(&desk.policies, &change, seen.as_ref());
    let certificate = certificate(desk, request.id, &plan, record, &recipients)?;
    let file =
        arguments.certificate.clone().unwrap_or_else(|| format!("request-{}-certificate.json", request.id).into());
    // Before the rows are gone: without a place for the certificate nothing is done. Under its name only when they are: a crash between
    // leaves no certificate of what did not happen.
    let unfinished = unfinished(&file);
    let wrong = |error| Trouble::Refused(format!("`{}`: {error}", file.display()));
    std::fs::write(&unfinished, format!("{certificate}\n")).map_err(wrong)?;
    if let Err(error) = transaction.commit().await {
        let _ = std::fs::remove_file(&unfinished);
        return Err(error.into());
    }
    std::fs::rename(&unfinished, &file).map_err(wrong)?;
    tell(&plan, arguments.json, output);
    letters::tell(letters, &recipients, &change, desk, output)?;
    output.remark(format_args!("the certificate is in `{}`", file.display()));
    Ok(Ending::Fine)
}

/// Whether a restriction that forbids destruction is in force.
async fn held_back(desk: &Desk, client: &Client, subject: &str) -> Result<bool, Trouble> {
    let Some(kept) = desk.policies.listed_exclusion(crate::policy::ExclusionList::Restrictions) else {
        return Ok(false);
    };
    let known = desk.shape.position(kept.table).and_then(|at| desk.shape.tables.get(at));
    let Some(known) = known else { return Ok(false) };
    // Who wants restriction instead of destruction has said so; the other grounds end with the deletion.
    let ground =
        if known.column("ground").is_some() { " AND ground IN ('kept_for_proof', 'accuracy_contested')" } else { "" };
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM {} WHERE {}::pg_catalog.text = $1 AND ({}){ground})",
        kept.table.to_sql(),
        crate::catalog::quote_ident(kept.subject),
        kept.active
    );
    Ok(client.query_one(&sql, &[&subject]).await?.try_get(0)?)
}

/// What was done, for letters.
fn change<'a>(desk: &Desk, request: &'a Request, plan: &Plan) -> Change<'a> {
    let changed = plan.lines.iter().filter(|line| line.gone + line.bare > 0);
    Change {
        request: request.id,
        people: &request.people,
        subject: &request.subject,
        today: desk.today(),
        done: "deleted or made anonymous",
        tables: changed.map(|line| line.table.to_string()).collect(),
        column: None,
    }
}

/// What became of each table's rows, without anything about whom: for the person, and for whoever asks later.
fn certificate(
    desk: &Desk,
    request: i64,
    plan: &Plan,
    record: Option<u64>,
    recipients: &[Recipient],
) -> Result<Value, Trouble> {
    let recipients: Vec<String> =
        recipients.iter().map(|recipient| format!("{} ({})", recipient.name, recipient.country)).collect();
    let tables: Vec<Value> = plan
        .lines
        .iter()
        .map(|line| {
            let because: Vec<Value> = line.because.iter().map(|(why, rows)| json!({ "why": why, "rows": rows })).collect();
            json!({ "table": line.table.to_string(), "deleted": line.gone, "made_anonymous": line.bare, "kept": line.kept,
                    "references_removed": line.unlinked, "because": because })
        })
        .collect();
    let (gone, bare, kept) = plan.totals();
    let content = json!({
        "certificate": "what became of the personal information of one person (POPIA s24(1), s14(4))",
        "request": request, "made_at": desk.policies.zone().show(jiff::Timestamp::now()), "policy": desk.policies.hash(),
        "record": record, "tables": tables, "deleted": gone, "made_anonymous": bare, "kept": kept,
        "recipients": recipients,
    });
    Ok(desk.told.signed(content))
}

fn tell(plan: &Plan, as_json: bool, output: &mut Output) {
    if as_json {
        let lines: Vec<Value> = plan
            .lines
            .iter()
            .map(|line| {
                let because: Vec<Value> = line.because.iter().map(|(why, rows)| json!({ "why": why, "rows": rows })).collect();
                json!({ "table": line.table.to_string(), "listed": line.listed, "delete": line.gone, "anonymise": line.bare, "keep": line.kept,
                        "unlink": line.unlinked, "because": because, "stays": line.stays })
            })
            .collect();
        output.line(json!({ "tables": lines, "warnings": plan.warnings }));
        return;
    }
    for line in &plan.lines {
        let name = output.styled(Style::Heading, printable(&line.table.to_string()));
        output.line(name);
        for (rows, what) in [
            (line.gone, "deleted (POPIA s24(1)(b))"),
            (line.bare, "made anonymous (s14(4))"),
            (line.kept, "kept"),
            (line.unlinked, "of others, whose reference to the person becomes empty"),
        ] {
            if rows > 0 {
                output.line(format_args!("  {rows:>8} {what}"));
            }
        }
        for (why, rows) in &line.because {
            output.line(format_args!("           {rows}: {}", printable(why)));
        }
        if !line.stays.is_empty() {
            let stays: Vec<&str> = line.stays.iter().map(String::as_str).collect();
            output.line(format_args!("           keep their value, since nothing else fits: {}", stays.join(", ")));
        }
    }
    let (gone, bare, kept) = plan.totals();
    output.line(format_args!("in all: {gone} deleted, {bare} made anonymous, {kept} kept"));
    for warning in &plan.warnings {
        let line = output.styled(Style::Middling, printable(warning));
        output.remark(line);
    }
}
