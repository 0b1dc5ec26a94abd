//! The register of requests: `privacy.requests` and `privacy.request_steps` of `deploy/privacy.sql`.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use jiff::civil::Date;
use tokio_postgres::{GenericClient, Row};

use super::clock::{Deadline, Ground};
use super::deletion::Trouble;
use super::shape::Shape;
use crate::catalog::RelationName;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Asked {
    /// What is held, and who has seen it (POPIA s23).
    Access,
    /// That it is corrected (s24(1)(a)).
    Correction,
    /// That it goes (s24(1)(a) and (b)).
    Deletion,
    /// That a purpose ends for this person (s11(3)).
    Objection,
    /// That it is left alone for now (s14(6)).
    Restriction,
    /// A consent, or its end (s11(2)(b)).
    Consent,
}

/// How it came. An objection is free, and may come in any of these forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Handed in.
    Hand,
    /// By post.
    Post,
    /// By e-mail.
    Email,
    /// By text message.
    Sms,
    /// By WhatsApp.
    Whatsapp,
    /// By telephone, with a recording.
    Telephone,
    /// Through the privacy centre.
    Centre,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Outcome {
    /// All of it was done.
    Granted,
    /// Some of it was.
    Partly,
    /// It was refused.
    Refused,
    /// Who asked took it back.
    Withdrawn,
}

/// An enumeration is stored under the names by which it is typed.
macro_rules! stored_as_typed {
    ($($name:ident: $what:literal),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                <Self as ValueEnum>::from_str(text, false).map_err(|_| format!(concat!("`{}` is no ", $what), text))
            }
        }
    )+};
}

stored_as_typed!(Asked: "kind of request", Form: "form of a request", Outcome: "outcome");

/// A request that is to be entered.
#[derive(Debug, Clone)]
pub struct NewRequest<'a> {
    /// What for.
    pub asked: Asked,
    /// The table whose key the person has.
    pub people: &'a RelationName,
    /// The key, as text.
    pub subject: &'a str,
    /// How it came.
    pub form: Form,
    /// How it was made sure who asks.
    pub identified: &'a str,
    /// What is wanted, in the words of who answers.
    pub wanted: Option<&'a str>,
    /// The day of receipt.
    pub received: Date,
    /// By when.
    pub deadline: Deadline,
}

/// A request as the register has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub id: i64,
    /// What for.
    pub asked: Asked,
    /// The table whose key the person has.
    pub people: RelationName,
    /// The key, as text.
    pub subject: String,
    /// How it came.
    pub form: Form,
    /// How it was made sure who asks.
    pub identified: String,
    /// What is wanted.
    pub wanted: Option<String>,
    /// The day of receipt.
    pub received: Date,
    /// By when.
    pub deadline: Deadline,
    /// Why there is more time.
    pub extended: Option<Ground>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why so.
    pub why: Option<String>,
    /// When: `2026-11-30T00:10:42Z`.
    pub closed: Option<String>,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When: `2026-11-30T00:10:42Z`.
    pub at: String,
    /// What.
    pub step: String,
    /// By whom.
    pub by: String,
    /// What was done, without what the record holds.
    pub says: String,
}

/// The register, in a database that has one.
#[derive(Debug, Clone)]
pub struct Register {
    /// The type of `subject_id`.
    subject_type: String,
}

