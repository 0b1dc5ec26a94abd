//! What is told beside an answer: that a condition compares with a mask, and not with what is stored; and by an answer that is none,
//! a constraint's refusal of a value that was guessed.

use crate::policy::{Action, Mask, RelationObligation, RowFilter, Seen, Use, Verb};
use crate::sql::form::context::Context;
use crate::sql::resolve::Occurrence;

/// A column that a condition compares by its mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// `schema.table.column`.
    pub column: String,
    /// The mask.
    pub mask: String,
    /// Equal values have equal masks, so that it is looked for by equality.
    pub token: bool,
}

impl Compared {
    /// The message.
    pub fn message(&self) -> String {
        format!("column `{}` is compared by what is seen of it, through the mask `{}`", self.column, self.mask)
    }

    /// What would help.
    pub fn hint(&self) -> String {
        let why = if self.token { "; an equality over a mask reads the whole table" } else { "" };
        format!("a rule's `lookup` lets a purpose test values of the column itself by `=`{why}")
    }
}

/// Whether a write that a constraint refuses tells of what the purpose does not see: of rows that are left out, or of a column that it
/// may set and does not see as it is.
pub(super) fn guesses(occurrences: &[Occurrence], obligations: &[RelationObligation], context: &Context<'_>) -> bool {
    occurrences.iter().zip(obligations).any(|(occurrence, obligation)| {
        let RelationObligation::Governed { relation, columns, .. } = obligation else { return false };
        if !matches!(occurrence.verb, Verb::Insert | Verb::Update) {
            return false;
        }
        let ancestors = context.catalog.ancestors(occurrence.relation.oid);
        let above =
            ancestors.into_iter().filter_map(|oid| context.catalog.relation_by_oid(oid)).map(|above| &above.name);
        let names: Vec<_> = std::iter::once(relation).chain(above).collect();
        let unseen = |column: &String| {
            context.policies.seen(context.login, context.purpose, names.iter().copied(), column) != Seen::Plain
        };
        let written = columns.iter().filter(|(_, column)| matches!(column.action, Action::Write)).map(|(name, _)| name);
        obligation.leaves_rows_out() || obligation.holds_added() || written.into_iter().any(unseen)
    })
}

/// Relations of which rows are deleted that the purpose sees no longer than they are kept: what is past that stays, and would seem gone.
pub(super) fn kept_back(occurrences: &[Occurrence], obligations: &[RelationObligation]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (occurrence, obligation) in occurrences.iter().zip(obligations) {
        let RelationObligation::Governed { relation, rows, .. } = obligation else { continue };
        let kept = rows.iter().any(|filter| matches!(filter, RowFilter::Kept(_)));
        if occurrence.verb == Verb::Delete && kept && !all.contains(&relation.to_string()) {
            all.push(relation.to_string());
        }
    }
    all
}

/// Each such column of a statement.
pub(super) fn compared(occurrences: &[Occurrence], obligations: &[RelationObligation]) -> Vec<Compared> {
    let mut all: Vec<Compared> = Vec::new();
    for (occurrence, obligation) in occurrences.iter().zip(obligations) {
        let RelationObligation::Governed { relation, columns, .. } = obligation else { continue };
        for (name, column) in columns {
            let Action::Mask { mask, lookup: false } = &column.action else { continue };
            if !occurrence
                .uses
                .get(name)
                .is_some_and(|uses| uses.iter().any(|used| matches!(used, Use::Filter | Use::Lookup)))
            {
                continue;
            }
            let one =
                Compared { column: format!("{relation}.{name}"), mask: mask.to_string(), token: *mask == Mask::Token };
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all
}
