//! What a statement does to the database's structure.

use crate::catalog::{RelationName, Touched};

/// What a statement does to the database's structure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// Relations that it makes.
    pub makes: Vec<Make>,
    /// What it does to relations that are there: the number of the occurrence, and what.
    pub changes: Vec<(usize, Change)>,
    /// It makes and changes nothing but temporary relations of the session's own.
    pub temporary: bool,
    /// It takes no more than the lock that reading takes.
    pub reads: bool,
    /// What of it has to be read again behind it.
    pub touched: Touched,
    /// What the table of consents is made or part of: parents, children, and what it shows where it is a view.
    pub consents: Vec<RelationName>,
}

/// A relation that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// Its name.
    pub name: RelationName,
    /// From a query, so that it begins with rows or shows those of others.
    pub from_query: bool,
}

/// What is done to a relation that is there; a lock, a comment or a grant is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A column is added; `computed`: from other columns.
    AddColumn {
        /// Its name.
        name: String,
        /// From other columns.
        computed: bool,
    },
    /// A column gets another name.
    RenameColumn {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// A column is dropped, or its type or default changed.
    AlterColumn(String),
    /// Values of a column are computed anew by an expression.
    Rewrite(String),
    /// It gets another name or schema.
    Move(RelationName),
    /// It becomes or ceases to be a parent or a child.
    Family,
    /// It is dropped; `rows`: with rows that are nowhere else.
    Drop {
        /// With its rows.
        rows: bool,
    },
    /// Anything else of it: constraints, indexes, children.
    Alter,
    /// All its rows are removed.
    Empty,
}
