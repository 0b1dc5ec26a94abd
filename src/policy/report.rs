//! What was asked and decided, in the words of the access log (contract: the `relations` of an `access` record).

use serde::Serialize;

use super::{Use, Verdict};

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
    /// Which rows were left out: `consent(marketing)`, `min_group(10)`; `None` where none were.
    pub filter: Option<String>,
    /// The columns that the statement touches.
    pub columns: Vec<ColumnReport>,
}

/// One column of a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
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
}
