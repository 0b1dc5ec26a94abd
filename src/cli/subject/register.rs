//! Requests in the register: opened, shown, extended, closed, due.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use jiff::civil::Date;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::export::unfinished;
use super::{Common, Desk};
use crate::cli::Ending;
use crate::cli::output::{Output, Style, printable};
use crate::requests::clock::{Deadline, Ground, Standing};
use crate::requests::deletion::Trouble;
use crate::requests::find::{exists, people};
use crate::requests::register::{Asked, Form, NewRequest, Outcome, Request};
use crate::requests::told::Step;

#[derive(Debug, Args)]
pub(super) struct OpenArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// What is asked for
    #[arg(long)]
    asked: Asked,
    /// The person's key, as the database writes it
    #[arg(long, value_name = "KEY")]
    subject: String,
    /// How the request came
    #[arg(long)]
    form: Form,
    /// How it was made sure who asks, without what was shown: `code to the number on record`
    #[arg(long, value_name = "TEXT")]
    identified: String,
    /// What is wanted, in your words
    #[arg(long, value_name = "TEXT")]
    wanted: Option<String>,
    /// The day on which it was received [default: today]
    #[arg(long, value_name = "DATE")]
    received: Option<Date>,
    /// The result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DueArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// One JSON object for each request
    #[arg(long)]
    json: bool,
    /// Write the deadlines as a calendar (RFC 5545) into this file
    #[arg(long, value_name = "FILE")]
    ics: Option<PathBuf>,
    /// Write figures for node_exporter's textfile collector into this file, whose name ends in `.prom`
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ExtendArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// volume, elsewhere, consultation, several or agreed (PAIA s57(1)(a) to (e))
    #[arg(long)]
    ground: Ground,
}

#[derive(Debug, Args)]
pub(super) struct CloseArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// The request's number
    id: i64,
    /// How it ended
    #[arg(long)]
    outcome: Outcome,
    /// Why, where it is not granted whole: the ground of refusal
    #[arg(long, value_name = "TEXT", required_if_eq_any([("outcome", "partly"), ("outcome", "refused"), ("outcome", "withdrawn")]))]
    why: Option<String>,
}

fn deadline(desk: &Desk, received: Date, extended: bool) -> Result<Deadline, Trouble> {
    Deadline::of(received, extended, &desk.holidays())
        .ok_or_else(|| Trouble::Refused(format!("{received} is beyond the calendar")))
}

pub(super) async fn open(
    desk: &Desk,
    client: &mut Client,
    arguments: &OpenArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let register = desk.register()?;
    let received = arguments.received.unwrap_or_else(|| desk.today());
    if received > desk.today() {
        return Err(Trouble::Refused(format!("{received} is a day to come")));
    }
    let deadline = deadline(desk, received, false)?;
    let map = desk.map(None)?;
    let people = people(&map).ok_or_else(|| Trouble::Refused("the register of people is gone".to_owned()))?;
    let says = format!("{} by {}, received {received}", arguments.asked, arguments.form);
    let step = Step { step: "open", request: None, subject: Some(&arguments.subject), says: &says, lookups: &[] };
    desk.told.tell(&step).await?;
    if !exists(&*client, &map, &arguments.subject).await? {
        return Err(Trouble::Refused(format!("`{people}` has nobody of that key")));
    }
    let new = NewRequest {
        asked: arguments.asked,
        people: &people,
        subject: &arguments.subject,
        form: arguments.form,
        identified: &arguments.identified,
        wanted: arguments.wanted.as_deref(),
        received,
        deadline,
    };
    let transaction = client.transaction().await?;
    let id = register.open(&transaction, &new).await?;
    register.step(&transaction, id, "open", &desk.by, &says).await?;
    transaction.commit().await?;
    if arguments.json {
        output.line(
            json!({ "request": id, "strict_by": deadline.strict.to_string(), "legal_by": deadline.legal.to_string(),
                            "holidays_known_until": deadline.known_until.to_string() }),
        );
    } else {
        output.line(format_args!("request {id}: {}", times(&deadline)));
    }
    Ok(Ending::Fine)
}

/// `answer by 2026-12-28, the law says 2026-12-30 …`
fn times(deadline: &Deadline) -> String {
    let mut text = format!("answer by {}; by law {}", deadline.strict, deadline.legal);
    if deadline.may_move() {
        let _ = write!(
            text,
            " (public holidays are known until {}; one that is proclaimed later may move it)",
            deadline.known_until
        );
    }
    text
}

