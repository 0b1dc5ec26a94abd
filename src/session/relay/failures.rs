//! Errors and notices of the database's: what of them may be told, in whose words, and once which masks a condition compares.

use super::clean::{self, clean};
use crate::catalog::RelationName;
use crate::session::flow::running::Running;
use crate::session::flow::{Answer, Reply};
use crate::session::state::{End, Session};
use crate::sql;
use crate::wire::ErrorFields;

/// Columns of which a session is told that they are compared by their masks.
const TOLD: usize = 100;

impl Session {
    /// The refusal that an error of the database's stands for.
    fn refusal_for(&mut self, sqlstate: &str, fields: &ErrorFields) -> Option<crate::error::Refusal> {
        // The row that may not be there is told in the words of one that is refused here: both are guesses.
        let told = sql::refusal_for(sqlstate, fields.get(b'M').unwrap_or_default());
        let text = |code| fields.get(code).and_then(|text| std::str::from_utf8(text).ok());
        let (file, names) = (fields.get(b'F'), [b's', b't', b'n'].map(text));
        let stands = |run: &mut crate::session::flow::pending::Run| {
            run.running.as_ref().is_some_and(|running| running.rows().enforced.refuses_new_row(sqlstate, file, names))
        };
        // A row about somebody who is not there is told as one about somebody who may not be written about.
        let stands = self.flow.running().is_some_and(stands);
        self.count_guess(if stands || told.is_some() && sqlstate == "42704" { "23503" } else { sqlstate });
        if stands { Some(sql::new_row_refusal()) } else { told }
    }

    /// Tells once a session that a condition compares with a mask, and that a DELETE leaves what is past its retention.
    pub(super) fn tell_masks(&mut self) {
        if !self.governed() {
            return;
        }
        let tells = self.shared.mask_notices;
        let telling = |running: &Running| {
            let enforced = &running.rows().enforced;
            !enforced.kept_back().is_empty() || tells && !enforced.compared().is_empty()
        };
        let running = self.flow.running().and_then(|run| run.running.as_ref());
        let Some(running) = running.filter(|running| telling(running)).cloned() else { return };
        for table in running.rows().enforced.kept_back() {
            let told = self.outbound.told.get_or_insert_default();
            if told.len() < TOLD && told.insert(format!("rows of {table}")) {
                let message =
                    format!("rows of `{table}` that are past their retention stay: the purpose does not see them");
                let mut fields = ErrorFields::new("WARNING", "01000", &message);
                fields.add(b'H', b"a purpose with `destruction = true` deletes those");
                fields.encode(b'N', &mut self.client.out);
            }
        }
        if !self.shared.mask_notices {
            return;
        }
        for compared in running.rows().enforced.compared() {
            let told = self.outbound.told.get_or_insert_default();
            if told.len() < TOLD && told.insert(compared.column.clone()) {
                let mut fields = ErrorFields::new("NOTICE", "00000", &compared.message());
                fields.add(b'H', compared.hint().as_bytes());
                fields.encode(b'N', &mut self.client.out);
            }
        }
    }

    /// Whether an error names a partition or child: in which of them a row is tells of the row.
    fn names_part(&self, fields: &ErrorFields) -> bool {
        let text = |code| fields.get(code).and_then(|text| std::str::from_utf8(text).ok());
        let (Some(schema), Some(table)) = (text(b's'), text(b't')) else { return false };
        let name = RelationName::new(schema, table);
        self.catalog.current().relation(&name).is_some_and(|relation| !relation.parents.is_empty())
    }

    /// Leaves of an error or notice what may be told, with its place in the client's own text.
    fn tell(&mut self, fields: &mut ErrorFields) {
        let said = self.flow.said();
        let hides = !self.shared.policies.load().hides_nothing();
        let words = if fields.sqlstate().is_some_and(|state| state.starts_with("23")) {
            said.of_constraints
        } else {
            said.words
        };
        let part = hides && self.names_part(fields);
        clean(fields, !hides || (words == sql::Words::All && !clean::is_of_code(fields)), part);
        let place = fields.get(b'P').and_then(|place| std::str::from_utf8(place).ok()?.parse().ok());
        let place = place.and_then(|place: usize| {
            let (written, decision) = said.written.as_ref()?;
            let place = place.checked_sub(written.before.1)?;
            let place = sql::place_in(&written.asked, decision.enforced.text(), place)?;
            place.checked_add(written.before.0)?.checked_add(self.structure.before_step())
        });
        match place {
            Some(place) => fields.set(b'P', place.to_string().as_bytes()),
            None => fields.retain(|code| code != b'P'),
        }
        if let Some((written, _)) = &said.written {
            clean::as_written(fields, &written.asked);
        }
    }

    pub(super) fn failure_or_notice(&mut self, tag: u8, mut fields: ErrorFields) -> Result<(), End> {
        let mut sqlstate = fields.sqlstate().unwrap_or("XX000").to_owned();
        if self.governed() {
            match self.refusal_for(&sqlstate, &fields) {
                Some(refusal) => {
                    refusal.sqlstate.as_str().clone_into(&mut sqlstate);
                    fields = Self::in_place_of(&refusal);
                }
                None => self.tell(&mut fields),
            }
        }
        if tag == b'N' {
            fields.encode(tag, &mut self.client.out);
            return Ok(());
        }
        self.abandon_late();
        let fatal = fields.is_fatal();
        match self.take(Answer::Failed { sqlstate: &sqlstate, fatal })? {
            Reply::Refusal(refusal) => self.say(&refusal),
            Reply::Pass | Reply::Hide => fields.encode(b'E', &mut self.client.out),
        }
        if fatal { Err(End::Told(sqlstate)) } else { Ok(()) }
    }
}
