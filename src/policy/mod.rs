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
//! - `queries_per_day = N` on a purpose with `min_group`: statements over groups that one login may run in a day. What is
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
//!
//! The rooms from the top down; each imports only from those below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | `review` | what is worth knowing of policies in force: gaps to the database, what a change opens, what is listed |
//! | `read` | TOML to a validated [`PolicySet`]: every fault with its place |
//! | `decide` | the decision, what it obliges to, and how it is reported |
//! | `model` | the values: roles, purposes, tables, rules, masks, row filters, requests |

mod decide;
mod model;
mod read;
mod review;

pub use crate::document::{Fault, Severity};
pub use decide::{
    AccessReport, Action, ColumnObligation, ColumnReport, Decision, Denial, Disclosed, DisclosedColumn, Disclosure,
    Permit, Reason, Recording, RelationObligation, RelationReport, Seen, decide, filters_groups,
};
pub use model::{
    AccessRequest, ActorFrom, ActorRows, ActorRule, ActorUse, Actors, AddressPart, Approach, Automatic, Basis, Birth,
    Change, ColumnAccess, ConsentFilter, Consequence, Contact, ContactKind, Customers, DEFAULT_LOOKUP_LIMIT, Exclusion,
    ExclusionList, Expected, Governance, GrantRule, Granted, Limit, Lineage, Make, Mask, NamePart, Noise, OURSELVES,
    OptOuts, Own, Period, PeriodUnit, PhonePart, PolicySet, PolicyTest, Purpose, Raw, RecordAs, RecordPurposes,
    RelationAccess, Role, RowCondition, RowFilter, Shape, SinceColumn, Structure, SubjectPath, Unit, Unknown, Use,
    Verb, Verdict,
};
pub use read::keys::{KEYS, Key, Takes};
pub use review::{
    Difference, Grant, Holds, Keeps, ListedColumn, ListedConsent, ListedExclusion, NeededColumn, OWN, Partly, ROWS,
    Retained, Stated, Way, WishTable,
};
