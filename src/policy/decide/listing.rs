//! One relation of a statement, held against the listing that governs it.

use std::collections::BTreeMap;

use super::Session;
use super::column::{Sight, Standing, standing};
use super::permit::{Action, ColumnObligation, Reason};
use crate::catalog::RelationName;
use crate::policy::model::{ColumnAccess, RelationAccess, Table, Use, Verb, column_name};

/// One occurrence and the listing that governs it.
pub(super) struct Listing<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) access: &'a RelationAccess,
    pub(super) name: &'a RelationName,
    pub(super) table: &'a Table,
}

impl Listing<'_> {
    pub(super) fn standing(&self, column: &str, class: Option<crate::catalog::TypeClass>) -> Standing {
        let session = self.session;
        standing(session.policies, session.whom.role, &session.lineage, self.name, self.table, column, class)
    }

    /// What must be done to one column.
    pub(super) fn column(&self, column: &ColumnAccess, reasons: &mut Vec<Reason>) -> Option<ColumnObligation> {
        let whom = &self.session.whom;
        let relation = &self.access.relation;
        let written = || column_name(relation, &column.name);
        let standing = self.standing(&column.name, Some(column.class));
        let before = reasons.len();
        let keep = match &standing.sight {
            Sight::Masked { mask, .. } if column.uses.contains(&Use::Write) => Some(mask.clone()),
            Sight::Masked { .. } | Sight::Plain { .. } | Sight::Hidden(_) => None,
        };
        if column.uses.contains(&Use::Write) && standing.write.is_none() {
            let (detail, rule) = match &standing.sight {
                Sight::Hidden(hidden) if hidden.is_stated() => {
                    let reason = hidden.reason(whom, relation, self.name, &column.name);
                    (reason.detail.unwrap_or_default(), reason.rule)
                }
                Sight::Hidden(_) | Sight::Masked { .. } | Sight::Plain { .. } => {
                    ("no rule opens it for writing".to_owned(), None)
                }
            };
            let message =
                format!("column `{}` may not be set by role `{}` for purpose `{}`", written(), whom.role, whom.purpose);
            let mut reason = Reason::about(relation, message).column(&column.name).detail(detail);
            reason.rule = rule;
            reasons.push(
                reason.hint("leave the column out, or name it under `write` in a rule for this role and purpose"),
            );
        }
        // What RETURNING * shows of a column that is set is held to what SELECT * shows.
        let star_only =
            column.uses.contains(&Use::Star) && column.uses.iter().all(|used| matches!(used, Use::Star | Use::Write));
        let write_only = column.uses.len() == 1 && column.uses.contains(&Use::Write);
        if write_only {
            let rule = standing.write.filter(|_| reasons.len() == before)?;
            return Some(ColumnObligation { action: Action::Write, rule: Some(rule), keep });
        }
        // Below the target of a write no derived table can stand, so no mask either.
        let returned = column.uses.contains(&Use::Returned)
            && column.uses.iter().all(|used| matches!(used, Use::Returned | Use::Star | Use::Write));
        let direct =
            (self.access.verb != Verb::Select && !star_only && !returned) || column.uses.contains(&Use::Target);
        let obligation = match standing.sight {
            Sight::Hidden(hidden) if star_only && !direct && !self.table.star_refused => {
                Some(ColumnObligation { action: Action::Omit, rule: hidden.rule, keep })
            }
            Sight::Hidden(hidden) => {
                let reason = hidden.reason(whom, relation, self.name, &column.name);
                reasons.push(if star_only {
                    reason.hint(format!("name the columns instead of `*` over `{relation}`"))
                } else {
                    reason
                });
                None
            }
            Sight::Masked { mask, rule, .. } if direct => {
                let message = format!(
                    "column `{}` is masked for role `{}` and purpose `{}`, and a write reads its target unmasked",
                    written(),
                    whom.role,
                    whom.purpose
                );
                let mut reason = Reason::about(relation, message)
                    .column(&column.name)
                    .detail(format!("rule `{rule}` masks it as `{mask}`"));
                reason.rule = Some(rule);
                reasons.push(reason.hint("leave the column out of the condition, of the values and of RETURNING"));
                None
            }
            Sight::Masked { mask, rule, lookup } => Some(ColumnObligation {
                // Where groups must be large, testing one person's value has no place.
                action: Action::Mask {
                    mask,
                    lookup: lookup && column.uses.contains(&Use::Lookup) && self.session.min_group.is_none(),
                },
                rule: Some(rule),
                keep,
            }),
            Sight::Plain { rule } => Some(ColumnObligation { action: Action::Read, rule: Some(rule), keep }),
        };
        obligation.filter(|_| reasons.len() == before)
    }

    /// What does not depend on one named column.
    pub(super) fn whole(&self, columns: &BTreeMap<String, ColumnObligation>, reasons: &mut Vec<Reason>) {
        let whom = &self.session.whom;
        let relation = &self.access.relation;
        let any =
            |test: fn(&Standing) -> bool| self.table.columns.keys().any(|column| test(&self.standing(column, None)));
        let seen = |standing: &Standing| !matches!(standing.sight, Sight::Hidden(_));
        let set = |standing: &Standing| standing.write.is_some();
        // Rows are counted and joined without naming a column: that too needs something to be open.
        let nothing_seen = !any(seen);
        let only_omitted =
            self.access.star && !columns.is_empty() && columns.values().all(|column| column.action == Action::Omit);
        if self.access.verb == Verb::Select && (nothing_seen || only_omitted) {
            reasons.push(
                Reason::about(relation, whom.not_open(&format!("table `{relation}`")))
                    .detail("no rule opens any column of it")
                    .hint("open a category of it in a rule for this role and purpose"),
            );
        }
        let (refused, needed) = match (self.access.verb, self.access.whole_row_write) {
            (Verb::Delete, _) => (!self.deletable(), "no rule names it under `delete`"),
            (Verb::Insert | Verb::Update, _) => (!any(set), "no rule opens any column of it for writing"),
            // FOR UPDATE and FOR SHARE: PostgreSQL too asks for the right to change some column.
            (Verb::Select, true) => (
                !any(set) && !self.deletable(),
                "rows are locked only by who may change them, and no rule opens a column of it for writing",
            ),
            (Verb::Select, false) | (Verb::Define, _) => (false, ""),
        };
        if refused {
            let message = format!(
                "rows of `{relation}` may not be {} by role `{}` for purpose `{}`",
                match self.access.verb {
                    Verb::Select => "locked",
                    Verb::Insert => "added",
                    Verb::Update | Verb::Define => "changed",
                    Verb::Delete => "deleted",
                },
                whom.role,
                whom.purpose
            );
            reasons.push(Reason::about(relation, message).detail(needed));
        }
    }

    /// Whether rules for the purpose and each ancestor let rows be deleted.
    pub(super) fn deletable(&self) -> bool {
        self.session.lineage.iter().all(|purpose| {
            let mut rules = self.session.policies.rules_deleting(self.name);
            rules.any(|rule| rule.applies(self.session.whom.role, &purpose.name))
        })
    }
}
