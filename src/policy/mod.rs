//! What a role may do for a purpose: policies read from TOML, and the pure decision over them.
//!
//! Nothing here knows SQL, sockets or tokio: an [`AccessRequest`] goes in, a [`Permit`] with obligations or a
//! [`Denial`] with reasons comes out.

mod decide;
mod mask;
mod permit;
mod report;
mod request;
mod set;

pub use decide::decide;
pub use mask::Mask;
pub use permit::{
    Action, ColumnObligation, ConsentFilter, Decision, Denial, Permit, Reason, RelationObligation, SubjectPath, Verdict,
};
pub use report::{AccessReport, ColumnReport, RelationReport};
pub use request::{AccessRequest, ColumnAccess, RelationAccess, Shape, Use, Verb};
pub use set::{Fault, Governance, PolicySet, PolicyTest, Purpose, Role};
