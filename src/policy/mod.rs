//! What a role may do for a purpose: policies read from TOML, and the pure decision over them.
//!
//! Nothing here knows SQL, sockets or tokio: an [`AccessRequest`] goes in, a [`Permit`] with obligations or a
//! [`Denial`] with reasons comes out.

mod column;
mod condition;
mod decide;
mod govern;
mod listing;
mod mask;
mod model;
mod permit;
mod report;
mod request;
mod rules;
mod set;
mod source;
mod tables;
mod validate;

pub use crate::config::{Fault, Severity};
pub use decide::decide;
pub use govern::Lineage;
pub use listing::{ListedColumn, ListedConsent};
pub use mask::Mask;
pub use model::{Basis, Governance, PolicyTest, Purpose, Role};
pub use permit::{
    Action, ColumnObligation, ConsentFilter, Decision, Denial, Permit, Reason, RelationObligation, SubjectPath, Verdict,
};
pub use report::{AccessReport, ColumnReport, RelationReport};
pub use request::{AccessRequest, ColumnAccess, RelationAccess, Shape, Use, Verb};
pub use set::PolicySet;
