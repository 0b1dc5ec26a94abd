//! What the session writes into the access log.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::flow::running::Running;
use super::judge::enforcer::{Rejected, Scope};
use crate::audit::{
    Access, AccessRecord, Asked, AuditError, AuditLog, Audited, DisclosureRecord, Event, GroupedRecord, Logged,
    LookedUp, LookupRecord, Outcome, OutcomeStatus, PreparedSession, Seen, SessionFacts,
};
use crate::error::Refusal;
use crate::policy::{AccessReport, Disclosed};
use crate::sql::Redacted;
use crate::upstream::Decided;

/// The log, and who writes.
#[derive(Debug)]
pub(super) struct Journal {
    log: AuditLog,
    facts: SessionFacts,
    /// The facts as JSON, until they change.
    prepared: Option<PreparedSession>,
}

impl Journal {
    pub(super) fn new(log: AuditLog, facts: SessionFacts) -> Self {
        // What it writes counts towards its login's share of the log.
        Self { log: log.of_login(&facts.login), facts, prepared: None }
    }

    /// The session has another `application_name`.
    pub(super) fn application(&mut self, name: &str) {
        name.clone_into(&mut self.facts.application);
        self.prepared = None;
    }

    fn record(
        &mut self,
        scope: &Scope,
        logged: &Redacted,
        report: &AccessReport,
        lookups: &[LookedUp],
    ) -> Result<AccessRecord, AuditError> {
        self.enter(scope);
        let prepared = Arc::new(access(&self.facts, scope, logged, report).prepare()?);
        prepared.record(self.session()?, lookups)
    }

    /// The record of a run: what all runs of its decision share is written once.
    fn run(&mut self, running: &Running, lookups: &[LookedUp]) -> Result<AccessRecord, AuditError> {
        let (scope, statement, report) = (running.scope(), running.statement(), running.report());
        if !std::ptr::eq(report, statement.enforced.report()) {
            return self.record(scope, &statement.logged, report, lookups);
        }
        self.enter(scope);
        let prepared = match statement.record.get() {
            Some(prepared) => prepared,
            None => {
                let prepared = Arc::new(access(&self.facts, scope, &statement.logged, report).prepare()?);
                statement.record.get_or_init(|| prepared)
            }
        };
        prepared.record(self.session()?, lookups)
    }

    /// What all records say of the session now.
    fn session(&mut self) -> Result<&PreparedSession, AuditError> {
        match &mut self.prepared {
            Some(prepared) => Ok(prepared),
            empty @ None => Ok(empty.insert(PreparedSession::new(&self.facts)?)),
        }
    }

    /// The login is in no role any more.
    pub(super) fn leave_role(&mut self) {
        (self.facts.role, self.facts.recipient) = (None, None);
        self.prepared = None;
    }

    /// Purpose, actor, ticket and role of the record at hand.
    fn enter(&mut self, scope: &Scope) {
        if self.facts.purpose.as_ref() != Some(&scope.purpose) {
            self.facts.purpose = Some(scope.purpose.clone());
            self.prepared = None;
        }
        let who = &scope.who;
        if self.facts.actor != who.written || self.facts.ticket != who.ticket {
            (self.facts.actor, self.facts.ticket) = (who.written.clone(), who.ticket.clone());
            self.prepared = None;
        }
        if self.facts.role.as_deref() != Some(&scope.role.name) {
            self.facts.role = Some(scope.role.name.clone());
            self.facts.recipient = Some(scope.role.recipient.clone());
            self.prepared = None;
        }
    }

    /// Logs runs before they are forwarded: the statement, whose report it has (EXECUTE has that of what it runs), and what
    /// it looks up.
    pub(super) async fn accesses(
        &mut self,
        runs: Vec<(&Running, Vec<LookedUp>)>,
    ) -> Result<Vec<Audited<Decided>>, AuditError> {
        let mut batch = Vec::with_capacity(runs.len());
        for (running, lookups) in runs {
            let record = self.run(running, &lookups)?;
            batch.push((record, Arc::clone(&running.statement().enforced)));
        }
        self.log.append_accesses(batch).await
    }

    /// Logs one run.
    pub(super) async fn access(&mut self, running: &Running) -> Result<Audited<Decided>, AuditError> {
        let record = self.run(running, &[])?;
        self.log.append_access(record, Arc::clone(&running.statement().enforced)).await
    }

    /// Logs what a run looks up, before it is forwarded.
    pub(super) async fn lookup(&mut self, of: u64, running: &Running, lookups: &[LookedUp]) -> Result<u64, AuditError> {
        self.enter(running.scope());
        let statement = &running.statement().logged.statement;
        let record = LookupRecord { of, session: &self.facts, statement, lookups }.record()?;
        self.log.append(record).await
    }

    /// Logs how many statements over groups a login has run, before this one is forwarded.
    pub(super) async fn grouped(&mut self, of: u64, running: &Running, asked: Asked) -> Result<u64, AuditError> {
        self.enter(running.scope());
        let record = GroupedRecord { of, session: &self.facts, asked }.record()?;
        self.log.append(record).await
    }

