//! What the database does by itself when rows of a relation are written, and which columns it reads for that.

use super::Oid;

/// Functions of PostgreSQL's that only compute or tell the time, by whose names alone code may call them that touches nothing but a row.
pub const FUNCTIONS: [&str; 17] = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "clock_timestamp",
    "lower",
    "upper",
    "btrim",
    "ltrim",
    "rtrim",
    "abs",
    "round",
    "length",
    "char_length",
    "left",
    "right",
    "replace",
    "gen_random_uuid",
];

/// Of one relation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Automatic {
    /// Columns that one constraint, expression or row policy looks at together.
    pub ties: Vec<Tie>,
    /// Foreign keys that refer to the relation.
    pub referenced: Vec<Reference>,
    /// Triggers, rules, and functions that a write calls by a default, a check or an index.
    pub code: Vec<Code>,
    /// Columns by which it is partitioned, those of expressions too; 0 stands for the whole row.
    pub partition_key: Vec<i16>,
    /// Relations that its row policies read.
    pub policies_read: Vec<Oid>,
}

impl Automatic {
    /// In an order of its own, so that two readings of the same are the same.
    pub(super) fn sort(&mut self) {
        self.ties.sort_by(|a, b| (&a.what, &a.columns).cmp(&(&b.what, &b.columns)));
        self.referenced.sort_by(|a, b| (&a.name, a.from).cmp(&(&b.name, b.from)));
        self.code.sort_by(|a, b| (&a.what, &a.function).cmp(&(&b.what, &b.function)));
        self.policies_read.sort_unstable();
    }
}

/// Columns that are looked at together: who sets one of them can find out about the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tie {
    /// What ties them, in words: constraint `x`.
    pub what: String,
    /// Column numbers; 0 stands for the whole row.
    pub columns: Vec<i16>,
}

/// A foreign key, from the side of the relation that is referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The constraint's name.
    pub name: String,
    /// The relation that refers.
    pub from: Oid,
    /// Its columns.
    pub columns: Vec<i16>,
    /// The columns that are referred to.
    pub to: Vec<i16>,
    /// ON DELETE.
    pub on_delete: ReferenceAction,
    /// ON UPDATE.
    pub on_update: ReferenceAction,
}

/// What becomes of rows that refer to one that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceAction {
    /// The statement fails.
    Refuse,
    /// They go with it, or follow it.
    Cascade,
    /// They are set to NULL or to their default.
    Set,
}

/// Code that runs when rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// What calls it, in words: trigger `x`.
    pub what: String,
    /// When.
    pub on: Events,
    /// The function's schema and name; `None` for a rule, which is SQL of its own.
    pub function: Option<(String, String)>,
    /// It touches nothing but the row that is written, as long as [`FUNCTIONS`] and operators are PostgreSQL's own.
    pub only_row: bool,
    /// Columns of the row that it looks at, as far as they are known.
    pub looks_at: Vec<String>,
}

/// The writes that something happens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // they are four independent events
pub struct Events {
    /// INSERT.
    pub insert: bool,
    /// UPDATE.
    pub update: bool,
    /// DELETE.
    pub delete: bool,
    /// TRUNCATE.
    pub truncate: bool,
    /// No write: values are looked through again, by ANALYZE, REINDEX, a validation, a table that is written anew.
    pub looked_through: bool,
    /// Rows are found, for whatever is done to them: a row policy.
    pub found: bool,
    /// Also where rows of a part are written by the part's own name: a partition key.
    pub of_parts: bool,
}

impl Events {
    /// Whether it happens on a write.
    pub fn writes(self) -> bool {
        self.insert || self.update || self.delete || self.truncate
    }
}
