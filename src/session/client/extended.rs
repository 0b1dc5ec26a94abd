//! The extended query: Parse, Bind, Describe, Execute.

use std::sync::Arc;

use crate::audit::{AuditError, Logged, LookedUp};
use crate::error::{Refusal, SqlState, Stage};
use crate::session::flow::names::Prepared;
use crate::session::flow::pending::Run;
use crate::session::flow::running::Judged;
use crate::session::flow::running::Running;
use crate::session::judge::admit::{Source, text_of};
use crate::session::judge::lookups::Bound;
use crate::session::judge::names::{check_name, cut, no_portal, no_statement};
use crate::session::state::Session;
use crate::sql;
use crate::upstream::Control;
use crate::wire::frontend::{Parse, Target, parameter_types};
use crate::wire::{Values, WireError, trim};

/// The longest values that are kept, so that the portal can be opened again.
const KEPT_VALUES: usize = 1024 * 1024;

/// The statement that a Bind names.
pub(in crate::session) struct Bindable {
    prepared: Arc<Prepared>,
    /// It was decided under what is in force now.
    current: bool,
}

impl Session {
    /// Handles a Parse.
    pub(in crate::session) async fn parse(&mut self, parse: Parse<'_>) {
        let unnamed = parse.name.is_empty();
        if let Err(refusal) = self.try_parse(parse).await {
            if unnamed {
                // It is gone as soon as another is asked for, whatever becomes of that one.
                self.flow.names.forget_statement("");
            }
            self.refuse(refusal, false);
        }
    }

    async fn try_parse(&mut self, parse: Parse<'_>) -> Result<(), Logged> {
        let name = match self.new_name(parse.name) {
            Ok(name) => name,
            Err(refusal) => return Err(self.log_refusal(refusal, parse.sql).await),
        };
        let statements = match sql::split(parse.sql) {
            Ok(statements) => statements,
            Err(_) if self.role.unrestricted.is_some() => vec![parse.sql],
            Err(refusal) => return Err(self.log_refusal(sql::in_its_words(refusal, parse.sql), parse.sql).await),
        };
        let text = match statements.as_slice() {
            [] => return self.parse_empty(name, parse.sql).await,
            [text] => *text,
            _ => {
                let refusal =
                    Refusal::syntax(Stage::Session, "cannot insert multiple commands into a prepared statement");
                return Err(self.log_refusal(refusal, parse.sql).await);
            }
        };
        if let Err(refusal) = self.check_types(parse.types).await {
            return Err(self.log_refusal(refusal, text).await);
        }
        let types: Vec<u32> = parameter_types(parse.types).collect();
        let told = |refusal: Logged| refusal.told_of(|| sql::words_against(parse.sql));
        let judged = self.judge(text, &types).await.map_err(told)?;
        self.forward_parse(name, judged, parse.types.to_vec(), false).await
    }