    /// Logs a refusal.
    pub(super) async fn refused(&mut self, scope: &Scope, rejected: Rejected) -> Logged {
        let record = self.record(scope, &rejected.logged, &rejected.report, &[]);
        self.refuse(record, rejected.refusal).await
    }

    /// Logs what would be refused if anything was, and gives the number of the record.
    pub(super) async fn observed(&mut self, scope: &Scope, rejected: &Rejected) -> Result<u64, AuditError> {
        let record = self.record(scope, &rejected.logged, &rejected.report, &[])?;
        self.log.append_refused(record).await
    }

    /// Logs the refusal of something for a login that is in no role.
    pub(super) async fn refused_without_role(&mut self, policy: &str, rejected: Rejected) -> Logged {
        self.leave_role();
        let record = Access {
            session: &self.facts,
            statement: &rejected.logged.statement,
            fingerprint: &rejected.logged.fingerprint,
            report: &rejected.report,
            policy,
            observe: false,
            unrestricted: None,
            lookups: &[],
        };
        let record = record.record();
        self.refuse(record, rejected.refusal).await
    }

    async fn refuse(&self, record: Result<AccessRecord, AuditError>, refusal: Refusal) -> Logged {
        let sqlstate = refusal.sqlstate;
        let logged = match record {
            Ok(record) => self.log.append_refusal(record, refusal).await,
            Err(error) => Err(error),
        };
        match logged {
            Ok((logged, seq)) => {
                self.not_forwarded(seq, sqlstate.as_str());
                logged
            }
            Err(error) => {
                error.told("a refusal could not be written to the access log");
                Logged::unwritten(&error)
            }
        }
    }

    /// How a run ended.
    pub(super) fn outcome(&self, seq: u64, took: Duration, rows: Option<u64>, failed: Option<&str>) {
        let status = if failed.is_some() { OutcomeStatus::Error } else { OutcomeStatus::Ok };
        self.end(Outcome { of: seq, status, rows, sqlstate: failed.map(Cow::Borrowed), ms: milliseconds(took) });
    }

    /// What was refused has an outcome too; `sqlstate` is what the client was told.
    pub(super) fn not_forwarded(&self, seq: u64, sqlstate: &str) {
        let (status, sqlstate) = (OutcomeStatus::Refused, Some(Cow::Borrowed(sqlstate)));
        self.end(Outcome { of: seq, status, rows: None, sqlstate, ms: 0.0 });
    }

    /// A run was logged, and the database passed over it.
    pub(super) fn skipped(&self, seq: u64, took: Duration) {
        let (status, ms) = (OutcomeStatus::Skipped, milliseconds(took));
        self.end(Outcome { of: seq, status, rows: None, sqlstate: None, ms });
    }

    /// A run was logged, and its end will never be known. `rows`: that came before.
    pub(super) fn lost(&self, seq: u64, took: Duration, rows: Option<u64>) {
        let (status, ms) = (OutcomeStatus::Lost, milliseconds(took));
        self.end(Outcome { of: seq, status, rows, sqlstate: None, ms });
    }

    /// Whose rows are about to go to the client, and what was counted, grouped or tested for.
    pub(super) async fn disclosure(
        &mut self,
        running: &Running,
        (of, rows): (u64, u64),
        relations: Vec<Seen<'_>>,
        aggregate: &[Disclosed],
    ) -> Result<u64, AuditError> {
        self.enter(running.scope());
        let record = DisclosureRecord { of, session: &self.facts, rows, relations, aggregate }.record()?;
        self.log.append(record).await
    }

    fn end(&self, outcome: Outcome<'_>) {
        self.note(&Event::Outcome(outcome));
    }

    fn note(&self, event: &Event<'_>) {
        match event.record() {
            Ok(record) => self.log.note(record),
            Err(error) => tracing::error!(%error, "an event could not be written to the access log"),
        }
    }

    /// The purpose changed, or a change was refused.
    pub(super) fn purpose(&mut self, from: &str, to: &str, refused: Option<&str>) {
        self.facts.purpose = Some(if refused.is_some() { from } else { to }.to_owned());
        self.prepared = None;
        self.note(&Event::Purpose { session: Cow::Borrowed(&self.facts), from: Some(from), to, refused });
    }

    /// Something that must never happen.
    pub(super) fn incident(&self, of: Option<u64>, what: &str) {
        tracing::error!(session = %self.facts.session, what, "incident");
        self.note(&Event::Incident { session: Cow::Borrowed(&self.facts), of, what });
    }

    /// The session ended.
    pub(super) fn disconnect(&self, reason: Option<&str>) {
        self.note(&Event::Disconnect { session: &self.facts.session, reason });
    }
}

/// A statement's record, but for what it looks up.
fn access<'a>(
    session: &'a SessionFacts,
    scope: &'a Scope,
    logged: &'a Redacted,
    report: &'a AccessReport,
) -> Access<'a> {
    Access {
        session,
        statement: &logged.statement,
        fingerprint: &logged.fingerprint,
        report,
        policy: scope.policies.hash(),
        observe: scope.observe,
        unrestricted: scope.role.unrestricted.as_deref(),
        lookups: &[],
    }
}

fn milliseconds(took: Duration) -> f64 {
    // Microseconds are enough, and short to write.
    (took.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
