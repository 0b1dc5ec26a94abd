//! The simple query: a batch is decided as a whole before any of it runs.

use super::extended::unlogged;
use crate::audit::{Asked, Audited, Logged};
use crate::error::{Refusal, Stage};
use crate::session::flow::names::Undo;
use crate::session::flow::pending::Run;
use crate::session::flow::running::Judged;
use crate::session::flow::running::Running;
use crate::session::judge::admit::Source;
use crate::session::state::Session;
use crate::sql;
use crate::upstream::{Control, SEPARATOR};
use crate::wire::frontend::Target;

/// One statement of a batch, ready to run.
struct Step {
    judged: Judged,
    source: Source,
    running: Running,
    undo: Vec<Undo>,
    /// Characters before it in the message.
    before: usize,
}

impl Session {
    /// Decides, logs and forwards a batch, or answers with a refusal.
    pub(in crate::session) async fn simple(&mut self, text: &str) {
        // PostgreSQL drops both at once.
        self.flow.begin_query();
        if let Ok(statements) = sql::split(text)
            && self.steps_through(&statements)
        {
            // PostgreSQL reads all of a message before any of it runs.
            match self.unread(text, &statements) {
                None => self.begin_steps(text, &statements),
                Some(refusal) => {
                    let refusal = self.log_refusal(refusal, text).await;
                    self.refuse(refusal, true);
                }
            }
            return;
        }
        let mut steps = Vec::new();
        let judged = match self.judge_batch(text, &mut steps).await {
            Ok(true) => self.forward_batch(&mut steps).await.map(|()| true),
            judged => judged,
        };
        if matches!(judged, Ok(true)) {
            return;
        }
        self.flow.abandon_query(steps.into_iter().rev().flat_map(|step| step.undo.into_iter().rev()));
        match judged {
            Err(refusal) => self.refuse(refusal, true),
            Ok(_) => self.begin_steps(text, &sql::split(text).unwrap_or_default()),
        }
    }

    /// The refusal of the first statement of a message that PostgreSQL's grammar does not read.
    fn unread(&self, message: &str, statements: &[&str]) -> Option<Refusal> {
        statements.iter().find_map(|statement| {
            let refusal = sql::in_its_words(
                Refusal::syntax(Stage::Parse, "a statement of the message is not understood"),
                with_its_end(message, statement),
            );
            refusal.in_its_words().is_some().then(|| refusal.behind(characters_before(message, statement)))
        })
    }

    /// Whether they may run as one message; else rows of one of them are asked about between it and the next.
    async fn judge_batch(&mut self, text: &str, steps: &mut Vec<Step>) -> Result<bool, Logged> {
        let statements = match sql::split(text) {
            Ok(statements) => statements,
            // An unrestricted role's text is relayed as it is, as one.
            Err(_) if self.role.unrestricted.is_some() => vec![text],
            Err(refusal) => return Err(self.log_refusal(sql::in_its_words(refusal, text), text).await),
        };
        let (mut counted, mut before) = (0, 0);
        for statement in statements {
            // Of one statement alone nothing is counted but what stands before it.
            let offset = offset_in(text, statement);
            before += text.get(counted..offset).map_or(0, |between| between.chars().count());
            counted = offset;
            let told =
                |refusal: Logged| refusal.told_of(|| sql::words_against(with_its_end(text, statement))).behind(before);
            let judged = self.judge(statement, &[]).await.map_err(told)?;
            let source = self.source(&judged).await?;
            let running = source.running(&judged.decision);
            let effect = judged.decision.enforced.effect();
            if running.rows().enforced.waits() && !effect.reads_later() && !effect.moves() {
                return Ok(false);
            }
            if let Err(refusal) = Box::pin(self.count_lookups(&running)).await {
                return Err(self.log_refusal_under(running.rows(), refusal).await);
            }
            let undo = self.expect_effect(&judged);
            steps.push(Step { judged, source, running, undo, before });
        }
        Ok(true)
    }

