//! What a statement asks for, as values.

use std::collections::BTreeSet;

use super::Structure;
use crate::catalog::{FilledFor, RelationName, TypeClass};

/// What one statement asks for, on behalf of whom, and why. Made by the resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// The PostgreSQL login of the session.
    pub login: String,
    /// The purpose in force.
    pub purpose: String,
    /// The application's end user, where that is known.
    pub actor: Option<String>,
    /// Today in the policies' zone, for expiries.
    pub today: jiff::civil::Date,
    /// One entry for each *occurrence* of a relation in the statement, in the order they stand; a self join has two.
    pub relations: Vec<RelationAccess>,
    /// The writes that follow from these.
    pub consequences: Vec<super::Consequence>,
    /// What the statement as a whole looks like: `min_group` decides by it.
    pub shape: Shape,
    /// What it does to the database's structure; `None` for a statement that only reads and writes rows.
    pub structure: Option<Structure>,
}

/// One occurrence of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationAccess {
    /// Its name in the catalog.
    pub relation: RelationName,
    /// Names of its ancestors (partition or inheritance parents), nearest first: the policy of the nearest one that is
    /// listed governs a relation that is not listed itself.
    pub ancestors: Vec<RelationName>,
    /// Names of the relations whose rows come along: descendants, and what a view's definition reaches. A listed
    /// relation among them governs; see `decide`.
    pub reaches: Vec<RelationName>,
    /// The definition of the view calls functions that are not built in: what it reads is not known.
    pub opaque: bool,
    /// What is done to it.
    pub verb: Verb,
    /// `*`, `t.*`, or a whole-row reference: every column that may be seen, and the rest left out.
    pub star: bool,
    /// Columns that are named, and for what. With `star`, the resolver lists *all* columns of the relation and gives
    /// the ones that only the star reaches the single use [`Use::Star`].
    pub columns: Vec<ColumnAccess>,
    /// A temporary relation of the session.
    pub temporary: bool,
    /// For what governed rows went into it, or into what comes along with it.
    pub filled: BTreeSet<FilledFor>,
    /// `DELETE`, or `FOR UPDATE`-like whole-row effects, name no column but still touch rows.
    pub whole_row_write: bool,
    /// What the database does by itself beside it.
    pub automatic: super::Automatic,
}

/// What is done to a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Rows are read.
    Select,
    /// Rows are added.
    Insert,
    /// Rows are changed.
    Update,
    /// Rows are removed.
    Delete,
    /// Its structure is changed, or looked at: columns that are named must be open as they are.
    Define,
}

/// One column of one occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnAccess {
    /// Its name in the catalog.
    pub name: String,
    /// What its type holds.
    pub class: TypeClass,
    /// All the places where it is named.
    pub uses: BTreeSet<Use>,
}

/// Where a column is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// The select list or RETURNING, plainly or within an expression.
    Output,
    /// RETURNING shows a column of the target, by its name alone: as it is, or through its mask. The log calls it what it is, an output.
    #[serde(rename = "output")]
    Returned,
    /// WHERE or HAVING.
    Filter,
    /// ON, USING, NATURAL.
    Join,
    /// GROUP BY, DISTINCT, PARTITION BY.
    Group,
    /// ORDER BY.
    Order,
    /// An argument of an aggregate.
    Aggregate,
    /// `column = constant` or `column = $n` as a conjunct of WHERE where the raw value may be tested below the mask.
    Lookup,
    /// Set by INSERT or UPDATE.
    Write,
    /// Reached by a star or a whole-row reference only.
    Star,
    /// Read directly from the target of UPDATE, DELETE, MERGE or from `excluded`, where no mask can stand below it.
    Target,
}

/// What the whole statement looks like; the resolver fills it in conservatively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Exactly one query level reads governed relations, it has aggregates or GROUP BY, every output column is an
    /// aggregate of the kinds `min_group` allows or a grouping column, and the level has a form to which the rewrite
    /// can add a HAVING condition: plain GROUP BY, no DISTINCT, no window function, no set operation, no CTE or subquery over a governed
    /// relation, inner or cross joins only.
    pub grouped: bool,
}
