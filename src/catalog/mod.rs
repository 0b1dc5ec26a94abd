//! An immutable snapshot of what the database's system catalogs say about relations, types, functions and operators.
//!
//! A snapshot never changes; DDL or an unknown name leads to another snapshot with a higher epoch. Nothing in a
//! session holds one longer than a statement's decision.

mod build;
mod name;
mod snapshot;
mod types;

pub use build::CatalogBuilder;
pub use name::{RelationName, quote_ident, quote_literal};
pub use snapshot::{Catalog, Column, Function, FunctionKind, Relation, RelationKind, Volatility};
pub use types::{Oid, Type, TypeClass, builtin};
pub use name::split_dotted;
