//! Rows that rest on consent, and are read later than they were opened: cursors, and portals that are read in parts.
//!
//! Such rows have the snapshot of their opening. They come from the database in parts, each of which is held until whoever agreed was
//! asked for again (`relay/late.rs`); a portal that the client has not begun to read is opened anew instead.

use std::sync::Arc;

use crate::audit::{Audited, Logged};
use crate::error::{Refusal, Stage};
use crate::session::flow::names::Portal;
use crate::session::flow::pending::Run;
use crate::session::flow::running::{Judged, Running};
use crate::session::judge::names::{cut, no_portal};
use crate::session::relay::late::{Late, Reading};
use crate::session::state::Session;
use crate::sql::{self, Effect, Way};
use crate::upstream::{Control, Decided, OWN_STATEMENT};
use crate::wire::frontend::Target;
use crate::wire::trim;

impl Session {
    /// Whether a portal has to be opened again before it is read: its snapshot is older than this exchange, or it will be read in
    /// parts, of which the later ones need the keys of whoever agreed.
    pub(super) fn opens_again(&self, opened: &Portal, rows: i32) -> bool {
        let Some(decision) = opened.prepared.decision() else { return false };
        decision.enforced.rests_on_consent()
            && *decision.enforced.effect() == Effect::None
            && !opened.begun
            && ((rows > 0 && !opened.is_keyed()) || opened.exchange != self.flow.exchange())
    }

    /// Opens it again under its name, with the values of its Bind; the client does not see it.
    pub(super) async fn open_again(&mut self, name: &str, rows: i32) -> Result<(), Logged> {
        let Some(opened) = self.flow.names.portal(name).cloned() else {
            return Err(self.log_refusal_of(no_portal(name), "execute").await);
        };
        let keyed = if rows > 0 && opened.values.is_some() { self.judge_keyed(&opened.prepared).await } else { None };
        let judged = match (keyed, opened.prepared.decision()) {
            (Some(judged), _) => judged,
            // What has no keys is read in the exchange that opened it.
            (None, _) if opened.exchange == self.flow.exchange() => return Ok(()),
            (None, Some(decision)) => Judged {
                text: Arc::clone(&opened.prepared.text),
                decision: decision.clone(),
                stated: opened.prepared.stated.clone(),
            },
            (None, None) => return Ok(()),
        };
        let (Some(values), Some(types)) = (opened.values.clone(), opened.prepared.types.clone()) else {
            return Err(self.log_refusal(sql::portal_refusal(name), &opened.prepared.text).await);
        };
        let statement = own_statement(name);
        for (target, closed) in [(Target::Portal, name), (Target::Statement, statement.as_str())] {
            self.upstream.control(Control::Close(target, closed));
            self.flow.closing(target, closed, true);
        }
        let text = Arc::clone(&judged.text);
        self.forward_parse(&statement, judged, types, true).await?;
        let Some(prepared) = self.flow.names.statement(&statement).cloned() else {
            return Err(self.log_refusal(Refusal::internal(Stage::Session), &text).await);
        };
        let more = self.flow.hidden_of(&prepared);
        let body = match trim::bind(&values, more) {
            Ok(body) => body,
            Err(error) => return Err(self.log_refusal(super::extended::unreadable(error), &text).await),
        };
        self.upstream.control(Control::Bind { portal: name, statement: &statement, rest: body.len() });
        self.upstream.body(&body);
        self.flow.bound_again(name, prepared, opened);
        Ok(())
    }

    /// Whether whoever agreed to the rows of a run has to be asked for again.
    pub(super) fn reads_late(&self, name: &str, running: &Running) -> Result<bool, Refusal> {
        let Some(opened) = self.flow.names.portal(name) else { return Err(no_portal(name)) };
        // A portal of DECLARE itself brings no rows; the cursor, which may be read by Execute too, has no types.
        let declares = opened.prepared.types.is_some() && running.statement().enforced.effect().reads_later();
        let waits = running.rows().enforced.waits();
        match running.statement().enforced.effect() {
            Effect::Fetch { moves: true, .. } => Ok(false),
            _ if declares => Ok(false),
            _ if waits => self.is_late(opened, name, running.rows()).map(|_| true),
            Effect::Fetch { name: cursor, .. } => {
                let from = self.flow.names.portal(cursor).is_some_and(|from| from.exchange != self.flow.exchange());
                // What FETCH brought before, and was not read to its end, is no newer.
                let whole = self.is_late(opened, name, running.rows())?;
                Ok(whole || (from && running.rows().enforced.rests_on_consent()))
            }
            _ => self.is_late(opened, name, running.rows()),
        }
    }

    /// Forwards the first part of such a run; the client is not read before its end.
    pub(super) fn execute_late(&mut self, token: Audited<Decided>, portal: &str, rows: i32, run: &Run) {
        let Some(running) = &run.running else { return };
        let (more, formats) = match running.statement().enforced.effect() {
            Effect::Fetch { name, way, .. } => {
                let values = self.flow.names.portal(portal).and_then(|opened| opened.values.clone());
                let formats = values.and_then(|values| trim::formats(&values, running.hidden()).ok());
                (Some((name.clone(), *way)), formats.unwrap_or_default())
            }
            _ => (None, Vec::new()),
        };
        let wanted = u64::try_from(rows).ok().filter(|rows| *rows > 0);
        let reading = match more {
            // A limit of Execute's own stops it earlier than the count of FETCH.
            Some((cursor, way)) if wanted.is_none() && way != Way::Place => Reading::Cursor { cursor, way, formats },
            Some(_) => Reading::Fetched,
            None => Reading::Portal,
        };
        let begun = self.upstream.execute(token, portal, Late::first_part(wanted));
        let late = Late::new(begun, portal, running.rows().clone(), wanted, reading);
        self.begin_late(late);
        self.flow.hold();
    }
}

/// What the statement of a portal is called that was opened again.
fn own_statement(portal: &str) -> String {
    let name = format!("{OWN_STATEMENT}{portal}");
    cut(&name).map_or_else(|_| OWN_STATEMENT.to_owned(), str::to_owned)
}
