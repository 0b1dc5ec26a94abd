//! Whether a statement may run now: its decision, the purpose in force, and what it means for names and settings.
//!
//! INVARIANT I10: A decision is for one statement under one policy: after a change it is made again before the next run.

use std::sync::Arc;
use std::time::Duration;

use super::enforcer::{Judgement, Rejected, Scope, reject};
use super::names::{check_name, no_cursor, no_statement};
use super::who::{Who, over};
use crate::audit::Logged;
use crate::catalog::Oid;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::Verdict;
use crate::session::flow::names::{Portal, Prepared, Undo};
use crate::session::flow::running::{Judged, Running};
use crate::session::state::Session;
use crate::sql::{self, Effect, Named, Redacted, Stated};
use crate::wire::frontend::parameter_types;

/// What the rows of a statement come from.
#[derive(Debug, Clone)]
pub(in crate::session) enum Source {
    /// The statement itself.
    Itself,
    /// A prepared statement or cursor.
    Of(Judgement),
    /// A prepared statement that must be prepared again first.
    Again(Arc<Prepared>, Judged),
}

impl Source {
    /// What runs; `own` is the decision about the statement itself.
    pub(in crate::session) fn running(&self, own: &Judgement) -> Running {
        match self {
            Self::Itself => Running::itself(own),
            Self::Of(decision) => Running::of(own, decision),
            Self::Again(_, again) => Running::of(own, &again.decision),
        }
    }
}

impl Session {
    /// The scope in force for a statement that states this, or nothing.
    pub(in crate::session) fn scope_for(&mut self, stated: Option<&Stated>) -> Result<Arc<Scope>, Refusal> {
        let policies = self.shared.policies_now();
        let today = self.calendar.today(policies.zone());
        if stated.is_none()
            && let Some((version, scope)) = &self.scope
            && *version == self.flow.version()
            && Arc::ptr_eq(scope.policies.origin(), &policies)
            && self.structure.is_current(&self.catalog, &scope.catalog)
            && scope.today == today
        {
            return Ok(Arc::clone(scope));
        }
        let (policies, catalog) = (Arc::clone(&policies), self.structure.catalog(&self.catalog));
        // Texts are read by the session's own encoding then, and sent so that every encoding reads them alike.
        let allowed = |name: &str| policies.observes() || name == "client_encoding" && policies.hides_nothing();
        if let Some(name) = self.unlike.filter(|name| !allowed(name)) {
            let message =
                format!("`{name}` was changed while nothing was enforced, and texts could be read in two ways");
            return Err(Refusal::unsupported(Stage::Session, message).hint("connect again"));
        }
        let user = self.flow.ahead().role().unwrap_or(&self.login).to_owned();
        if user != self.login && !policies.hides_nothing() {
            let message = "the session took another role of the database while nothing was hidden";
            return Err(Refusal::unsupported(Stage::Session, message).hint("connect again"));
        }
        if !Arc::ptr_eq(&self.role_from, &policies) {
            self.role = policies.shared_role_of(&self.login).ok_or_else(|| no_role(&self.login))?;
            self.role_from = Arc::clone(&policies);
            self.flow.set_uncounted(self.role.unrestricted.is_some());
        }
        let settings = self.flow.ahead();
        let purpose =
            stated.and_then(|stated| stated.purpose.as_deref()).unwrap_or_else(|| settings.purpose()).to_owned();
        let who = Arc::new(Who::of(stated, settings, &self.role, self.shared.actor_key.as_ref()));
        let path =
            self.flow.ahead().path().iter().map(|name| if name == "$user" { user.clone() } else { name.clone() });
        let scope = Arc::new(self.shared.enforcer.scope(
            policies,
            catalog,
            Arc::clone(&self.role),
            self.login.clone(),
            purpose,
            who,
            path.collect(),
            today,
        ));
        if stated.is_none() {
            self.scope = Some((self.flow.version(), Arc::clone(&scope)));
        }
        Ok(scope)
    }

