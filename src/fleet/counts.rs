//! Budgets that several proxies count together: functions of `deploy/audit.sql`, asked before the statement is forwarded.
//!
//! A thread of its own holds one connection; questions of many sessions go over it one behind the other without waiting for each
//! other's answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::{Client, Statement};

use super::address::AuditPlace;
use super::logs::{DbError, connect};
use crate::session::{Answer, Away, Counts, Spend, Spent};

/// How long an answer may take. Whoever waits longer has their part.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long nobody is asked after the database was away.
const PAUSE: Duration = Duration::from_secs(1);
/// The same after it did not answer in time, which cost somebody as long as they were patient.
const SILENCE: Duration = Duration::from_secs(10);
/// Questions that wait at most.
const WAITING: usize = 1024;

const SPEND: &str = "SELECT exhausted, totals FROM audit.spend($1, $2, ($3::text)::date, $4, $5, $6)";
const GIVE_BACK: &str = "SELECT audit.give_back($1, $2, ($3::text)::date, $4)";
const LOOK_UP: &str = "SELECT audit.look_up($1, $2, $3, $4, $5)";

enum Question {
    Spend(Spend, oneshot::Sender<Spent>),
    GiveBack { login: String, day: Date, purposes: Vec<String>, done: oneshot::Sender<()> },
    LookUp { login: String, needed: i64, added: i64, limit: i64, room: oneshot::Sender<bool> },
}

/// The counts of the audit database.
pub struct SharedCounts {
    questions: mpsc::Sender<Question>,
    /// When it did not answer.
    silent: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for SharedCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedCounts(..)")
    }
}

impl SharedCounts {
    /// Begins; `log` names this proxy's own counts.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(place: AuditPlace, log: String) -> std::io::Result<Self> {
        let (sender, questions) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asker = Asker { place, log, asked: None, away: None };
        std::thread::Builder::new().name("budgets".to_owned()).spawn(move || runtime.block_on(asker.run(questions)))?;
        Ok(Self { questions: sender, silent: Mutex::default() })
    }

    /// An answer that does not come in time, or is dropped, is none.
    async fn ask<T>(&self, question: Question, answer: oneshot::Receiver<T>) -> Result<T, Away> {
        if self.silent().is_some_and(|since| since.elapsed() < SILENCE) {
            return Err(Away);
        }
        self.questions.try_send(question).map_err(|_| Away)?;
        let answered = timeout(PATIENCE, answer).await;
        let now = answered.is_err().then(Instant::now);
        if *self.silent() != now {
            *self.silent() = now;
        }
        answered.map_err(|_| Away)?.map_err(|_| Away)
    }

    fn silent(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts for SharedCounts {
    fn spend(&self, spend: Spend) -> Answer<'_, Spent> {
        let (sender, answer) = oneshot::channel();
        Box::pin(self.ask(Question::Spend(spend, sender), answer))
    }

    fn give_back(&self, login: String, day: Date, purposes: Vec<String>) -> Answer<'_, ()> {
        let (done, answer) = oneshot::channel();
        Box::pin(self.ask(Question::GiveBack { login, day, purposes, done }, answer))
    }

    fn look_up(&self, login: &str, needed: u32, added: u32, limit: u32) -> Answer<'_, bool> {
        let (room, answer) = oneshot::channel();
        let login = login.to_owned();
        let [needed, added, limit] = [needed, added, limit].map(i64::from);
        Box::pin(self.ask(Question::LookUp { login, needed, added, limit, room }, answer))
    }
}

/// A connection with what is asked over it.
struct Asked {
    client: Client,
    spend: Statement,
    give_back: Statement,
    look_up: Statement,
}

struct Asker {
    place: AuditPlace,
    log: String,
    asked: Option<Arc<Asked>>,
    /// Since when it is away.
    away: Option<Instant>,
}

impl Asker {
    async fn run(mut self, mut questions: mpsc::Receiver<Question>) {
        while let Some(question) = questions.recv().await {
            // One that is dropped is answered by that.
            let Some(asked) = self.connection().await else { continue };
            let log = self.log.clone();
            tokio::spawn(async move {
                if let Err(error) = asked.answer(&log, question).await {
                    tracing::warn!(%error, "budgets are not counted together");
                }
            });
        }
    }

    async fn connection(&mut self) -> Option<Arc<Asked>> {
        if let Some(asked) = self.asked.as_ref().filter(|asked| !asked.client.is_closed()) {
            return Some(Arc::clone(asked));
        }
        self.asked = None;
        if self.away.is_some_and(|since| since.elapsed() < PAUSE) {
            return None;
        }
        let begun = timeout(PATIENCE, Asked::begin(&self.place)).await;
        match begun.unwrap_or_else(|_| Err(DbError::new("no answer"))) {
            Ok(asked) => {
                if self.away.take().is_some() {
                    tracing::info!("budgets are counted together again");
                }
                self.asked = Some(Arc::new(asked));
                self.asked.clone()
            }
            Err(error) => {
                if self.away.is_none() {
                    tracing::warn!(%error, "budgets cannot be counted together: each proxy has its part of them");
                }
                self.away = Some(Instant::now());
                None
            }
        }
    }
}

impl Asked {
    async fn begin(place: &AuditPlace) -> Result<Self, DbError> {
        let client = connect(place).await?;
        client.batch_execute("SET statement_timeout = '2s'; SET search_path = pg_catalog").await?;
        let (spend, give_back, look_up) =
            (client.prepare(SPEND).await?, client.prepare(GIVE_BACK).await?, client.prepare(LOOK_UP).await?);
        Ok(Self { client, spend, give_back, look_up })
    }

    async fn answer(&self, log: &str, question: Question) -> Result<(), tokio_postgres::Error> {
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        match question {
            Question::Spend(Spend { login, day, purposes }, sender) => {
                let names: Vec<&str> = purposes.iter().map(|(name, _, _)| name.as_str()).collect();
                let budgets: Vec<Option<i32>> = purposes.iter().map(|(_, budget, _)| budget.map(number)).collect();
                let own: Vec<i32> = purposes.iter().map(|(_, _, own)| number(*own)).collect();
                let row = self
                    .client
                    .query_one(&self.spend, &[&login, &log, &day.to_string(), &names, &budgets, &own])
                    .await?;
                let (exhausted, totals): (Option<String>, Vec<i32>) = (row.try_get(0)?, row.try_get(1)?);
                let totals = totals.into_iter().map(|total| u32::try_from(total).unwrap_or(0)).collect();
                let _ = sender.send(exhausted.map_or(Spent::Counted(totals), Spent::Exhausted));
            }
            Question::GiveBack { login, day, purposes, done } => {
                self.client.query(&self.give_back, &[&login, &log, &day.to_string(), &purposes]).await?;
                let _ = done.send(());
            }
            Question::LookUp { login, needed, added, limit, room } => {
                let row = self.client.query_one(&self.look_up, &[&login, &log, &needed, &added, &limit]).await?;
                let _ = room.send(row.try_get(0)?);
            }
        }
        Ok(())
    }
}
