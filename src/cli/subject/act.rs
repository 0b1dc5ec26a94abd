//! What is done at once: a correction, an objection, a restriction, a consent or its end. The next statement of any session knows.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio_postgres::Client;

use super::export::sightings;
use super::letters::{self, Letters};
use super::{Common, Desk};
use crate::catalog::{RelationName, quote_ident, split_dotted};
use crate::cli::Ending;
use crate::cli::output::Output;
use crate::policy::ExclusionList;
use crate::requests::deletion::Trouble;
use crate::requests::letters::{Change, recipients};
use crate::requests::register::Request;
use crate::requests::told::Step;
use crate::requests::wishes::{Consents, Exclusions};

#[derive(Debug, Args)]
pub(super) struct CorrectArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// The column, as `schema.table.column`
    #[arg(long, value_name = "COLUMN")]
    column: String,
    /// The right value [default: what standard input holds, without the end of its last line]
    #[arg(long, value_name = "TEXT", conflicts_with = "null")]
    value: Option<String>,
    /// There is none
    #[arg(long)]
    null: bool,
    /// Which row, where the person has several in the table: its primary key, the columns' values between commas
    #[arg(long, value_name = "KEY")]
    row: Option<String>,
    /// Write letters into this folder: to those who were given the wrong value (POPIA s24(3)), and to the person (s24(4))
    #[arg(long, value_name = "DIR")]
    letters: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ObjectArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// The purpose that ends for this person
    #[arg(long)]
    purpose: String,
    /// Where the proof is [default: the request's number]
    #[arg(long, value_name = "TEXT")]
    evidence: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RestrictArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// Why
    #[arg(long)]
    ground: RestrictionGround,
    /// Where the proof is [default: the request's number]
    #[arg(long, value_name = "TEXT")]
    evidence: Option<String>,
}

/// POPIA s14(6).
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RestrictionGround {
    /// s14(6)(a): until it is verified
    #[value(name = "accuracy_contested")]
    AccuracyContested,
    /// s14(6)(b)
    #[value(name = "kept_for_proof")]
    KeptForProof,
    /// s14(6)(c): restriction instead of destruction
    Unlawful,
    /// s14(6)(d): to be sent to another system
    Transmission,
}

impl RestrictionGround {
    fn name(self) -> &'static str {
        match self {
            Self::AccuracyContested => "accuracy_contested",
            Self::KeptForProof => "kept_for_proof",
            Self::Unlawful => "unlawful",
            Self::Transmission => "transmission",
        }
    }
}

#[derive(Debug, Args)]
#[group(id = "which_way", required = true, multiple = false, args = ["give", "withdraw"])]
pub(super) struct ConsentArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// The purpose, channel included
    #[arg(long)]
    purpose: String,
    /// The person agrees
    #[arg(long)]
    give: bool,
    /// The person agrees no longer, nor to what is below it (`marketing.sms` under `marketing`)
    #[arg(long)]
    withdraw: bool,
    /// Where the proof is [default: the request's number]
    #[arg(long, value_name = "TEXT")]
    evidence: Option<String>,
}

/// A column of one table.
fn column(text: &str) -> Result<(RelationName, String), Trouble> {
    let wrong = || Trouble::Refused(format!("`{text}` is no column: write `schema.table.column`"));
    let mut parts = split_dotted(text).map_err(|_| wrong())?;
    match (parts.pop(), parts.pop(), parts.pop(), parts.pop()) {
        (Some(column), Some(table), Some(schema), None) => Ok((RelationName::new(schema, table), column)),
        (_, _, _, _) => Err(wrong()),
    }
}

fn evidence(given: Option<&String>, request: &Request) -> String {
    given.cloned().unwrap_or_else(|| format!("request {}", request.id))
}

pub(super) async fn correct(
    desk: &Desk,
    client: &mut Client,
    arguments: &CorrectArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let (register, request) = desk.request(client, arguments.id).await?;
    let (name, column) = column(&arguments.column)?;
    let value = match (&arguments.value, arguments.null) {
        (_, true) => None,
        (Some(value), false) => Some(value.clone()),
        (None, false) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| Trouble::Refused(error.to_string()))?;
            Some(
                text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(&text).to_owned(),
            )
        }
    };
    let map = desk.map(Some(&request.people))?;
    let held = map.shape.position(&name).and_then(|at| map.held_at(at)).filter(|held| held.owned.is_some());
    let Some((held, table)) = held.and_then(|held| Some((held, map.table(held)?))) else {
        return Err(Trouble::Refused(format!("no row of `{name}` is the person's")));
    };
    let known = table.column(&column).ok_or_else(|| Trouble::Refused(format!("`{name}` has no column `{column}`")))?;
    let is_way = matches!(&held.owned, Some(crate::requests::Way::Column(own)) if *own == column);
    if known.computed || table.key.contains(&column) || is_way {
        return Err(Trouble::Refused(format!("`{name}.{column}` holds rows together, and is not corrected")));
    }
    let owned = map.is_owned(held, "held").unwrap_or_else(|| "false".to_owned());
    let mut condition = owned;
    let keys: Vec<&str> =
        arguments.row.as_deref().map(|row| row.split(',').map(str::trim).collect()).unwrap_or_default();
    if arguments.row.is_some() {
        if keys.len() != table.key.len() {
            return Err(Trouble::Refused(format!("the primary key of `{name}` is ({})", table.key.join(", "))));
        }
        for (at, key) in table.key.iter().enumerate() {
            let type_sql = table.column(key).map_or("pg_catalog.text", |column| &column.type_sql);
            condition.push_str(&format!(" AND held.{} = (${}::pg_catalog.text)::{type_sql}", quote_ident(key), at + 3));
        }
    }
    let sql = format!(
        "UPDATE {} AS held SET {} = ($2::pg_catalog.text)::{} WHERE {condition}",
        name.to_sql(),
        quote_ident(&column),
        known.type_sql
    );
    let says = format!("{name}.{column}");
    let seen = sightings(desk, &request.subject, output)?;
    let letters = arguments.letters.as_deref().map(Letters::into_folder).transpose()?;
    let step =
        Step { step: "correct", request: Some(request.id), subject: Some(&request.subject), says: &says, lookups: &[] };
    desk.told.tell(&step).await?;
    let transaction = client.transaction().await?;
    let mut with: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = vec![&request.subject, &value];
    with.extend(keys.iter().map(|key| key as &(dyn tokio_postgres::types::ToSql + Sync)));
    match transaction.execute(&sql, &with).await? {
        1 => {}
        0 => return Err(Trouble::Refused(format!("the person has no such row in `{name}`"))),
        rows => {
            return Err(Trouble::Refused(format!(
                "the person has {rows} rows in `{name}`: say which with --row, by its primary key ({})",
                table.key.join(", ")
            )));
        }
    }
    register.step(&transaction, request.id, "correct", &desk.by, &says).await?;
    transaction.commit().await?;
    output.line(format_args!("{says} is corrected"));
    let change = Change {
        request: request.id,
        people: &request.people,
        subject: &request.subject,
        today: desk.today(),
        done: "corrected",
        tables: std::iter::once(name.to_string()).collect(),
        column: Some(&column),
    };
    letters::tell(letters, &recipients(&desk.policies, &change, seen.as_ref()), &change, desk, output)?;
    Ok(Ending::Fine)
}