fn object(request: &Request, today: Date) -> Value {
    let standing = match request.deadline.on(today) {
        Standing::Late(_) => "late",
        Standing::PastStrict(_) => "past_strict",
        Standing::InTime(_) => "in_time",
    };
    json!({
        "request": request.id, "asked": request.asked.to_string(), "people": request.people.to_string(), "subject": request.subject,
        "form": request.form.to_string(), "identified": request.identified, "wanted": request.wanted,
        "received_on": request.received.to_string(), "strict_by": request.deadline.strict.to_string(),
        "legal_by": request.deadline.legal.to_string(), "holidays_known_until": request.deadline.known_until.to_string(),
        "extended": request.extended.map(Ground::section), "outcome": request.outcome.map(|outcome| outcome.to_string()),
        "why": request.why, "closed_at": request.closed, "standing": if request.closed.is_some() { "closed" } else { standing },
    })
}

pub(super) async fn show(
    desk: &Desk,
    client: &mut Client,
    arguments: &ShowArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let register = desk.register()?;
    let request = register.get(&*client, arguments.id).await?;
    let steps = register.steps(&*client, arguments.id).await?;
    let today = desk.today();
    if arguments.json {
        let mut told = object(&request, today);
        let steps: Vec<Value> = steps
            .iter()
            .map(|step| json!({ "at": step.at, "step": step.step, "by": step.by, "says": step.says }))
            .collect();
        if let Some(told) = told.as_object_mut() {
            told.insert("steps".to_owned(), json!(steps));
        }
        output.line(told);
        return Ok(Ending::Fine);
    }
    let heading = output.styled(Style::Heading, format_args!("request {}: {}", request.id, request.asked));
    output.line(heading);
    output.line(format_args!(
        "  about {} {}, by {}, received {}",
        request.people,
        printable(&request.subject),
        request.form,
        request.received
    ));
    output.line(format_args!("  known to be that person by: {}", printable(&request.identified)));
    if let Some(wanted) = &request.wanted {
        output.line(format_args!("  wanted: {}", printable(wanted)));
    }
    match (&request.outcome, &request.closed) {
        (Some(outcome), Some(closed)) => {
            let why = request.why.as_deref().map(|why| format!(": {}", printable(why))).unwrap_or_default();
            output.line(format_args!("  {outcome} on {}{why}", desk.policies.zone().minute(closed)));
        }
        (_, _) => {
            let line = stands(&request, today, output);
            output.line(format_args!("  {line}"));
        }
    }
    for step in steps {
        output.line(format_args!(
            "  {}  {}  {}  {}",
            desk.policies.zone().minute(&step.at),
            step.step,
            printable(&step.by),
            printable(&step.says)
        ));
    }
    Ok(Ending::Fine)
}

fn stands(request: &Request, today: Date, output: &Output) -> String {
    let days = |days: i32| format!("{days} day{}", if days == 1 { "" } else { "s" });
    let (style, text) = match request.deadline.on(today) {
        Standing::Late(late) => (Style::Bad, format!("late by {}", days(late))),
        Standing::PastStrict(left) => (Style::Middling, format!("past our own day, {} to the law's", days(left))),
        Standing::InTime(left) => (Style::Good, format!("{} left", days(left))),
    };
    let extended = request.extended.map(|ground| format!(", extended by {}", ground.section())).unwrap_or_default();
    format!("{}; {}{extended}", output.styled(style, text), times(&request.deadline))
}

pub(super) async fn due(
    desk: &Desk,
    client: &mut Client,
    arguments: &DueArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let requests = desk.register()?.open_ones(&*client).await?;
    let today = desk.today();
    for request in &requests {
        if arguments.json {
            output.line(object(request, today));
        } else {
            let line = stands(request, today, output);
            output.line(format_args!("{:>6}  {:12} {line}", request.id, request.asked.to_string()));
        }
    }
    if let Some(file) = &arguments.ics {
        std::fs::write(file, calendar(&requests))
            .map_err(|error| Trouble::Refused(format!("`{}`: {error}", file.display())))?;
    }
    if let Some(file) = &arguments.metrics {
        // Whole or not at all: the collector may read at any moment.
        let unfinished = unfinished(file);
        std::fs::write(&unfinished, metrics(&requests, today))
            .and_then(|()| std::fs::rename(&unfinished, file))
            .map_err(|error| Trouble::Refused(format!("`{}`: {error}", file.display())))?;
    }
    if requests.is_empty() && !arguments.json {
        output.remark("no request waits");
    }
    let late = requests.iter().any(|request| matches!(request.deadline.on(today), Standing::Late(_)));
    Ok(if late { Ending::Failed } else { Ending::Fine })
}

