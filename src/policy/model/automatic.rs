//! What the database does by itself beside a statement, as values.

use super::RelationAccess;
use crate::catalog::RelationName;

/// Beside one occurrence of a relation. The resolver reads it from the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Automatic {
    /// Columns that are looked at below the statement, where no mask can stand: they must be open as they are.
    pub raw: Vec<Raw>,
    /// What tells of rows that a filter leaves out, in words: `the system column ctid`.
    pub all_rows: Option<String>,
    /// What runs and of which nobody knows what it does: a trigger, a default, with its function where it has one.
    pub unknown: Vec<Unknown>,
    /// Relations below it that come along when it is read.
    pub below: Vec<RelationName>,
    /// A foreign table, or one of which its row policies read others: who does not list it does not know what it is.
    pub elsewhere: bool,
    /// Relations that its row policies read.
    pub policies_read: Vec<RelationName>,
}

/// A column that is looked at below the statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Raw {
    /// Its name.
    pub column: String,
    /// By what, in words: constraint `x`.
    pub by: String,
    /// Who may look it up by its value may as well find it out this way.
    pub tested: bool,
}

/// Code that the policy may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What calls it, in words: trigger `x`.
    pub what: String,
    /// Schema and name of the function; none for a rule.
    pub function: Option<(String, String)>,
}

/// A write that follows from another: rows that go, or change, with those that a foreign key refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consequence {
    /// The write.
    pub access: RelationAccess,
    /// What brings it, in words: foreign key `x`.
    pub by: String,
}
