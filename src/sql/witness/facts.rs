//! What a statement refers to, as sorted multisets of names: one side from PostgreSQL's tree, the other from the
//! resolver. Both must be equal before a statement is decided.
//!
//! Names are as PostgreSQL has them after its lexer: folded to lower case unless quoted, cut at 63 bytes.
//!
//! # What counts
//!
//! * **Relations**: every table reference as written, also of a CTE: in FROM, as the target of INSERT, UPDATE,
//!   DELETE, MERGE and COPY, in USING, in `TABLE t`. Not the names after `FOR UPDATE OF`. The markers ONLY and OVERRIDING
//!   ([`crate::sql::ast::marker`]) are no part of the name.
//! * **Functions**: every call `name(...)`, in FROM too. Not what the grammar itself spells ([`crate::sql::ast::seen::is_grammar_function`]):
//!   COALESCE, NULLIF, GREATEST, LEAST, GROUPING, ROW, ARRAY(..), CURRENT_DATE and its kin, XML and JSON constructors; nor
//!   CAST, EXTRACT(f FROM x), POSITION(a IN b), SUBSTRING(a FROM b), OVERLAY(a PLACING b ..), TRIM(..) in any form, AT TIME
//!   ZONE, OVERLAPS, COLLATION FOR. `substring(a, 1, 2)` with commas is a call and counts ([`crate::sql::ast::seen::is_substring_call`]), and
//!   so does a quoted `"position"(..)`. `pg_catalog.like_escape` and `pg_catalog.similar_to_escape` never count: LIKE ..
//!   ESCAPE is spelled so in the tree. `pg_catalog.json_object` is `json_object`: the grammar writes the schema.
//! * **Columns**: every column reference with all its parts, a star as `*`: `SELECT *` is `["*"]`, `t.*` is
//!   `["t", "*"]`, `(t).x` is `["t"]`, `t.a[1].b` is `["t", "a"]` ([`crate::sql::ast::seen::column_parts`]). Not `count(*)`, not the
//!   columns that are set or inserted, not those in USING, not reserved words ([`crate::sql::ast::marker::is_reserved`]: DEFAULT), not
//!   the name of a named argument, not the value of CURRENT OF or NAME, not the plain names of ON CONFLICT (..).

use crate::error::{Refusal, Stage};

/// The sorted multisets. Two of them are compared with [`Facts::agrees`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    relations: Vec<(Option<String>, String)>,
    functions: Vec<Vec<String>>,
    columns: Vec<Vec<String>>,
    /// Bytes of text of our own among it.
    added: usize,
}

impl Facts {
    /// A table reference.
    pub fn add_relation(&mut self, schema: Option<String>, name: String) {
        insert(&mut self.relations, (schema, name));
    }

    /// A function call; ignores the two names that the grammar itself writes.
    pub fn add_function(&mut self, parts: Vec<String>) {
        if let [schema, name] = parts.as_slice()
            && schema == "pg_catalog"
            && (name == "like_escape" || name == "similar_to_escape")
        {
            return;
        }
        if let [schema, name] = parts.as_slice()
            && schema == "pg_catalog"
            && name == "json_object"
        {
            insert(&mut self.functions, vec![name.clone()]);
            return;
        }
        insert(&mut self.functions, parts);
    }

    /// A column reference; a star is `*`.
    pub fn add_column(&mut self, parts: Vec<String>) {
        insert(&mut self.columns, parts);
    }

    /// Takes a column reference away; whether it was there.
    pub fn remove_column(&mut self, parts: &[String]) -> bool {
        let found = self.columns.iter().position(|held| held == parts);
        found.map(|at| self.columns.remove(at)).is_some()
    }

    /// Adds all that another holds.
    pub fn extend(&mut self, other: &Self) {
        self.added = self.added.saturating_add(other.added);
        for relation in &other.relations {
            insert(&mut self.relations, relation.clone());
        }
        for function in &other.functions {
            insert(&mut self.functions, function.clone());
        }
        for column in &other.columns {
            insert(&mut self.columns, column.clone());
        }
    }

    /// The same, of a text of our own that is so long.
    #[must_use]
    pub(in crate::sql) fn of_own(self, added: usize) -> Self {
        Self { added, ..self }
    }

    /// Bytes of text of our own among it.
    pub(in crate::sql) fn added(&self) -> usize {
        self.added
    }

    /// Table references, sorted.
    pub fn relations(&self) -> &[(Option<String>, String)] {
        &self.relations
    }

    /// Function calls, sorted.
    pub fn functions(&self) -> &[Vec<String>] {
        &self.functions
    }

    /// Column references, sorted.
    pub fn columns(&self) -> &[Vec<String>] {
        &self.columns
    }

    /// Whether both saw the same.
    ///
    /// # Errors
    /// 42601 from the witness, naming the first relation, function or column that only one of both saw.
    pub fn agrees(&self, other: &Self) -> Result<(), Refusal> {
        let what = if self.relations != other.relations {
            let odd = difference(&self.relations, &other.relations).map(|(schema, name)| match schema {
                Some(schema) => format!("{schema}.{name}"),
                None => name.clone(),
            });
            format!("the relation `{}`", odd.unwrap_or_default())
        } else if self.functions != other.functions {
            let odd = difference(&self.functions, &other.functions).map(|parts| parts.join("."));
            format!("the function `{}`", odd.unwrap_or_default())
        } else if self.columns != other.columns {
            let odd = difference(&self.columns, &other.columns).map(|parts| parts.join("."));
            format!("the column `{}`", odd.unwrap_or_default())
        } else {
            return Ok(());
        };
        Err(Refusal::syntax(Stage::Witness, format!("the statement is read in two ways: {what} is seen in one only")))
    }
}

/// Keeps the multiset sorted.
fn insert<T: Ord>(set: &mut Vec<T>, item: T) {
    let at = set.partition_point(|held| *held <= item);
    set.insert(at, item);
}

/// The first item that one of both sorted multisets has more often.
fn difference<'a, T: Ord>(left: &'a [T], right: &'a [T]) -> Option<&'a T> {
    let (mut a, mut b) = (left.iter().peekable(), right.iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x == y => {
                a.next();
                b.next();
            }
            (Some(x), Some(y)) => return Some(std::cmp::min(*x, *y)),
            (Some(x), None) => return Some(x),
            (None, Some(y)) => return Some(y),
            (None, None) => return None,
        }
    }
}