impl Register {
    /// Looks for it.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(shape: &Shape) -> Result<Self, Trouble> {
        let there =
            |name: &str| shape.position(&RelationName::new("privacy", name)).and_then(|at| shape.tables.get(at));
        let column = there("requests").and_then(|table| table.column("subject_id"));
        match (column, there("request_steps")) {
            (Some(column), Some(_)) => Ok(Self { subject_type: column.type_sql.clone() }),
            (_, _) => Err(Trouble::Refused(
                "the database has no register of requests: `deploy/privacy.sql` makes `privacy.requests` and \
                 `privacy.request_steps`"
                    .to_owned(),
            )),
        }
    }

    /// Enters a request; gives its number.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(&self, client: &impl GenericClient, new: &NewRequest<'_>) -> Result<i64, Trouble> {
        let sql = format!(
            "INSERT INTO privacy.requests (asked, people, subject_id, form, identified, wanted, received_on, strict_by, legal_by, known_until) \
             VALUES ($1, $2, ($3::text)::{}, $4, $5, $6, $7::text::date, $8::text::date, $9::text::date, $10::text::date) RETURNING request_id",
            self.subject_type
        );
        let Deadline { strict, legal, known_until } = new.deadline;
        let row = client
            .query_one(
                &sql,
                &[
                    &new.asked.to_string(),
                    &new.people.to_string(),
                    &new.subject,
                    &new.form.to_string(),
                    &new.identified,
                    &new.wanted,
                    &new.received.to_string(),
                    &strict.to_string(),
                    &legal.to_string(),
                    &known_until.to_string(),
                ],
            )
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Enters a step.
    ///
    /// # Errors
    /// The database's.
    pub async fn step(
        &self,
        client: &impl GenericClient,
        id: i64,
        step: &str,
        by: &str,
        says: &str,
    ) -> Result<(), Trouble> {
        let sql = "INSERT INTO privacy.request_steps (request_id, step, by_whom, says) VALUES ($1, $2, $3, $4)";
        client.execute(sql, &[&id, &step, &by, &says]).await?;
        Ok(())
    }

    /// The request of that number.
    ///
    /// # Errors
    /// There is none, or the database's.
    pub async fn get(&self, client: &impl GenericClient, id: i64) -> Result<Request, Trouble> {
        let row = client.query_opt(&format!("{REQUESTS} WHERE request_id = $1"), &[&id]).await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| Trouble::Refused(format!("there is no request {id}")))
    }

    /// Requests that are not closed, the most urgent first.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_ones(&self, client: &impl GenericClient) -> Result<Vec<Request>, Trouble> {
        let sql = format!("{REQUESTS} WHERE closed_at IS NULL ORDER BY legal_by, request_id");
        client.query(&sql, &[]).await?.iter().map(read).collect()
    }

    /// The steps of a request, in order.
    ///
    /// # Errors
    /// The database's.
    pub async fn steps(&self, client: &impl GenericClient, id: i64) -> Result<Vec<Step>, Trouble> {
        let sql = "SELECT to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), step, by_whom, says FROM privacy.request_steps WHERE request_id = $1 ORDER BY step_id";
        let mut steps = Vec::new();
        for row in client.query(sql, &[&id]).await? {
            steps.push(Step { at: row.try_get(0)?, step: row.try_get(1)?, by: row.try_get(2)?, says: row.try_get(3)? });
        }
        Ok(steps)
    }

    /// Gives it more time, once.
    ///
    /// # Errors
    /// It was extended before, or the database's.
    pub async fn extend(
        &self,
        client: &impl GenericClient,
        id: i64,
        ground: Ground,
        to: Deadline,
    ) -> Result<(), Trouble> {
        let sql = "UPDATE privacy.requests SET extended_ground = $2, strict_by = $3::text::date, legal_by = $4::text::date, \
                   known_until = $5::text::date WHERE request_id = $1 AND extended_ground IS NULL AND closed_at IS NULL";
        let (strict, legal, known) = (to.strict.to_string(), to.legal.to_string(), to.known_until.to_string());
        match client.execute(sql, &[&id, &ground.name(), &strict, &legal, &known]).await? {
            1 => Ok(()),
            _ => Err(Trouble::Refused(format!("request {id} is closed, or had its one extension already (PAIA s57)"))),
        }
    }

    /// Closes it.
    ///
    /// # Errors
    /// It is closed, or the database's.
    pub async fn close(
        &self,
        client: &impl GenericClient,
        id: i64,
        outcome: Outcome,
        why: Option<&str>,
    ) -> Result<(), Trouble> {
        let sql = "UPDATE privacy.requests SET outcome = $2, outcome_why = $3, closed_at = now() \
                   WHERE request_id = $1 AND closed_at IS NULL";
        match client.execute(sql, &[&id, &outcome.to_string(), &why]).await? {
            1 => Ok(()),
            _ => Err(Trouble::Refused(format!("request {id} is closed already"))),
        }
    }
}

const REQUESTS: &str = "SELECT request_id, asked, people, subject_id::text, form, identified, wanted, received_on::text, strict_by::text, \
                        legal_by::text, known_until::text, extended_ground, outcome, outcome_why, \
                        to_char(closed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM privacy.requests";

fn read(row: &Row) -> Result<Request, Trouble> {
    fn parsed<T: FromStr>(text: &str) -> Result<T, Trouble> {
        text.parse()
            .map_err(|_| Trouble::Refused(format!("the register holds `{text}`, which this version does not know")))
    }
    let text = |at: usize| row.try_get::<_, String>(at);
    let maybe = |at: usize| row.try_get::<_, Option<String>>(at);
    let deadline = Deadline { strict: parsed(&text(8)?)?, legal: parsed(&text(9)?)?, known_until: parsed(&text(10)?)? };
    Ok(Request {
        id: row.try_get(0)?,
        asked: parsed(&text(1)?)?,
        people: parsed(&text(2)?)?,
        subject: text(3)?,
        form: parsed(&text(4)?)?,
        identified: text(5)?,
        wanted: maybe(6)?,
        received: parsed(&text(7)?)?,
        deadline,
        extended: maybe(11)?.as_deref().map(parsed).transpose()?,
        outcome: maybe(12)?.as_deref().map(parsed).transpose()?,
        why: maybe(13)?,
        closed: maybe(14)?,
    })
}