pub(super) async fn object(
    desk: &Desk,
    client: &mut Client,
    arguments: &ObjectArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    if desk.policies.purpose(&arguments.purpose).is_none() {
        return Err(Trouble::Refused(format!("the policies know no purpose `{}`", arguments.purpose)));
    }
    let says = format!("to `{}`", arguments.purpose);
    wish(
        desk,
        client,
        arguments.id,
        ExclusionList::Objections,
        Some(&arguments.purpose),
        None,
        arguments.evidence.as_ref(),
        &says,
        output,
    )
    .await
}

pub(super) async fn restrict(
    desk: &Desk,
    client: &mut Client,
    arguments: &RestrictArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let ground = arguments.ground.name();
    wish(
        desk,
        client,
        arguments.id,
        ExclusionList::Restrictions,
        None,
        Some(ground),
        arguments.evidence.as_ref(),
        ground,
        output,
    )
    .await
}

/// Enters a row of objections or restrictions, where the policies say that they are kept.
#[allow(clippy::too_many_arguments)] // what the row holds, and who is told
async fn wish(
    desk: &Desk,
    client: &mut Client,
    id: i64,
    list: ExclusionList,
    purpose: Option<&str>,
    ground: Option<&str>,
    proof: Option<&String>,
    says: &str,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let (register, request) = desk.request(client, id).await?;
    let name = match list {
        ExclusionList::Objections => "object",
        ExclusionList::Restrictions => "restrict",
    };
    let sql = Exclusions::of(&desk.policies, &desk.shape, list)?.enter();
    let proof = evidence(proof, &request);
    let on = purpose.or(ground).unwrap_or_default();
    let step = Step { step: name, request: Some(request.id), subject: Some(&request.subject), says, lookups: &[] };
    desk.told.tell(&step).await?;
    let transaction = client.transaction().await?;
    let added = transaction.execute(&sql, &[&request.subject, &on, &proof]).await?;
    register.step(&transaction, request.id, name, &desk.by, says).await?;
    transaction.commit().await?;
    match added {
        0 => output.line(format_args!("it is entered already: {} {says}", list.name())),
        _ => output.line(format_args!("entered, and in force with the next statement: {} {says}", list.name())),
    }
    Ok(Ending::Fine)
}

pub(super) async fn consent(
    desk: &Desk,
    client: &mut Client,
    arguments: &ConsentArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let (register, request) = desk.request(client, arguments.id).await?;
    let consents = Consents::of(&desk.policies, &desk.shape)?;
    if desk.policies.purpose(&arguments.purpose).is_none() {
        return Err(Trouble::Refused(format!("the policies know no purpose `{}`", arguments.purpose)));
    }
    let proof = evidence(arguments.evidence.as_ref(), &request);
    let (step, sql) = if arguments.withdraw {
        ("withdraw consent", consents.withdraw()?)
    } else {
        ("give consent", consents.give()?)
    };
    let says = format!("to `{}`", arguments.purpose);
    let told = Step { step, request: Some(request.id), subject: Some(&request.subject), says: &says, lookups: &[] };
    desk.told.tell(&told).await?;
    let transaction = client.transaction().await?;
    let changed = transaction.execute(&sql, &[&request.subject, &arguments.purpose, &proof]).await?;
    let live = transaction.query(&consents.live(), &[&request.subject]).await?;
    let is_live = live.iter().any(|row| row.try_get(0).is_ok_and(|name: &str| name == arguments.purpose));
    if changed == 0 && !arguments.withdraw && !is_live {
        return Err(Trouble::Refused(
            "the table keeps one row for each person and purpose, and there is one: a new consent would overwrite the proof of the old".to_owned(),
        ));
    }
    register.step(&transaction, request.id, step, &desk.by, &says).await?;
    transaction.commit().await?;
    match (changed, arguments.withdraw) {
        (0, true) => output.line(format_args!("there was no live consent {says}")),
        (0, false) => output.line(format_args!("there is a live consent already {says}")),
        (rows, _) => output.line(format_args!("{step} {says}: {rows} entered, in force with the next statement")),
    }
    Ok(Ending::Fine)
}