    /// Whether a statement may have this name.
    fn new_name<'a>(&mut self, name: &'a str) -> Result<&'a str, Refusal> {
        let name = cut(name)?;
        check_name(name)?;
        if self.flow.names.is_full() {
            let message = "too many prepared statements and cursors are open";
            return Err(Refusal::new(Stage::Session, SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        Ok(name)
    }

    async fn parse_empty(&mut self, name: &str, text: &str) -> Result<(), Logged> {
        let scope = match self.scope_for(None) {
            Ok(scope) => scope,
            Err(refusal) => return Err(self.log_refusal(refusal, text).await),
        };
        let prepared = Prepared::empty(self.upstream.parse_empty(name), scope);
        self.flow.parsed_empty(name, Arc::new(prepared));
        Ok(())
    }

    /// Logs and forwards a Parse.
    pub(in crate::session) async fn forward_parse(
        &mut self,
        name: &str,
        judged: Judged,
        types: Vec<u8>,
        hidden: bool,
    ) -> Result<(), Logged> {
        let types = match judged.decision.enforced.parameters() {
            0 => types,
            parameters => as_text(&types, parameters.into()),
        };
        // Of EXECUTE the report is that of what it runs, where that is decided for the same purpose and actor: else it is decided again
        // when it runs, and has a record of its own.
        let same = |running: &Running| {
            running.purpose() == judged.decision.scope().purpose && running.is_for(&judged.decision)
        };
        let running =
            self.flow.runs(&judged.decision).filter(same).unwrap_or_else(|| Running::itself(&judged.decision));
        let token = self.journal.access(&running).await.map_err(unlogged)?;
        self.upstream.parse(name, &token, &types);
        let prepared = Arc::new(judged.into_prepared(Some(types)));
        self.flow.parsed(name, prepared, running.rows().clone(), (token.seq(), token), hidden);
        Ok(())
    }

    /// Replaces a statement in the database by what was decided now; the client does not see it.
    pub(in crate::session) async fn prepare_again(
        &mut self,
        name: &str,
        old: &Prepared,
        judged: Judged,
    ) -> Result<(), Logged> {
        let Some(types) = old.types.clone() else {
            let message = format!(
                "prepared statement `{name}` was decided for another purpose, search path or policy than are in force now"
            );
            let refusal = Refusal::new(Stage::Session, SqlState::FEATURE_NOT_SUPPORTED, message);
            return Err(self.log_refusal(refusal.hint("prepare it again"), &judged.text).await);
        };
        if !name.is_empty() {
            self.upstream.control(Control::Close(Target::Statement, name));
            self.flow.closing(Target::Statement, name, true);
        }
        self.forward_parse(name, judged, types, true).await
    }

    /// The statement that a Bind names, and whether the values have to be read: where rows have hidden columns, the formats at
    /// their end must count them; what is looked up is among them; and both may be so once the statement is decided again.
    pub(in crate::session) async fn bindable(&mut self, statement: &str) -> Result<(Bindable, bool), Logged> {
        let found = cut(statement).and_then(|name| self.statement(name));
        let prepared = match found {
            Ok(prepared) => prepared,
            Err(refusal) => return Err(Box::pin(self.log_refusal_of(refusal, "bind")).await),
        };
        let current = self.is_current(&prepared, None).await?;
        let tests = prepared.decision().is_some_and(|decision| decision.enforced.tests_parameters());
        let hides = || self.flow.hidden_of(&prepared) > 0;
        let reads = !current || tests || rests_on_consent(&prepared) || hides();
        Ok((Bindable { prepared, current }, reads))
    }

    /// Handles a Bind, whose values follow: `rest` bytes of them, or all of them in `body`.
    pub(in crate::session) async fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        found: Bindable,
        rest: usize,
        body: Option<&[u8]>,
    ) -> Result<(), Logged> {
        let (portal, statement) = match cut(portal).and_then(|portal| Ok((portal, cut(statement)?))) {
            Ok(names) => names,
            Err(refusal) => return Err(self.log_refusal(refusal, &found.prepared.text).await),
        };
        let Bindable { mut prepared, current } = found;
        if !current {
            let judged = Box::pin(self.judge_again(&prepared, None)).await?;
            if judged.decision.enforced.text() == text_of(&prepared) {
                // The same text: the database's statement stands.
                self.flow.names.prepare(statement, Arc::new(judged.into_prepared(prepared.types.clone())));
            } else {
                Box::pin(self.prepare_again(statement, &prepared, judged)).await?;
            }
            prepared = match self.statement(statement) {
                Ok(prepared) => prepared,
                Err(refusal) => return Err(self.log_refusal(refusal, &prepared.text).await),
            };
        }
        let more = self.flow.hidden_of(&prepared);
        let lookups = match self.bound(&prepared, body) {
            Ok(lookups) => (!lookups.is_empty()).then(|| Arc::from(lookups)),
            Err(refusal) => return Err(self.log_refusal(refusal, &prepared.text).await),
        };
        let kept = body.filter(|body| body.len() <= KEPT_VALUES && (more > 0 || rests_on_consent(&prepared)));
        let kept: Option<Arc<[u8]>> = kept.map(Arc::from);
        match body {
            Some(body) => {
                let body = match trim::bind(body, more).map_err(unreadable) {
                    Ok(body) => body,
                    Err(refusal) => return Err(self.log_refusal(refusal, &prepared.text).await),
                };
                self.upstream.control(Control::Bind { portal, statement, rest: body.len() });
                self.upstream.body(&body);
            }
            // The policy began to record subjects this moment, or the values are too long to be held.
            None if more > 0 => {
                let message = "the values of a statement over tables that record their data subjects are too long";
                let refusal = Refusal::new(Stage::Session, SqlState::PROGRAM_LIMIT_EXCEEDED, message);
                return Err(self.log_refusal(refusal.hint("send shorter values, or use COPY"), &prepared.text).await);
            }
            None => self.upstream.control(Control::Bind { portal, statement, rest }),
        }
        self.flow.bound(portal, prepared, lookups, kept);
        Ok(())
    }

    /// What each run of a prepared statement with these values looks up.
    fn bound(&self, prepared: &Prepared, body: Option<&[u8]>) -> Result<Vec<LookedUp>, Refusal> {
        let Some(decision) = prepared.decision() else { return Ok(Vec::new()) };
        if !decision.enforced.tests_parameters() {
            return Ok(self.looked_up(&Running::itself(decision), None));
        }
        let Some(body) = body else {
            let message = "the values of a statement that looks one up are too long";
            return Err(
                Refusal::new(Stage::Session, SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("send shorter values")
            );
        };
        let types = prepared.types.as_deref().map(parameter_types).into_iter().flatten().collect();
        let bound = Bound { values: Values::decode(body).map_err(unreadable)?, types };
        Ok(self.looked_up(&Running::itself(decision), Some(&bound)))
    }

    /// Forwards a Describe.
    pub(in crate::session) fn forward_describe(
        &mut self,
        target: Target,
        name: &str,
        prepared: &Arc<Prepared>,
        hidden: bool,
    ) {
        self.upstream.control(Control::Describe(target, name));
        self.flow.describing(prepared, hidden);
    }

    /// Handles an Execute.
    pub(in crate::session) async fn execute(&mut self, portal: &str, rows: i32) {
        if let Err(refusal) = self.try_execute(portal, rows).await {
            self.refuse(refusal, false);
        }
    }

    /// A prepared statement by its name.
    pub(super) fn statement(&self, name: &str) -> Result<Arc<Prepared>, Refusal> {
        self.flow.names.statement(name).cloned().ok_or_else(|| no_statement(name))
    }

    /// What a portal runs, by its name.
    pub(super) fn of_portal(&self, name: &str) -> Result<Arc<Prepared>, Refusal> {
        self.flow.names.portal(name).map(|portal| Arc::clone(&portal.prepared)).ok_or_else(|| no_portal(name))
    }

    async fn try_execute(&mut self, portal: &str, rows: i32) -> Result<(), Logged> {
        let portal = match cut(portal) {
            Ok(portal) => portal,
            Err(refusal) => return Err(self.log_refusal_of(refusal, "execute").await),
        };
        if self.flow.names.portal(portal).is_some_and(|opened| self.opens_again(opened, rows)) {
            Box::pin(self.open_again(portal, rows)).await?;
        }
        let Some(opened) = self.flow.names.portal(portal) else {
            return Err(self.log_refusal_of(no_portal(portal), "execute").await);
        };
        let (mut prepared, bound) = (Arc::clone(&opened.prepared), opened.lookups.clone());
        let Some(mut decision) = prepared.decision().cloned() else {
            let Some(proof) = prepared.no_text() else {
                return Err(self.log_refusal_of(Refusal::internal(Stage::Session), "execute").await);
            };
            self.upstream.execute_empty(proof, portal);
            self.flow.executing(Run::empty());
            return Ok(());
        };
        // Held across a wait, and rare.
        if let Err(refusal) = self.check_portal(&prepared, portal, None).map_err(Box::new) {
            // A policy or catalog that is new since Bind: where it asks for the same text, it holds for this run.
            let again = Box::pin(self.judge_again(&prepared, None)).await?;
            if again.decision.enforced.text() != text_of(&prepared) {
                return Err(self.log_refusal(*refusal, &prepared.text).await);
            }
            decision = again.decision.clone();
            prepared = Arc::new(again.into_prepared(prepared.types.clone()));
        }
        let judged =
            Judged { text: Arc::clone(&prepared.text), decision: decision.clone(), stated: prepared.stated.clone() };
        let source = self.source(&judged).await?;
        let running = source.running(&decision);
        if let Source::Again(old, again) = source {
            let Some(name) = decision.enforced.effect().executes() else {
                return Err(self.log_refusal(Refusal::internal(Stage::Session), &prepared.text).await);
            };
            if old.decision().map(|old| Running::itself(old).hidden())
                != Some(Running::itself(&again.decision).hidden())
            {
                // The portal was bound for the columns that the statement had.
                let message = format!("prepared statement `{name}` has changed since `{portal}` was bound");
                let refusal = Refusal::new(Stage::Session, SqlState::FEATURE_NOT_SUPPORTED, message);
                return Err(self.log_refusal(refusal.hint("bind it again"), &prepared.text).await);
            }
            Box::pin(self.prepare_again(name, &old, again)).await?;
        }
        let late = match self.reads_late(portal, &running) {
            Ok(late) => late,
            Err(refusal) => return Err(self.log_refusal_under(running.rows(), refusal).await),
        };
        if let Err(refusal) = Box::pin(self.count_lookups(&running)).await {
            return Err(self.log_refusal_under(running.rows(), refusal).await);
        }
        let counted = self.spend(&[&running]).await?.pop().flatten();
        if self.flow.needs_description(&prepared) {
            // Rows come only behind a row description that was checked.
            self.forward_describe(Target::Portal, portal, &prepared, true);
        }
        let token = match self.flow.take_unspent(&prepared, running.rows()) {
            Some(token) => token,
            None => self.journal.access(&running).await.map_err(unlogged)?,
        };
        let lookups = match decision.enforced.effect().executes() {
            Some(_) => Some(Arc::from(self.looked_up(&running, None))),
            None => bound,
        };
        if let Some(lookups) = lookups.filter(|lookups| !lookups.is_empty())
            && let Err(error) = Box::pin(self.journal.lookup(token.seq(), &running, &lookups)).await
        {
            let logged = unlogged(error);
            self.journal.not_forwarded(token.seq(), logged.refusal().sqlstate.as_str());
            return Err(logged);
        }
        if counted.is_some()
            && let Err(error) = Box::pin(self.meter(token.seq(), &running, counted)).await
        {
            let logged = unlogged(error);
            self.journal.not_forwarded(token.seq(), logged.refusal().sqlstate.as_str());
            return Err(logged);
        }
        self.forward_execute(token, (portal, rows), judged, running, late);
        Ok(())
    }
}

/// Whether it shows only rows of those who agreed.
pub(super) fn rests_on_consent(prepared: &Prepared) -> bool {
    prepared.decision().is_some_and(|decision| decision.enforced.rests_on_consent())
}

/// The same types, and text for the parameters that have none, as a Parse has them: where the text that is sent names none of
/// them, PostgreSQL takes no other values than those of types that are stated.
fn as_text(types: &[u8], parameters: usize) -> Vec<u8> {
    const TEXT: u32 = 25;
    let stated = parameter_types(types).map(|oid| if oid == 0 { TEXT } else { oid });
    let all: Vec<u32> = stated.collect();
    let missing = std::iter::repeat_n(TEXT, parameters.saturating_sub(all.len()));
    let count = u16::try_from(all.len().max(parameters)).unwrap_or(u16::MAX);
    let oids = all.iter().copied().chain(missing).flat_map(u32::to_be_bytes);
    count.to_be_bytes().into_iter().chain(oids).collect()
}

pub(super) fn unreadable(error: WireError) -> Refusal {
    Refusal::new(Stage::Wire, SqlState::PROTOCOL_VIOLATION, error.to_string())
}

/// What is told of a statement that could not be logged.
pub(super) fn unlogged(error: AuditError) -> Logged {
    error.told("a statement was refused because it could not be logged");
    Logged::unwritten(&error)
}
