//! What the database answers once somebody has changed its structure beside the proxy: the structure is read again, and what runs is
//! decided again by it. The session goes on where that decision lets the same text run.

use super::guard::Stranger;
use crate::catalog::{Oid, Relation, RelationName};
use crate::policy::Governance;
use crate::session::flow::Again;
use crate::session::judge::enforcer::Judgement;
use crate::session::state::{End, Session};
use crate::sql::Words;
use crate::wire::{ErrorFields, backend};

/// What PostgreSQL says where a text was made for a structure that is no more: no such relation, column or function, or another kind
/// of it (PostgreSQL's documentation, Appendix A).
const OUTDATED: [&str; 4] = ["42P01", "42703", "42883", "42809"];

impl Session {
    /// Holds a row description that does not fit its decision against one that is made by the structure as it is now; `seen` is what of
    /// it the client is to see, and `stranger` what does not fit.
    ///
    /// # Errors
    /// It does not fit that either, or another text would run: the session ends, and the log holds an incident.
    pub(super) async fn described_beside(
        &mut self,
        body: &[u8],
        seen: &[u8],
        stranger: Stranger,
        seq: Option<u64>,
    ) -> Result<(), End> {
        if let Some(again) = self.flow.again()
            && let Some(now) = self.decided_now(&again).await
            && runs_alike(&again.rows, &now)
        {
            if let Some(moved) = closed_under_another_name(&again.rows, &now, body)? {
                return Err(self.strange_column(seq, moved));
            }
            self.flow.redecided(&now);
            if self.stranger(Some(&now), seen)?.is_none() {
                return Ok(());
            }
        }
        Err(self.strange_column(seq, stranger))
    }

    /// Whether an error may come of a structure that is no more, and the statement can run again: nothing ran, and nobody waits for
    /// anything else.
    pub(super) fn may_be_outdated(&mut self, fields: &ErrorFields) -> bool {
        fields.sqlstate().is_some_and(|state| OUTDATED.contains(&state)) && self.governed() && self.flow.can_run_again()
    }

    /// The client's text, where another would run for it by the structure as it is now.
    pub(super) async fn outdated(&mut self) -> Option<String> {
        let again = self.flow.again()?;
        let now = self.decided_now(&again).await?;
        (now.enforced.text() != again.rows.enforced.text()).then(|| again.text.to_string())
    }

    /// The statement, decided by the structure as it is now; `None` where that is refused, or nobody knows more than before.
    async fn decided_now(&mut self, again: &Again) -> Option<Judgement> {
        // What only this session sees was read over its own connection, which is busy.
        if self.structure.is_own() {
            return None;
        }
        let before = again.rows.scope();
        self.catalog.catch_up().await.ok()?;
        let catalog = self.catalog.current();
        if catalog.epoch() == before.catalog.epoch() {
            return None;
        }
        let types: Vec<Oid> = again.types();
        let scope = self.shared.enforcer.by(before, catalog);
        self.shared.enforcer.decide(&again.text, &types, &scope).await.ok()
    }
}

/// A column of a row description that had another name, or was in a relation of another name, when the statement was decided, and was not
/// open to everybody then: what is closed does not come back under the name of what is open while that name is being looked up.
fn closed_under_another_name(ran: &Judgement, now: &Judgement, body: &[u8]) -> Result<Option<Stranger>, End> {
    let (before, after) = (ran.scope(), now.scope());
    let mut moved = None;
    let read = backend::row_description(body, |table, number| {
        let Some(old) = before.catalog.relation_by_oid(table) else { return };
        let new = after.catalog.relation_by_oid(table);
        let column = |relation: &Relation| {
            relation.columns.iter().find(|column| column.number == number).map(|column| column.name.clone())
        };
        let same = new.is_some_and(|new| new.name == old.name && column(new) == column(old));
        let open = |name: &RelationName| match before.policies.governance(name) {
            Governance::Open | Governance::UnlistedAllow => true,
            Governance::Governed | Governance::UnlistedDeny => false,
        };
        let above = before.catalog.ancestors(table);
        let all = above.iter().filter_map(|oid| before.catalog.relation_by_oid(*oid)).chain([old]);
        if !same && !all.into_iter().all(|relation| open(&relation.name)) {
            moved = Some((table, number));
        }
    });
    read.map_err(|_| End::violation("the database sent a message that cannot be read"))?;
    Ok(moved)
}

/// Whether what ran by one decision is what would run by the other, or shows nothing that is hidden from anybody.
fn runs_alike(ran: &Judgement, now: &Judgement) -> bool {
    let (before, after) = (&ran.enforced, &now.enforced);
    let whole = |judgement: &Judgement| {
        judgement.enforced.words() == Words::All && judgement.enforced.disclosure().hidden.is_empty()
    };
    before.text() == after.text() || (whole(ran) && whole(now))
}