    /// Decides one statement whose parameters have these declared types; a refusal is in the log when this returns.
    pub(in crate::session) async fn judge(&mut self, text: &str, types: &[Oid]) -> Result<Judged, Logged> {
        let unrestricted = self.role.unrestricted.is_some();
        if !unrestricted && let Err(refusal) = crate::session::shared::settle(&self.catalog).await {
            return Err(self.log_rejected(reject(refusal, sql::redact(text))).await);
        }
        if !unrestricted {
            self.know_path().await;
        }
        let stated = match sql::stated(text) {
            Ok(stated) if stated.is_nothing() => None,
            Ok(stated) => Some(Arc::new(stated)),
            Err(_) if unrestricted => None,
            Err(refusal) => return Err(self.log_rejected(reject(refusal, sql::redact(text))).await),
        };
        self.judge_for(text, types, stated.clone(), (stated, false)).await
    }

    /// A search path that is new to the session may name a schema that was made a moment ago beside the proxy: without it a name would
    /// mean a relation of another schema, and what is made would be made there.
    async fn know_path(&mut self) {
        if self.scope.as_ref().is_some_and(|(version, _)| *version == self.flow.version()) {
            return;
        }
        let catalog = self.catalog.current();
        let unknown = |schema: &String| {
            schema != "$user" && schema != "pg_catalog" && !schema.starts_with("pg_temp") && !catalog.has_schema(schema)
        };
        if self.flow.ahead().path().iter().any(unknown) {
            crate::session::shared::refresh(&self.catalog, catalog.epoch()).await;
        }
    }

    /// The same for what is stated, here or elsewhere; `own`: what the statement's own comment states; `later`: its rows are read
    /// later.
    async fn judge_for(
        &mut self,
        text: &str,
        types: &[Oid],
        stated: Option<Arc<Stated>>,
        (own, later): (Option<Arc<Stated>>, bool),
    ) -> Result<Judged, Logged> {
        let mut scope = match self.scope_later(stated.as_deref(), later) {
            Ok(scope) => scope,
            Err(refusal) => return Err(self.log_rejected(reject(refusal, sql::redact(text))).await),
        };
        let mut decided = self.shared.enforcer.decide(text, types, &scope).await;
        if let Err(rejected) = &decided
            && names_unknown(rejected.refusal.sqlstate)
            && crate::session::shared::refresh(&self.catalog, scope.catalog.epoch()).await
        {
            // The policy may be another one by now, and the login in no role.
            scope = match self.scope_later(stated.as_deref(), later) {
                Ok(scope) => scope,
                Err(refusal) => return Err(self.log_rejected(reject(refusal, sql::redact(text))).await),
            };
            decided = self.shared.enforcer.decide(text, types, &scope).await;
        }
        if let Err(rejected) = &decided
            && names_no_column(&rejected.refusal)
            && let Some(absent) = self.shared.enforcer.absent(&scope)
            && let Ok(told_there) = self.shared.enforcer.decide(text, types, &absent).await
        {
            decided = Ok(told_there);
        }
        let decision = match decided {
            Ok(decision) => decision,
            Err(mut rejected) => {
                self.remember_refused(text);
                let place = rejected.refusal.name().and_then(|parts| sql::place_of(text, parts));
                rejected.refusal = rejected.refusal.at(place);
                return Err(self.log_refused(&scope, *rejected).await);
            }
        };
        let judged = Judged { text: text.into(), decision, stated: own };
        match self.check(&judged) {
            Ok(()) => {
                self.structure.fills(&judged.decision);
                Ok(judged)
            }
            Err(refusal) => {
                self.remember_refused(text);
                Err(self.log_refusal_under(&judged.decision, refusal).await)
            }
        }
    }

    fn scope_later(&mut self, stated: Option<&Stated>, later: bool) -> Result<Arc<Scope>, Refusal> {
        let scope = self.scope_for(stated)?;
        Ok(if later { Arc::new(self.shared.enforcer.later(&scope)) } else { scope })
    }

    /// The same statement with keys in its rows, so that they can be read in parts; `None` where it cannot have them.
    pub(in crate::session) async fn judge_keyed(&mut self, prepared: &Prepared) -> Option<Judged> {
        let scope = self.scope_later(prepared.stated.as_deref(), true).ok()?;
        let types: Vec<Oid> = prepared.types.as_deref().map(parameter_types).into_iter().flatten().collect();
        // What is refused here runs as it is, and is refused when it is read later.
        let decision = self.shared.enforcer.decide(&prepared.text, &types, &scope).await.ok()?;
        if decision.enforced.recheck().is_empty() {
            return None;
        }
        let judged = Judged { text: Arc::clone(&prepared.text), decision, stated: prepared.stated.clone() };
        self.check(&judged).ok()?;
        Some(judged)
    }

