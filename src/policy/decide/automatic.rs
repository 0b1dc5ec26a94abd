//! What the database does by itself, held to the same rules as what the statement says.

use super::govern::{Whom, listed};
use super::{Reason, RelationObligation, Session};
use crate::catalog::RelationName;
use crate::policy::model::{
    AccessRequest, Automatic, Consequence, Governance, PolicySet, Raw, RelationAccess, Verb, column_name,
};

impl Session<'_> {
    /// The reasons against one write that the database makes by itself.
    pub(super) fn consequence(
        &self,
        request: &AccessRequest,
        consequence: &Consequence,
        reasons: &mut Vec<Reason>,
    ) -> Option<RelationObligation> {
        let relation = &consequence.access.relation;
        let before = reasons.len();
        let obligation = self.relation(request, &consequence.access, reasons);
        let told = |reason: &mut Reason| {
            let detail = reason.detail.take().map(|detail| format!("; {detail}")).unwrap_or_default();
            reason.detail = Some(format!("the database does that by itself, by {}{detail}", consequence.by));
            reason.hint = Some("a rule must open what the statement brings about, not only what it says".to_owned());
        };
        if self.policies.keeps_wishes(relation) {
            reasons.push(Reason::about(
                relation,
                self.whom.not_open(&format!("what changes `{relation}`, where data subjects' wishes are kept,")),
            ));
        } else if obligation.as_ref().is_some_and(RelationObligation::leaves_rows_out) {
            reasons.push(Reason::about(
                relation,
                self.whom.not_open(&format!("what reaches every row of `{relation}` that refers to another")),
            ));
        }
        reasons.iter_mut().skip(before).for_each(told);
        obligation
    }
}

/// The reasons against what stands beside a governed relation.
pub(super) fn against(
    session: &Session<'_>,
    access: &RelationAccess,
    obligation: &RelationObligation,
    plain: impl Fn(&str, bool) -> bool,
    reasons: &mut Vec<Reason>,
) {
    let relation = &access.relation;
    let Automatic { raw, all_rows, .. } = &access.automatic;
    // One reason for a system column, however many columns are masked.
    let (of_row, of_column): (Vec<&Raw>, Vec<&Raw>) = raw.iter().partition(|raw| Some(&raw.by) == all_rows.as_ref());
    let part = of_row.iter().any(|raw| !plain(&raw.column, raw.tested));
    for Raw { column, by, tested } in of_column {
        if !plain(column, *tested) {
            let written = column_name(relation, column);
            reasons.push(
                Reason::about(relation, session.whom.not_open(&format!("column `{written}`, as it is,")))
                    .column(column)
                    .detail(format!("{by} looks at it below any mask, and its answer tells of the value"))
                    .hint(if access.verb == Verb::Select {
                        "leave that out, or open the column unmasked"
                    } else {
                        "leave out the columns that it ties together, or open this one unmasked or for lookups"
                    }),
            );
        }
    }
    if let Some(by) = all_rows {
        let grouped = matches!(obligation, RelationObligation::Governed { min_group: Some(_), .. });
        if part || obligation.leaves_rows_out() || grouped {
            reasons.push(
                Reason::about(relation, session.whom.not_open(&format!("{by} of `{relation}`")))
                    .detail("the purpose sees a part of its columns or rows only, and it tells of the others, and which row is which")
                    .hint("name rows by their key"),
            );
        }
    }
}

/// The reasons against code that runs beside a write, whatever relation it is.
pub(super) fn unknown(policies: &PolicySet, whom: &Whom<'_>, access: &RelationAccess) -> Vec<Reason> {
    let relation = &access.relation;
    access
        .automatic
        .unknown
        .iter()
        .filter(|code| {
            // Rules of a relation that holds no personal information are judged by what they reach.
            let open = listed(policies, access).is_none();
            match &code.function {
                Some((schema, name)) => !policies.allows_function(schema, name),
                None => !open,
            }
        })
        .map(|code| {
            let statement = if access.verb == Verb::Select { "a query" } else { "a write" };
            let message = whom.not_open(&format!("{statement} that runs {} of `{relation}`", code.what));
            let reason = Reason::about(relation, message).detail("what that reads and writes is not known");
            match &code.function {
                Some((schema, name)) => {
                    reason.hint(format!("a policy may open it: `[functions] allow = [\"{schema}.{name}\"]`"))
                }
                None => reason.hint("a trigger can be named by the policy, a rule cannot"),
            }
        })
        .collect()
}

