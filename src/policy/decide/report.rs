//! What was asked and decided, in the words of the access log: the `relations` of an `access` record.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Action, Decision, Reason, RelationObligation};
use crate::policy::model::{RelationAccess, RowFilter, Use, Verb, Verdict};

/// The part of an `access` record that the decision fills in. Holds names only, no literal and no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessReport {
    /// Allow, mask or deny.
    pub verdict: Verdict,
    /// One entry for each relation; occurrences of the same relation are merged.
    pub relations: Vec<RelationReport>,
    /// Why it was refused; `None` unless the verdict is deny.
    pub reason: Option<String>,
}

/// One relation of the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelationReport {
    /// `public.customers`.
    pub name: String,
    /// Which rows were left out: `consent(marketing)`, `retain(5 years after closed_at)`, `adults`, `min_group(10)`; `None`
    /// where none were.
    pub filter: Option<String>,
    /// The columns that the statement touches.
    pub columns: Vec<ColumnReport>,
}

/// One column of a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// The policies' category of it at that time; `None` where they give it none.
    pub category: Option<String>,
    /// Where the statement names it.
    #[serde(rename = "use")]
    pub uses: Vec<Use>,
    /// `read`, `mask`, `omit`, `write`, `deny`.
    pub action: &'static str,
    /// The mask, as the policy writes it.
    pub mask: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
}

impl AccessReport {
    /// For a statement that touches no relation.
    pub fn allow() -> Self {
        Self { verdict: Verdict::Allow, relations: Vec::new(), reason: None }
    }

    /// For a statement that was refused before its relations were known.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Deny, relations: Vec::new(), reason: Some(reason.into()) }
    }

    /// Whether it may run and shows groups of data subjects: what `queries_per_day` counts.
    pub fn shows_groups(&self) -> bool {
        let over_groups = |relation: &RelationReport| relation.filter.as_deref().is_some_and(filters_groups);
        self.verdict != Verdict::Deny && self.relations.iter().any(over_groups)
    }

    /// What was asked and decided.
    pub fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Permit(permit) => {
                Self { verdict: permit.verdict(), relations: merged(permit.reports.iter().cloned()), reason: None }
            }
            Decision::Denial(denial) => Self {
                verdict: Verdict::Deny,
                relations: merged(denial.relations.iter().cloned()),
                reason: Some(denial.summary()),
            },
        }
    }
}

impl RelationReport {
    /// One occurrence. A column without an obligation is denied, and so is every column where there is none at all.
    pub(in crate::policy) fn of(
        access: &RelationAccess,
        obligation: Option<&RelationObligation>,
        reasons: &[Reason],
        category: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut filter = Vec::new();
        if let Some(RelationObligation::Governed { consent, rows, min_group, .. }) = obligation {
            filter.extend(consent.as_ref().map(|consent| format!("consent({})", consent.purposes.join(", "))));
            filter.extend(rows.iter().map(RowFilter::describe));
            filter.extend(min_group.map(|least| format!("{MIN_GROUP}({least})")));
        }
        let columns = access
            .columns
            .iter()
            .map(|column| {
                let (action, mask, rule) = match obligation {
                    Some(RelationObligation::Open { .. }) => {
                        let only_set =
                            column.uses.iter().all(|used| *used == Use::Write) && access.verb != Verb::Select;
                        (if only_set { "write" } else { "read" }, None, None)
                    }
                    Some(RelationObligation::Governed { columns, .. }) if columns.contains_key(&column.name) => {
                        let obligation = columns.get(&column.name);
                        let rule = obligation.and_then(|obligation| obligation.rule.clone());
                        match obligation.map(|obligation| &obligation.action) {
                            Some(Action::Read) => ("read", None, rule),
                            Some(Action::Mask { mask, .. }) => ("mask", Some(mask.to_string()), rule),
                            Some(Action::Omit) => ("omit", None, rule),
                            Some(Action::Write) => {
                                let keep = obligation.and_then(|obligation| obligation.keep.as_ref());
                                ("write", keep.map(ToString::to_string), rule)
                            }
                            None => ("deny", None, rule),
                        }
                    }
                    Some(RelationObligation::Governed { .. }) | None => {
                        let named = |reason: &&Reason| reason.column.as_deref() == Some(column.name.as_str());
                        ("deny", None, reasons.iter().find(named).and_then(|reason| reason.rule.clone()))
                    }
                };
                ColumnReport {
                    name: column.name.clone(),
                    category: category(&column.name),
                    uses: column.uses.iter().copied().collect(),
                    action,
                    mask,
                    rule,
                }
            })
            .collect();
        let filter = (!filter.is_empty()).then(|| filter.join(", "));
        Self { name: access.relation.to_string(), filter, columns }
    }
}

const MIN_GROUP: &str = "min_group";

/// Whether the `filter` of a relation, as the log holds it, says that groups were seen.
pub fn filters_groups(filter: &str) -> bool {
    filter.split(", ").any(|part| part.strip_prefix(MIN_GROUP).is_some_and(|rest| rest.starts_with('(')))
}

/// One entry for each relation and column, in the order in which they first stand; the stricter action is kept.
fn merged(reports: impl Iterator<Item = RelationReport>) -> Vec<RelationReport> {
    let mut relations: Vec<RelationReport> = Vec::new();
    for report in reports {
        let Some(relation) = relations.iter_mut().find(|relation| relation.name == report.name) else {
            relations.push(report);
            continue;
        };
        relation.filter = relation.filter.take().or(report.filter);
        for column in report.columns {
            let Some(known) = relation.columns.iter_mut().find(|known| known.name == column.name) else {
                relation.columns.push(column);
                continue;
            };
            let uses: BTreeSet<Use> = known.uses.iter().chain(&column.uses).copied().collect();
            if strictness(column.action) > strictness(known.action) {
                *known = column;
            }
            known.uses = uses.into_iter().collect();
        }
    }
    relations
}

fn strictness(action: &str) -> u8 {
    match action {
        "read" => 0,
        "write" => 1,
        "mask" => 2,
        "omit" => 3,
        _ => 4,
    }
}