    /// Replaces what PREPARE made by what was decided now; the client does not see it.
    async fn run_prepare_again(&mut self, name: &str, judged: Judged) -> Result<(), Logged> {
        let running = Running::itself(&judged.decision);
        let audited = self.journal.access(&running).await.map_err(unlogged)?;
        self.upstream.control(Control::Close(Target::Statement, name));
        self.flow.closing(Target::Statement, name, true);
        let seq = audited.seq();
        self.upstream.query([audited]);
        let undo = self.expect_effect(&judged);
        self.flow.queried_unseen(Run::begun(seq, running, undo));
        Ok(())
    }

    async fn forward_batch(&mut self, steps: &mut Vec<Step>) -> Result<(), Logged> {
        let runs: Vec<_> = steps.iter().map(|step| &step.running).collect();
        let counted = self.spend(&runs).await?;
        for step in &*steps {
            if let Source::Again(prepared, again) = &step.source {
                let Some(name) = step.judged.decision.enforced.effect().executes() else {
                    return Err(self.log_refusal(Refusal::internal(Stage::Session), &step.judged.text).await);
                };
                match &prepared.types {
                    Some(_) => self.prepare_again(name, prepared, again.clone()).await?,
                    None => self.run_prepare_again(name, again.clone()).await?,
                }
                // An error must not make the database skip the query that follows.
                self.upstream.control(Control::Sync);
                self.flow.synced_unseen();
            }
        }
        let mut logged = Vec::new();
        for step in &*steps {
            let lookups = self.looked_up(&step.running, None);
            logged.push((&step.running, lookups));
        }
        let audited = self.journal.accesses(logged).await.map_err(unlogged)?;
        if counted.iter().any(Option::is_some) {
            let seqs: Vec<u64> = audited.iter().map(Audited::seq).collect();
            Box::pin(self.meter_all(steps, &seqs, counted)).await?;
        }
        for step in &*steps {
            self.count(&step.running);
        }
        let numbers: Vec<u64> = audited.iter().map(Audited::seq).collect();
        if audited.is_empty() {
            self.upstream.control(Control::EmptyQuery);
        } else {
            self.upstream.query(audited);
        }
        let runs = numbers.len();
        let steps = std::mem::take(steps).into_iter().zip(numbers);
        let (mut sent, mut left) = (0_usize, runs);
        self.flow.queried(steps.map(|(Step { judged, running, undo, before, .. }, seq)| {
            let written = (before, sent);
            left = left.saturating_sub(1);
            if left > 0 {
                let characters = judged.decision.enforced.text().chars().count();
                sent = sent.saturating_add(characters).saturating_add(SEPARATOR.len());
            }
            Run::begun(seq, running, undo).written(judged.text, written)
        }));
        Ok(())
    }

    /// Logs what each of the batch that shows groups was counted as; none of the batch is forwarded where that cannot be logged.
    async fn meter_all(&mut self, steps: &[Step], seqs: &[u64], counted: Vec<Option<Asked>>) -> Result<(), Logged> {
        for ((step, seq), asked) in steps.iter().zip(seqs).zip(counted) {
            if let Err(error) = self.meter(*seq, &step.running, asked).await {
                let logged = unlogged(error);
                seqs.iter().for_each(|seq| self.journal.not_forwarded(*seq, logged.refusal().sqlstate.as_str()));
                return Err(logged);
            }
        }
        Ok(())
    }
}

/// A statement of a message with the semicolon that ends it, at which PostgreSQL's grammar may stop; the last with all that follows.
fn with_its_end<'a>(message: &'a str, statement: &'a str) -> &'a str {
    let start = offset_in(message, statement);
    let behind = start.saturating_add(statement.len());
    let rest = message.get(behind..).unwrap_or_default();
    let end = match rest.find(';').and_then(|at| at.checked_add(1)) {
        Some(at) if !rest.get(at..).unwrap_or_default().trim().is_empty() => behind.saturating_add(at),
        Some(_) | None => message.len(),
    };
    message.get(start..end).unwrap_or(statement)
}

/// Characters of a message that stand before one of its statements.
pub(super) fn characters_before(message: &str, statement: &str) -> usize {
    message.get(..offset_in(message, statement)).map_or(0, |before| before.chars().count())
}

/// Bytes of a message that stand before one of its statements.
fn offset_in(message: &str, statement: &str) -> usize {
    statement.as_ptr().addr().saturating_sub(message.as_ptr().addr())
}