/// Why a relation that no policy names is closed all the same, where unlisted ones are open.
pub(super) fn elsewhere(policies: &PolicySet, access: &RelationAccess, whom: &Whom<'_>) -> Option<Reason> {
    let name = &access.relation;
    let reason = || Reason::about(name, whom.not_open(&format!("relation `{name}`")));
    let hint = format!("list it under `[tables.\"{name}\"]`");
    if access.automatic.elsewhere {
        return Some(reason().detail("its rows come from elsewhere, and nobody says what they are").hint(hint));
    }
    let governed = |relation: &&RelationName| {
        policies.governance(relation) == Governance::Governed || policies.keeps_wishes(relation)
    };
    let read = access.automatic.policies_read.iter().find(governed)?;
    Some(reason().detail(format!("its row policies read `{read}`, which a policy governs")).hint(hint))
}

/// A listed relation below one that is read, whose own listing is stricter: the whole is refused rather than shown by the
/// milder one.
pub(super) fn below(
    session: &Session<'_>,
    request: &AccessRequest,
    access: &RelationAccess,
    own: Option<&RelationObligation>,
    reasons: &mut Vec<Reason>,
) {
    for child in &access.automatic.below {
        let child_access = RelationAccess {
            relation: child.clone(),
            ancestors: vec![access.relation.clone()],
            automatic: Automatic::default(),
            ..access.clone()
        };
        let Some((listing, _)) = listed(session.policies, &child_access) else { continue };
        if listing != *child {
            continue;
        }
        let mut against = Vec::new();
        let theirs = session.relation(request, &child_access, &mut against);
        let same = match (own, &theirs) {
            (Some(own), Some(theirs)) => against.is_empty() && own.shows_what(theirs),
            // The parent is refused already.
            (None, _) => true,
            (Some(_), None) => false,
        };
        if !same {
            let relation = &access.relation;
            let mut reason =
                Reason::about(relation, session.whom.not_open(&format!("`{relation}` with its part `{child}`")))
                    .detail(format!("`{child}` has a listing of its own, which shows less or something else"))
                    .hint(format!("read `ONLY {relation}`, or give both the same listing"));
            reason.column = against.iter().find_map(|reason| reason.column.clone());
            reasons.push(reason);
        }
    }
}

impl RelationObligation {
    /// Whether another obligation, of a part of the relation, asks for the same.
    fn shows_what(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Open { .. }, Self::Open { .. }) => true,
            (
                Self::Governed { columns, consent, rows, added, subject, min_group, record, relation: _ },
                Self::Governed {
                    columns: theirs,
                    consent: consent2,
                    rows: rows2,
                    added: added2,
                    subject: subject2,
                    min_group: min_group2,
                    record: record2,
                    relation: _,
                },
            ) => {
                let same = columns.len() == theirs.len()
                    && columns
                        .iter()
                        .all(|(name, column)| theirs.get(name).is_some_and(|other| other.action == column.action));
                // Whose rows they are matters where they are filtered, counted or recorded by it.
                let subjects = subject == subject2
                    || (consent.is_none() && rows.is_empty() && min_group.is_none() && record2.is_none());
                same && consent == consent2
                    && rows == rows2
                    && added == added2
                    && subjects
                    && min_group == min_group2
                    && (record2.is_none() || record.as_ref().map(|r| r.form) == record2.as_ref().map(|r| r.form))
            }
            (Self::Open { .. }, Self::Governed { .. }) | (Self::Governed { .. }, Self::Open { .. }) => false,
        }
    }
}
