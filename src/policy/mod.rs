//! What a role may do for a purpose: policies read from TOML, and the pure decision over them.
//!
//! Nothing here knows SQL, sockets or tokio: an [`AccessRequest`] goes in, a [`Permit`] with obligations or a
//! [`Denial`] with reasons comes out.
//!
//! # What the policies' format has beyond the contract
//!
//! - `mask = ["national_id"]` and `mask = { national_id = "default" }` both mean the category's own mask.
//! - A mask for a column by its full name stands instead of its category's in the same rule. Where two rules mask one
//!   column, what both let through is shown ([`Mask::meet`]).
//! - `delete = ["public.tickets"]` in a rule lets rows be deleted; nothing else does. Adding and changing rows needs
//!   `write` for each column that is set. Locking rows (`FOR UPDATE`) needs some column that may be set.
//! - `country_ground` in a role: why information may leave for `country` (POPIA s72); obligatory outside South Africa.
//! - A child purpose that states no basis has its parent's; its rules open at most what the rules for each ancestor
//!   open to the same role. It needs the live consent of itself and each ancestor that rests on consent.
//! - `queries_per_day = N` on a purpose with `min_group`: statements over groups that one login may run in a day (UTC). What is
//!   asked for a child counts for its ancestors too.
//! - `evidence` and `given_at` in `[consent]`: columns without which, or before which, a row is no live consent.
//! - `record_subjects = true` on a table (or `"pseudonym"`, or `"plain"`): the access log says whose rows were seen.
//! - `ddl = true` on a role opens statements that change the database's structure, of a list of kinds. What they read must be
//!   open unmasked, and no name that a policy lists may come to mean other values ([`Structure`]).
//! - `keep_masked = true` in a rule that masks or writes: what comes back as its own mask leaves the value as it is. Without it a
//!   column that one role sees masked and may set for one purpose is a fault.
//! - `[functions] allow = ["public.f"]`: functions besides the reviewed built-ins.
//!
//! `docs/policies.md` is the reference.

mod added;
mod births;
mod collected;
mod column;
mod condition;
mod decide;
mod diff;
mod disclosure;
mod filters;
mod govern;
mod grants;
mod keep;
mod lint;
mod listing;
mod live;
mod mask;
mod model;
mod needed;
mod permit;
mod purposes;
mod report;
mod request;
mod retain;
mod rows;
mod rules;
mod set;
mod source;
mod structure;
mod tables;
mod validate;
mod wishes;

pub use crate::config::{Fault, Severity};
pub use decide::decide;
pub use diff::Difference;
pub use disclosure::{Disclosed, DisclosedColumn, Disclosure};
pub use govern::Lineage;
pub use grants::{Grant, Way};
pub use listing::{ListedColumn, ListedConsent};
pub use mask::{AddressPart, Mask, NamePart, Noise, PhonePart, Unit};
pub use model::{Basis, DEFAULT_LOOKUP_LIMIT, Governance, PolicyTest, Purpose, Role};
pub use needed::{Holds, NeededColumn, WishTable};
pub use permit::{
    Action, ColumnObligation, ConsentFilter, Decision, Denial, Permit, Reason, RecordAs, Recording, RelationObligation,
    SubjectPath, Verdict,
};
pub use report::{AccessReport, ColumnReport, RelationReport, filters_groups};
pub use request::{AccessRequest, ColumnAccess, RelationAccess, Shape, Use, Verb};
pub use retain::Retained;
pub use rows::{
    Approach, Birth, Contact, ContactKind, Customers, Exclusion, ExclusionList, Limit, OptOuts, Period, PeriodUnit,
    RowFilter, SinceColumn,
};
pub use set::PolicySet;
pub use structure::{Change, Make, Structure};