/// In Prometheus' text format; nothing of whom they are about.
fn metrics(requests: &[Request], today: Date) -> String {
    let standing = |wanted: fn(&Standing) -> bool| {
        requests.iter().filter(|request| wanted(&request.deadline.on(today))).count().to_string()
    };
    let next = requests.iter().map(|request| (request.deadline.legal - today).get_days()).min();
    let gauges = [
        ("open", "Requests of data subjects that are not closed.", Some(requests.len().to_string())),
        ("late", "Of these, past the law's last day.", Some(standing(|on| matches!(on, Standing::Late(_))))),
        (
            "past_strict",
            "Of these, past our own day and not the law's.",
            Some(standing(|on| matches!(on, Standing::PastStrict(_)))),
        ),
        (
            "next_deadline_days",
            "Days to the next of the law's last days; negative where it is past.",
            next.map(|days| days.to_string()),
        ),
    ];
    let mut out = String::new();
    for (name, help, value) in gauges {
        if let Some(value) = value {
            let _ = writeln!(out, "# HELP pgpurpose_requests_{name} {help}\n# TYPE pgpurpose_requests_{name} gauge");
            let _ = writeln!(out, "pgpurpose_requests_{name} {value}");
        }
    }
    out
}

/// Each deadline as a day of a calendar (RFC 5545); nothing of whom it is about.
fn calendar(requests: &[Request]) -> String {
    let mut out = String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//pgpurpose//requests//EN\r\n");
    let compact = |day: Date| day.strftime("%Y%m%d").to_string();
    for request in requests {
        for (kind, day, says) in [
            ("strict", request.deadline.strict, "our own day"),
            ("legal", request.deadline.legal, "the law's last day"),
        ] {
            let after = day.tomorrow().unwrap_or(day);
            let _ = write!(
                out,
                "BEGIN:VEVENT\r\nUID:request-{id}-{kind}@pgpurpose\r\nDTSTAMP:{stamp}T000000Z\r\nDTSTART;VALUE=DATE:{start}\r\n\
                 DTEND;VALUE=DATE:{end}\r\nSUMMARY:Request {id} ({asked}): {says}\r\nTRANSP:TRANSPARENT\r\nEND:VEVENT\r\n",
                id = request.id,
                stamp = compact(request.received),
                start = compact(day),
                end = compact(after),
                asked = request.asked,
            );
        }
    }
    out.push_str("END:VCALENDAR\r\n");
    out
}

pub(super) async fn extend(
    desk: &Desk,
    client: &mut Client,
    arguments: &ExtendArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let (register, request) = desk.request(client, arguments.id).await?;
    if let Standing::Late(_) = request.deadline.on(desk.today()) {
        return Err(Trouble::Refused(
            "the time is over: it is extended before that, and the person is told why (PAIA s57(2))".to_owned(),
        ));
    }
    let deadline = deadline(desk, request.received, true)?;
    let says = format!("extended for {} ({}), {}", arguments.ground, arguments.ground.section(), times(&deadline));
    let step =
        Step { step: "extend", request: Some(request.id), subject: Some(&request.subject), says: &says, lookups: &[] };
    desk.told.tell(&step).await?;
    let transaction = client.transaction().await?;
    register.extend(&transaction, request.id, arguments.ground, deadline).await?;
    register.step(&transaction, request.id, "extend", &desk.by, &says).await?;
    transaction.commit().await?;
    output.line(format_args!("request {}: {}", request.id, times(&deadline)));
    output.remark("tell the person: the length, the ground, and that they may complain (PAIA s57(3))");
    Ok(Ending::Fine)
}

pub(super) async fn close(
    desk: &Desk,
    client: &mut Client,
    arguments: &CloseArgs,
    output: &mut Output,
) -> Result<Ending, Trouble> {
    let (register, request) = desk.request(client, arguments.id).await?;
    let says = arguments.outcome.to_string();
    let step =
        Step { step: "close", request: Some(request.id), subject: Some(&request.subject), says: &says, lookups: &[] };
    desk.told.tell(&step).await?;
    let transaction = client.transaction().await?;
    register.step(&transaction, request.id, "close", &desk.by, &says).await?;
    register.close(&transaction, request.id, arguments.outcome, arguments.why.as_deref()).await?;
    transaction.commit().await?;
    output.line(format_args!("request {} is closed: {}", request.id, arguments.outcome));
    if let Standing::Late(days) = request.deadline.on(desk.today()) {
        output.remark(format_args!("it was late by {days} days"));
    }
    Ok(Ending::Fine)
}
