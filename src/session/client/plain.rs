//! Bind and Execute of what most clients send: a statement that runs itself, was decided under what is in force now, and of which
//! nothing has to be asked, counted or read of the values. Nothing is waited for here but the access log, so that neither the time of
//! a statement nor the memory of an idle session pays for all that may have to be done with others.

use std::sync::Arc;

use super::extended::unlogged;
use crate::audit::{Audited, Logged};
use crate::session::flow::names::Prepared;
use crate::session::flow::pending::Run;
use crate::session::flow::running::{Judged, Running};
use crate::session::judge::names::cut;
use crate::session::state::Session;
use crate::sql::{Effect, Enforced};
use crate::upstream::{Control, Decided};
use crate::wire::frontend::Target;

/// Whether a run of it is decided, logged and forwarded, and that is all.
fn is_plain(enforced: &Enforced) -> bool {
    let lookups = enforced.lookups();
    *enforced.effect() == Effect::None
        && !(enforced.counts_met() || enforced.shows_plan())
        && !(enforced.rests_on_consent() || enforced.waits())
        && enforced.recheck().is_empty()
        && enforced.tested().is_empty()
        && lookups.count == 0
        && !lookups.guesses
        && !enforced.report().shows_groups()
}

impl Session {
    /// Whether it was decided under what is in force now, where that can be told at once.
    fn is_plainly_current(&mut self, prepared: &Prepared) -> bool {
        (self.role.unrestricted.is_some() || self.catalog.is_settled())
            && prepared.stated.is_none()
            && self.scope_for(None).is_ok_and(|scope| prepared.scope().same(&scope))
    }

    /// Forwards the beginning of a Bind, `rest` bytes of values behind it; false where it is none of these, and nothing was done.
    pub(super) fn bind_plainly(&mut self, portal: &str, statement: &str, rest: usize) -> bool {
        // A longer name is cut, or refused.
        if cut(portal) != Ok(portal) || cut(statement) != Ok(statement) {
            return false;
        }
        let Some(prepared) = self.flow.names.statement(statement) else { return false };
        let plain = prepared.decision().is_some_and(|decision| is_plain(&decision.enforced));
        if !plain || self.flow.hidden_of(prepared) > 0 {
            return false;
        }
        let prepared = Arc::clone(prepared);
        if !self.is_plainly_current(&prepared) {
            return false;
        }
        self.upstream.control(Control::Bind { portal, statement, rest });
        self.flow.bound(portal, prepared, None, None);
        true
    }

    /// What an Execute of this portal runs; `None` where it is none of these.
    pub(super) fn plain_run(&mut self, portal: &str) -> Option<Arc<Prepared>> {
        if cut(portal) != Ok(portal) {
            return None;
        }
        let opened = self.flow.names.portal(portal).filter(|opened| opened.lookups.is_none())?;
        let prepared = Arc::clone(&opened.prepared);
        let plain = is_plain(&prepared.decision()?.enforced) && self.is_plainly_current(&prepared);
        plain.then_some(prepared)
    }

    /// Logs and forwards an Execute of what [`Self::plain_run`] gave.
    pub(super) async fn execute_plainly(
        &mut self,
        portal: &str,
        rows: i32,
        prepared: Arc<Prepared>,
    ) -> Result<(), Logged> {
        let Some(decision) = prepared.decision() else { return Ok(()) };
        let running = Running::itself(decision);
        if self.flow.needs_description(&prepared) {
            // Rows come only behind a row description that was checked.
            self.forward_describe(Target::Portal, portal, &prepared, true);
        }
        let token = match self.flow.take_unspent(&prepared, running.rows()) {
            Some(token) => token,
            None => self.journal.access(&running).await.map_err(unlogged)?,
        };
        let (text, stated) = (Arc::clone(&prepared.text), prepared.stated.clone());
        let judged = Judged { text, decision: decision.clone(), stated };
        self.forward_execute(token, (portal, rows), judged, running, false);
        Ok(())
    }

    /// Forwards an Execute whose record stands in the log. `late`: its rows were opened earlier than this.
    pub(super) fn forward_execute(
        &mut self,
        token: Audited<Decided>,
        (portal, rows): (&str, i32),
        judged: Judged,
        running: Running,
        late: bool,
    ) {
        self.count(&running);
        let undo = self.expect_effect(&judged);
        self.flow.names.begin(portal);
        let run = Run::begun(token.seq(), running, undo).written(judged.text, (0, 0)).described().late(late);
        if late {
            self.execute_late(token, portal, rows, &run);
        } else {
            self.upstream.execute(token, portal, rows);
        }
        self.flow.executing(run);
    }
}
