//! What the resolver leaves in the AST for the rewrite to find.
//!
//! sqlparser's tree has no node for it, so that a mark is carried as a name; this file alone writes and reads such names. No client
//! can write one: the lexer refuses NUL everywhere.

use sqlparser::ast::{Expr, Ident, ObjectName};

use super::scope::{CarrierId, OccurrenceId};

/// First character of a name that is none; marks of the parse stage begin so too.
const MARK: char = '\0';

/// What is to be done at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sql) enum Mark {
    /// A table's name: the relation that stands there.
    Relation(OccurrenceId),
    /// A condition: the row filter of a statement's target.
    Filter(OccurrenceId),
    /// A key of GROUP BY: the columns that follow from the primary key of a relation.
    Group(OccurrenceId),
    /// The name of a condition that may be tested below a mask: which of the relation's lookups it is.
    Lookup(OccurrenceId, usize),
    /// The name of a value that is set: the position of its column, which is seen masked.
    Keep(OccurrenceId, usize),
    /// The name of a value of a new row: the position of its column, which tells of whom the row is.
    New(OccurrenceId, usize),
    /// A value that tells whose a row is: which leaf of which query.
    Subject(CarrierId, usize),
    /// First of a RETURNING list, with the target; `adds`: rows may be added to it, else they are changed or removed.
    Return {
        /// The target.
        id: OccurrenceId,
        /// Rows may be added.
        adds: bool,
    },
    /// In a RETURNING list: the target's columns that may be seen.
    ReturnAll(OccurrenceId),
    /// In a RETURNING list: one column of the target.
    ReturnOne(OccurrenceId, String),
}

impl Mark {
    /// Whether a name is none of a client's: a mark, of this stage or the one before.
    pub(super) fn is_one(ident: &Ident) -> bool {
        ident.value.starts_with(MARK)
    }

    fn ident(&self) -> Ident {
        Ident::new(match self {
            Self::Relation(id) => format!("{MARK}relation:{id}"),
            Self::Filter(id) => format!("{MARK}filter:{id}"),
            Self::Group(id) => format!("{MARK}group:{id}"),
            Self::Lookup(id, number) => format!("{MARK}lookup:{id}:{number}"),
            Self::Keep(id, position) => format!("{MARK}keep:{id}:{position}"),
            Self::New(id, position) => format!("{MARK}new:{id}:{position}"),
            Self::Subject(carrier, leaf) => format!("{MARK}subject:{carrier}:{leaf}"),
            Self::Return { id, adds: true } => format!("{MARK}return_rows:{id}"),
            Self::Return { id, adds: false } => format!("{MARK}return_from:{id}"),
            Self::ReturnAll(id) => format!("{MARK}return_all:{id}"),
            Self::ReturnOne(id, column) => format!("{MARK}return_one:{id}:{column}"),
        })
    }

    /// As an expression of its own.
    pub(super) fn expr(&self) -> Expr {
        Expr::Identifier(self.ident())
    }

    /// As the name of a table.
    pub(super) fn table(&self) -> ObjectName {
        ObjectName::from(vec![self.ident()])
    }

    /// On an expression, which stays beneath it.
    pub(super) fn on(&self, expr: Expr) -> Expr {
        Expr::Named { expr: Box::new(expr), name: self.ident() }
    }

    /// The mark that a name is; `None` for any other name.
    pub(in crate::sql) fn read(ident: &Ident) -> Option<Self> {
        let (kind, rest) = ident.value.strip_prefix(MARK)?.split_once(':')?;
        let id = || rest.parse().ok();
        let pair = || rest.split_once(':').and_then(|(id, number)| Some((id.parse().ok()?, number.parse().ok()?)));
        Some(match kind {
            "relation" => Self::Relation(id()?),
            "filter" => Self::Filter(id()?),
            "group" => Self::Group(id()?),
            "lookup" => pair().map(|(id, number)| Self::Lookup(id, number))?,
            "keep" => pair().map(|(id, position)| Self::Keep(id, position))?,
            "new" => pair().map(|(id, position)| Self::New(id, position))?,
            "subject" => pair().map(|(carrier, leaf)| Self::Subject(carrier, leaf))?,
            "return_rows" => Self::Return { id: id()?, adds: true },
            "return_from" => Self::Return { id: id()?, adds: false },
            "return_all" => Self::ReturnAll(id()?),
            "return_one" => {
                let (id, column) = rest.split_once(':')?;
                Self::ReturnOne(id.parse().ok()?, column.to_owned())
            }
            _ => return None,
        })
    }

    /// The mark that an expression is.
    pub(in crate::sql) fn of(expr: &Expr) -> Option<Self> {
        let Expr::Identifier(ident) = expr else { return None };
        Self::read(ident)
    }

    /// The occurrence that a table's name stands for.
    pub(in crate::sql) fn relation(name: &ObjectName) -> Option<OccurrenceId> {
        let [part] = name.0.as_slice() else { return None };
        match Self::read(part.as_ident()?)? {
            Self::Relation(id) => Some(id),
            _ => None,
        }
    }

    /// The row filter that an expression stands for.
    pub(in crate::sql) fn filter(expr: &Expr) -> Option<OccurrenceId> {
        match Self::of(expr)? {
            Self::Filter(id) => Some(id),
            _ => None,
        }
    }

    /// The query and the leaf whose subject an expression stands for.
    pub(in crate::sql) fn leaf(expr: &Expr) -> Option<(CarrierId, usize)> {
        match Self::of(expr)? {
            Self::Subject(carrier, leaf) => Some((carrier, leaf)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_as_it_was_written_and_no_other_name_is_one() {
        let marks = [
            Mark::Relation(0),
            Mark::Filter(1),
            Mark::Group(2),
            Mark::Lookup(3, 4),
            Mark::Keep(5, 6),
            Mark::New(7, 8),
            Mark::Subject(9, 10),
            Mark::Return { id: 11, adds: true },
            Mark::Return { id: 12, adds: false },
            Mark::ReturnAll(13),
            Mark::ReturnOne(14, "a:b \0c".to_owned()),
        ];
        for mark in marks {
            assert_eq!(Mark::of(&mark.expr()), Some(mark.clone()), "{mark:?}");
        }
        for name in
            ["relation:1", "\0relation", "\0relation:", "\0relation:1:2", "\0keep:1", "\0only", "\0=IS DOCUMENT", ""]
        {
            assert_eq!(Mark::read(&Ident::new(name)), None, "{name:?}");
        }
    }
}
