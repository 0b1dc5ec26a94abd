//! Asks for the structure as the session's own transaction sees it, and runs a message of several statements one by one.

use std::collections::VecDeque;

use super::simple::characters_before;
use crate::audit::Logged;
use crate::session::flow::structure::{Asked, Asking};
use crate::session::state::Session;
use crate::sql;
use crate::upstream::{Control, SETTINGS_CLOSED, Structural};
use crate::wire::frontend::{Tag, Target};

/// A Bind without parameters, all results as text: three counts of zero.
const NO_VALUES: [u8; 6] = [0; 6];

impl Session {
    /// Whether the message must wait for the structure; asks for it then.
    pub(super) fn awaits_structure(&mut self, tag: Tag) -> bool {
        let decides = matches!(tag, Tag::Query | Tag::Parse | Tag::Bind);
        decides && self.governed() && self.ask_for_structure()
    }

    /// Asks for the structure where it is due, or sets again what a pooler did not take at start-up and RESET ALL took away, once all that was
    /// forwarded is answered; whether that has to be waited for.
    fn ask_for_structure(&mut self) -> bool {
        let unset = self.structure.is_unset() && self.upstream.keeps_settings();
        if !unset && !self.structure.is_due(&self.catalog) {
            return false;
        }
        let sync = match self.flow.asking(self.structure.is_recovered()) {
            Asking::Never => return false,
            Asking::Later { flush } => {
                if flush {
                    self.upstream.control(Control::Flush);
                }
                return true;
            }
            Asking::Now { sync } => sync,
        };
        if unset {
            let again = self.flow.was_reset();
            self.structure.sets(if again { SETTINGS_CLOSED } else { 0 });
            if !again {
                return self.ask_for_structure();
            }
            self.upstream.control(Control::Settings);
        } else {
            let Some((asked, prepared, has)) = self.structure.ask(&self.catalog) else { return false };
            let about = match &asked {
                Asked::Changed(since) => Structural::Changed(*since),
                Asked::Part(question) => Structural::Part(question),
            };
            self.upstream.control(Control::ReadStructure { about, path: prepared.path, prepared: has });
        }
        self.upstream.control(if sync { Control::Sync } else { Control::Flush });
        self.flow.asked(sync);
        true
    }

    /// Whether the statements of a message must be decided one by one: each may see what the one before made.
    pub(in crate::session) fn steps_through(&self, statements: &[&str]) -> bool {
        if self.governed() && self.flow.names.any_keyed() && statements.iter().any(|text| sql::may_fetch(text)) {
            // Rows of a cursor that was opened earlier are asked about between two messages.
            return true;
        }
        if self.upstream.keeps_settings() && statements.iter().rev().skip(1).any(|text| sql::may_reset(text)) {
            return self.governed();
        }
        self.governed()
            && statements.len() > 1
            && (self.structure.is_own() || statements.iter().rev().skip(1).any(|text| sql::may_define(text)))
    }

    /// Begins such a message.
    pub(in crate::session) fn begin_steps(&mut self, message: &str, statements: &[&str]) {
        let placed = |text: &&str| ((*text).to_owned(), characters_before(message, text));
        self.structure.begin_batch(statements.iter().map(placed).collect::<VecDeque<_>>());
        self.flow.step(true);
        // What came before is answered first.
        self.flow.hold();
    }

    /// Goes on with a message of several statements, all of whose forwarded ones are answered. They run as messages of the extended
    /// protocol up to one Sync, which share PostgreSQL's implicit transaction as the statements of one simple query do.
    pub(super) async fn next_step(&mut self) {
        if !self.flow.is_discarding() && self.ask_for_structure() {
            return;
        }
        let next = if self.flow.is_discarding() { None } else { self.structure.next_of_batch() };
        let Some(text) = next else {
            self.structure.end_batch();
            self.flow.step(false);
            self.upstream.control(Control::Sync);
            self.flow.synced();
            return;
        };
        if let Err(refusal) = self.step_of_batch(&text).await {
            self.refuse(refusal.behind(self.structure.before_step()), false);
        }
        if self.flow.is_open() {
            self.upstream.control(Control::Flush);
        }
        self.flow.hold();
    }

    async fn step_of_batch(&mut self, text: &str) -> Result<(), Logged> {
        let judged = self.judge(text, &[]).await?;
        self.forward_parse("", judged, vec![0, 0], true).await?;
        let (found, _) = self.bindable("").await?;
        self.bind("", "", found, NO_VALUES.len(), Some(&NO_VALUES)).await?;
        if let Some(prepared) = self.flow.names.statement("").cloned() {
            self.forward_describe(Target::Portal, "", &prepared, false);
        }
        self.execute("", 0).await;
        Ok(())
    }
}
