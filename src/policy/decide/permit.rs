//! What a decision is.

use std::collections::BTreeMap;

use super::RelationReport;
use crate::catalog::RelationName;
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::model::{ConsentFilter, Mask, RecordAs, RowFilter, SubjectPath, Verdict};

/// The outcome of [`decide`](crate::policy::decide).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The statement may run, with these obligations carried out.
    Permit(Permit),
    /// It may not.
    Denial(Denial),
}

/// A permit can only be made by [`decide`](crate::policy::decide): the rewrite demands one, so nothing is rewritten undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    pub(super) relations: Vec<RelationObligation>,
    pub(super) lookup_limit: u32,
    /// What is done to each relation, for the log and `explain`.
    pub(super) reports: Vec<RelationReport>,
}

impl Permit {
    /// One obligation for each [`RelationAccess`](crate::policy::model::RelationAccess) of the request, in the same order.
    pub fn relations(&self) -> &[RelationObligation] {
        &self.relations
    }

    /// Lookups of raw values that the login may make in a minute.
    pub fn lookup_limit(&self) -> u32 {
        self.lookup_limit
    }

    /// `Mask` where anything is masked, left out or filtered, else `Allow`.
    pub fn verdict(&self) -> Verdict {
        let touched = self.relations.iter().any(|relation| match relation {
            RelationObligation::Open { .. } => false,
            RelationObligation::Governed { columns, min_group, .. } => {
                relation.leaves_rows_out()
                    || min_group.is_some()
                    || columns.values().any(|column| !matches!(column.action, Action::Read | Action::Write))
            }
        });
        if touched { Verdict::Mask } else { Verdict::Allow }
    }
}

/// What must be done to one occurrence of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // a statement has few of them
pub enum RelationObligation {
    /// No personal information: forwarded as it is, by its full name.
    Open {
        /// The relation.
        relation: RelationName,
    },
    /// Becomes a derived table (or, as the target of a write, is held to plain columns).
    Governed {
        /// The relation.
        relation: RelationName,
        /// Every column of the request, by name.
        columns: BTreeMap<String, ColumnObligation>,
        /// Only rows of subjects with live consent.
        consent: Option<ConsentFilter>,
        /// Only rows that meet each of these.
        rows: Vec<RowFilter>,
        /// What rows that are added, or become another subject's, are held to.
        added: Vec<RowFilter>,
        /// Whose row it is.
        subject: Option<SubjectPath>,
        /// Aggregates only, over at least so many distinct subjects.
        min_group: Option<u32>,
        /// The log says whose rows were seen.
        record: Option<Recording>,
    },
}

/// What the access log must hold of those whose rows are seen (POPIA s23(1)(b): who has had access).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// In which form.
    pub form: RecordAs,
    /// Category of each column that the statement touches.
    pub categories: BTreeMap<String, String>,
}

impl RelationObligation {
    /// Whether its rows rest on what subjects may say differently at any time: consent, an objection that the law gives
    /// them, an opt-out of direct marketing. A snapshot of them must not grow old.
    pub fn rests_on_wishes(&self) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Governed { consent, rows, .. } => consent.is_some() || rows.iter().any(RowFilter::rests_on_wishes),
        }
    }

    /// Whether rows that are added are held to whom they are about.
    pub fn holds_added(&self) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Governed { added, .. } => !added.is_empty(),
        }
    }

    /// Whether some of its rows are left out.
    pub fn leaves_rows_out(&self) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Governed { consent, rows, .. } => consent.is_some() || !rows.is_empty(),
        }
    }
}

/// What must be done to one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnObligation {
    /// What.
    pub action: Action,
    /// Name of the rule that says so.
    pub rule: Option<String>,
    /// The mask through which the purpose sees the column that it sets here: a value that is its own mask leaves the column as it is.
    pub keep: Option<Mask>,
}

/// What happens to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Shown as it is.
    Read,
    /// Shown through a mask, everywhere but in a lookup.
    Mask {
        /// The mask.
        mask: Mask,
        /// `column = constant` may be tested on the raw value.
        lookup: bool,
    },
    /// Left out of a star.
    Omit,
    /// Set by INSERT or UPDATE.
    Write,
}

/// Why not: at least one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Each reason, the most telling first.
    pub reasons: Vec<Reason>,
    /// What would have been done to each relation, for the log and `explain`.
    pub(super) relations: Vec<RelationReport>,
}

impl Denial {
    /// A denial for a reason that is not about the relations.
    pub fn new(reason: Reason) -> Self {
        Self { reasons: vec![reason], relations: Vec::new() }
    }

    /// Every reason in one line, the first ten of them.
    pub fn summary(&self) -> String {
        const TOLD: usize = 10;
        let mut messages: Vec<String> = self.reasons.iter().take(TOLD).map(|reason| reason.message.clone()).collect();
        if let more @ 1.. = self.reasons.len().saturating_sub(TOLD) {
            messages.push(format!("and {more} more"));
        }
        messages.join("; ")
    }

    /// The refusal for the client: message, DETAIL and HINT of the first reason, and the other messages in DETAIL.
    pub fn refusal(&self) -> Refusal {
        let Some(first) = self.reasons.first() else { return Refusal::internal(Stage::Decide) };
        let mut refusal = Refusal::new(Stage::Decide, SqlState::INSUFFICIENT_PRIVILEGE, first.message.clone());
        let rule = || first.rule.as_ref().map(|rule| format!("rule `{rule}`"));
        let mut detail = first.detail.clone().or_else(rule).or_else(|| Some("no rule opens it".to_owned()));
        if self.reasons.len() > 1 {
            let others = Self { reasons: self.reasons.iter().skip(1).cloned().collect(), relations: Vec::new() };
            let also = format!("also: {}", others.summary());
            detail = Some(detail.map_or(also.clone(), |detail| format!("{detail}; {also}")));
        }
        refusal.detail = detail;
        refusal.hint.clone_from(&first.hint);
        refusal
    }
}

/// One reason for a denial, in words that are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The relation, where it is about one.
    pub relation: Option<RelationName>,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// `column `public.customers.health_note` is not open to role `support_agent` for purpose `support``.
    pub message: String,
    /// The rule that denies, if one does.
    pub rule: Option<String>,
    /// Which rule it was and what it says, or that there is none.
    pub detail: Option<String>,
    /// What would help.
    pub hint: Option<String>,
}

impl Reason {
    /// A reason that is about no relation.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { relation: None, column: None, message: message.into(), rule: None, detail: None, hint: None }
    }

    /// A reason about a relation.
    pub fn about(relation: &RelationName, message: impl Into<String>) -> Self {
        Self { relation: Some(relation.clone()), ..Self::plain(message) }
    }

    /// Names the column.
    #[must_use]
    pub fn column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    /// Says which rule, or that there is none.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what would help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
