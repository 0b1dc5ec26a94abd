//! An immutable snapshot of what the database's system catalogs say about relations, types, functions and operators.
//!
//! A snapshot never changes; DDL or an unknown name leads to another snapshot with a higher epoch. Nothing in a
//! session holds one longer than a statement's decision.

pub mod automatic;
mod build;
mod calling;
mod changes;
mod load;
mod memo;
mod name;
mod part;
mod shards;
mod snapshot;
mod store;
mod touched;
mod type_map;
mod types;
mod verifiers;

pub use build::CatalogBuilder;
pub use changes::Unapplied;
pub use load::{LoadError, changed_query, load_catalog, plain_query, seen_query, within_query};
pub use memo::Memo;
pub use name::split_dotted;
pub use name::{RelationName, quote_ident, quote_literal};
pub use part::{Question, Told};
pub use snapshot::{Catalog, Column, FilledFor, Function, FunctionKind, Relation, RelationKind, Volatility};
pub use store::{CatalogStore, Connect, connect_plain};
pub use touched::{Touched, Unread};
pub use types::{Oid, Type, TypeClass, builtin};
pub use verifiers::{Kept, Verifiers};