    /// What was to be made is not there: its name must not come to mean a permanent relation.
    fn remember_refused(&mut self, text: &str) {
        if self.governed()
            && let Some(name) = sql::temporary_target(text)
        {
            self.structure.refuse(name);
        }
    }

    /// Takes the effects of a statement for granted that is about to be forwarded; gives what undoes them.
    pub(in crate::session) fn expect_effect(&mut self, judged: &Judged) -> Vec<Undo> {
        self.structure.runs(&judged.decision.enforced);
        if let Some(notified) = judged.decision.enforced.notifies() {
            self.notified.truncate(NOTIFIED.saturating_sub(1));
            self.notified.push_front(notified.clone());
        }
        self.flow.expect_effect(judged)
    }

    async fn log_rejected(&mut self, rejected: Box<Rejected>) -> Logged {
        match self.scope_for(None) {
            Ok(scope) => self.log_refused(&scope, *rejected).await,
            Err(_) => {
                self.shared.metrics.statements_denied.bump();
                let policies = self.shared.policies.load_full();
                self.journal.refused_without_role(policies.hash(), *rejected).await
            }
        }
    }

    /// Logs a refusal that was found outside the decision.
    pub(in crate::session) async fn log_refusal(&mut self, refusal: Refusal, text: &str) -> Logged {
        Box::pin(self.log_rejected(reject(refusal, sql::redact(text)))).await
    }

    /// Logs the refusal of something that was decided, under what it was decided.
    pub(in crate::session) async fn log_refusal_under(&mut self, decision: &Judgement, refusal: Refusal) -> Logged {
        let rejected = reject(refusal, decision.logged.clone());
        Box::pin(self.log_refused(decision.scope(), *rejected)).await
    }

    /// Logs the refusal of something that has no text; `what` stands for it.
    pub(in crate::session) async fn log_refusal_of(&mut self, refusal: Refusal, what: &str) -> Logged {
        let logged = Redacted { statement: format!("<{what}>").into(), ..sql::redact("") };
        self.log_rejected(reject(refusal, logged)).await
    }

    pub(in crate::session) async fn log_refused(&mut self, scope: &Scope, rejected: Rejected) -> Logged {
        self.shared.metrics.statements_denied.bump();
        self.journal.refused(scope, rejected).await
    }

    /// Logs what would have been refused if anything was, beside the record under which it runs.
    pub(in crate::session) async fn log_observed(&mut self, scope: &Scope, rejected: &Rejected) {
        self.shared.metrics.statements_denied.bump();
        match self.journal.observed(scope, rejected).await {
            Ok(seq) => self.journal.outcome(seq, Duration::ZERO, None, None),
            Err(error) => error.told("what would have been refused could not be written to the access log"),
        }
    }

    /// Whether the purpose may be used, and names are not the proxy's own.
    fn check(&mut self, judged: &Judged) -> Result<(), Refusal> {
        let effect = judged.decision.enforced.effect();
        let scope = judged.decision.scope();
        if !scope.observe {
            let checked = sql::admitted(effect, &scope.policies, &scope.role, &scope.purpose, scope.today);
            if let (Err(refusal), Named::Purpose(purpose)) = (&checked, effect.named()) {
                let from = self.flow.confirmed_purpose().to_owned();
                self.journal.purpose(&from, purpose, Some(&refusal.message));
            }
            checked?;
        }
        if let Effect::Deallocate(Some(name)) = effect {
            return check_name(name);
        }
        match effect.named() {
            Named::New(name) => check_name(name),
            Named::Nothing | Named::Purpose(_) | Named::Statement(_) | Named::Cursor(_) => Ok(()),
        }
    }

    /// What the rows of a run come from: EXECUTE and FETCH run what was decided under its own name. A refusal is in the log
    /// when this returns.
    pub(in crate::session) async fn source(&mut self, judged: &Judged) -> Result<Source, Logged> {
        let source = self.found(judged).await?;
        let counts = judged.decision.enforced.counts_met() && !judged.decision.scope().observe;
        if counts && !source.running(&judged.decision).rows().enforced.unfiltered() {
            let message =
                "EXPLAIN ANALYZE is not open for this prepared statement: it leaves rows out, or shows groups only";
            let refusal = Refusal::new(Stage::Decide, SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("it counts the rows that were met, also those that are not shown")
                .hint("ask for the plan without ANALYZE");
            return Err(self.log_refusal_under(&judged.decision, refusal).await);
        }
        let plan = judged.decision.enforced.shows_plan();
        if plan && source.running(&judged.decision).rows().enforced.plan_tells() {
            let message = "the plan of this prepared statement is not open: it names partitions whose key is not";
            let refusal = Refusal::new(Stage::Decide, SqlState::INSUFFICIENT_PRIVILEGE, message);
            return Err(self.log_refusal_under(&judged.decision, refusal).await);
        }
        Ok(source)
    }

    async fn found(&mut self, judged: &Judged) -> Result<Source, Logged> {
        // For each run its own comment comes first, then that of what it runs, then the session's purpose.
        let stated = judged.stated.clone();
        match judged.decision.enforced.effect().named() {
            Named::Statement(name) => {
                let Some(prepared) = self.flow.names.statement(name).cloned() else {
                    return Err(self.log_refusal(no_statement(name), &judged.text).await);
                };
                if self.is_current(&prepared, stated.as_ref()).await? {
                    return Ok(prepared.decision().cloned().map_or(Source::Itself, Source::Of));
                }
                let again = Box::pin(self.judge_again(&prepared, stated.as_ref())).await?;
                if again.decision.enforced.text() != text_of(&prepared) {
                    return Ok(Source::Again(prepared, again));
                }
                let decision = again.decision.clone();
                self.flow.names.prepare(name, Arc::new(again.into_prepared(prepared.types.clone())));
                Ok(Source::Of(decision))
            }
            Named::Cursor(name) => {
                match self.renew_cursor(name, stated.as_ref()).await.and_then(|()| self.cursor(name)) {
                    Ok(decision) => Ok(decision.map_or(Source::Itself, Source::Of)),
                    Err(refusal) => Err(self.log_refusal(refusal, &judged.text).await),
                }
            }
            Named::Nothing | Named::Purpose(_) | Named::New(_) => Ok(Source::Itself),
        }
    }

    /// Whether an open cursor was decided under what is in force now; where a policy or catalog that is new since asks for the same
    /// text, it holds for what is read from here on.
    async fn renew_cursor(&mut self, name: &str, stated: Option<&Arc<Stated>>) -> Result<(), Refusal> {
        let portal = self.flow.names.portal(name).cloned().ok_or_else(|| no_cursor(name))?;
        let Err(refusal) = self.check_portal(&portal.prepared, name, stated) else { return Ok(()) };
        let scope = self.scope_for(over(stated, portal.prepared.stated.as_ref()).as_deref())?;
        let old = &portal.prepared;
        if scope.purpose != old.scope().purpose || scope.search_path != old.scope().search_path {
            return Err(refusal);
        }
        let Ok(decision) = self.shared.enforcer.decide(&old.text, &[], &scope).await else { return Err(refusal) };
        let judged = Judged { text: Arc::clone(&old.text), decision, stated: old.stated.clone() };
        if judged.decision.enforced.text() != text_of(old) || self.check(&judged).is_err() {
            return Err(refusal);
        }
        let prepared = Arc::new(judged.into_prepared(None));
        self.flow.names.bind(name, Portal { prepared, ..portal });
        Ok(())
    }

    /// The decision about an open cursor.
    fn cursor(&mut self, name: &str) -> Result<Option<Judgement>, Refusal> {
        let portal = self.flow.names.portal(name).cloned().ok_or_else(|| no_cursor(name))?;
        if let Some(decision) = portal.prepared.decision() {
            self.is_late(&portal, name, decision)?;
        }
        Ok(portal.prepared.decision().cloned())
    }

    /// Whether a prepared statement was decided under what is in force now, for the purpose that it or its caller states. A
    /// refusal is in the log when this returns.
    pub(in crate::session) async fn is_current(
        &mut self,
        prepared: &Prepared,
        stated: Option<&Arc<Stated>>,
    ) -> Result<bool, Logged> {
        if prepared.decision().is_none() {
            return Ok(true);
        }
        if self.role.unrestricted.is_none()
            && let Err(refusal) = crate::session::shared::settle(&self.catalog).await
        {
            return Err(self.log_refusal(refusal, &prepared.text).await);
        }
        match self.scope_for(over(stated, prepared.stated.as_ref()).as_deref()) {
            Ok(scope) => Ok(prepared.scope().same(&scope)),
            Err(refusal) => Err(self.log_refusal(refusal, &prepared.text).await),
        }
    }

    /// Decides a prepared statement again. A refusal is in the log when this returns.
    pub(in crate::session) async fn judge_again(
        &mut self,
        prepared: &Prepared,
        stated: Option<&Arc<Stated>>,
    ) -> Result<Judged, Logged> {
        let types: Vec<Oid> = prepared.types.as_deref().map(parameter_types).into_iter().flatten().collect();
        let stated = over(stated, prepared.stated.as_ref());
        self.judge_for(&prepared.text, &types, stated, (prepared.stated.clone(), prepared.scope().later)).await
    }

    /// Whether an open portal or cursor was decided under what is in force now.
    pub(in crate::session) fn check_portal(
        &mut self,
        prepared: &Prepared,
        name: &str,
        stated: Option<&Arc<Stated>>,
    ) -> Result<(), Refusal> {
        let scope = self.scope_for(over(stated, prepared.stated.as_ref()).as_deref())?;
        if prepared.decision().is_none() || prepared.scope().same(&scope) {
            return Ok(());
        }
        let message = format!(
            "cursor `{name}` was opened for another purpose, actor, search path or policy than are in force now"
        );
        Err(Refusal::new(Stage::Session, SqlState::INSUFFICIENT_PRIVILEGE, message).hint("open it again"))
    }

    /// Whether rows that rest on consent are read later than in the exchange that opened the portal, whose snapshot they have: then
    /// whoever agreed is asked for again.
    ///
    /// # Errors
    /// 42501 where the rows do not say who that is, or were opened too long ago.
    pub(in crate::session) fn is_late(
        &self,
        portal: &Portal,
        name: &str,
        rows_of: &Judgement,
    ) -> Result<bool, Refusal> {
        if !rows_of.enforced.rests_on_consent() || portal.exchange == self.flow.exchange() {
            return Ok(false);
        }
        if rows_of.enforced.recheck().is_empty() {
            return Err(sql::portal_refusal(name));
        }
        let seconds = portal.prepared.scope().policies.cursor_seconds();
        if portal.opened.is_none_or(|opened| opened.elapsed().as_secs() >= seconds) {
            return Err(sql::too_old_refusal(name, seconds));
        }
        Ok(true)
    }

    /// Whether the types that a client says its parameters have can be taken: reading a value of theirs, or casting it, must
    /// call nothing that nobody reviewed, as with a type that is named in a statement.
    pub(in crate::session) async fn check_types(&mut self, types: &[u8]) -> Result<(), Refusal> {
        if !self.governed() {
            return Ok(());
        }
        let oids: Vec<u32> = parameter_types(types).filter(|oid| *oid != 0).collect();
        let catalog = self.catalog.current();
        if oids.iter().any(|oid| catalog.type_by_oid(*oid).is_none()) {
            crate::session::shared::refresh(&self.catalog, catalog.epoch()).await;
        }
        let scope = self.scope_for(None)?;
        sql::open_parameters(&oids, &scope.context())
    }

    /// Counts a run by its verdict.
    pub(in crate::session) fn count(&self, running: &Running) {
        match running.report().verdict {
            Verdict::Allow => self.shared.metrics.statements_allowed.bump(),
            Verdict::Mask => self.shared.metrics.statements_masked.bump(),
            Verdict::Deny => self.shared.metrics.statements_denied.bump(),
        }
    }
}

/// The text that the database holds for a prepared statement.
pub(in crate::session) fn text_of(prepared: &Prepared) -> &str {
    prepared.decision().map_or("", |decision| decision.enforced.text())
}

/// Whether a column of the statement's is not there, or is more than one.
fn names_no_column(refusal: &Refusal) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::AMBIGUOUS_COLUMN].contains(&refusal.sqlstate)
}

fn names_unknown(sqlstate: SqlState) -> bool {
    [
        SqlState::UNDEFINED_SCHEMA,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_OBJECT,
    ]
    .contains(&sqlstate)
}

fn no_role(login: &str) -> Refusal {
    let message = format!("login `{login}` has no role in the policy any more");
    Refusal::new(Stage::Session, SqlState::INVALID_AUTHORIZATION, message)
}

/// The session's own notifications that are kept in mind; PostgreSQL's payloads are shorter than 8,000 bytes.
const NOTIFIED: usize = 16;
