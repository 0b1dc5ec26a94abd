//! Which queries can carry the keys of data subjects out with their rows, beside the columns that were asked for.
//!
//! Only where some table's policy says `record_subjects`. A *carrier* is a query whose rows become the client's rows, or
//! those of a FROM item or WITH query; its *leaves* are the SELECTs, VALUES and RETURNING that it is made of. Each leaf
//! gets a mark at the end of its list, which the rewrite replaces by the hidden columns, or takes out. Where a hidden
//! column would be seen (a whole-row reference, a NATURAL JOIN, a star whose columns cannot be named) the carrier is
//! *whole*, and carries none. What is read and not carried is recorded as an aggregate.

use std::collections::BTreeSet;

use sqlparser::ast::{Distinct, Expr, GroupByExpr, ObjectName, Select, SelectItem};

use super::mark::Mark;
use super::names::name_of;
use super::scope::CarrierId;
use super::scope::{Columns, Source, UNSURE};
use super::{OccurrenceId, Resolver};
use crate::catalog::FunctionKind;
use crate::sql::ast::render::render_expr;
use crate::sql::form;
use crate::sql::text::redact;

/// The carrier that a leaf is part of, and whether its rows stay rows on the way out.
pub(in crate::sql) type LeafOf = (CarrierId, bool);

/// A column of a query, and what a star in it took it from.
pub(in crate::sql) type NamedColumn = (String, Option<(OccurrenceId, String)>);

/// Every hidden column's name begins so; no statement may name such a column.
pub const HIDDEN: &str = "pgpurpose_subject";

/// Whether the rows of a statement reach the client, so that they may carry subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum Carry {
    /// They do.
    Rows,
    /// They do, as lines of a COPY: there a key must be told from NULL, however that is written.
    Copy,
    /// They do not.
    Nothing,
    /// They do not, for it is the plan that is shown: EXPLAIN.
    Plan,
}

/// What the next query may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrying {
    /// A subquery in an expression and the like: its columns are counted.
    No,
    /// A carrier of its own.
    New,
    /// Part of this one.
    Into(LeafOf),
}

impl From<Option<LeafOf>> for Carrying {
    fn from(leaf: Option<LeafOf>) -> Self {
        leaf.map_or(Self::No, Self::Into)
    }
}

/// A query whose rows may carry keys.
#[derive(Debug, Default)]
pub(in crate::sql) struct Carrier {
    /// A hidden column would be seen.
    pub(in crate::sql) whole: bool,
    /// Its rows are also counted, grouped or tested for somewhere, where they carry nothing.
    pub(in crate::sql) partly: bool,
    /// What it is made of.
    pub(in crate::sql) leaves: Vec<Leaf>,
    /// Every occurrence whose rows it has.
    pub(super) within: BTreeSet<OccurrenceId>,
    /// Those that may be missing from them, or of which a LIMIT kept some.
    pub(super) doubtful: BTreeSet<OccurrenceId>,
}

/// A SELECT, VALUES or RETURNING.
#[derive(Debug)]
pub(in crate::sql) struct Leaf {
    /// One row of it is one row of each of its FROM items.
    pub(in crate::sql) rows: bool,
    /// Its FROM items; empty where they have one name twice, so that none can be named.
    pub(in crate::sql) sources: Vec<LeafSource>,
}

/// A FROM item of a leaf.
#[derive(Debug)]
pub(in crate::sql) struct LeafSource {
    /// What it is called.
    pub(in crate::sql) name: Option<String>,
    /// The relation that it is.
    pub(in crate::sql) occurrence: Option<OccurrenceId>,
    /// The query that it is.
    pub(in crate::sql) carrier: Option<CarrierId>,
    /// Its columns, where it is a query; with each what a star in it took it from, and may leave out.
    pub(in crate::sql) columns: Option<Vec<NamedColumn>>,
}

impl Resolver<'_> {
    /// Says whether the rows of the statement reach the client.
    pub(super) fn carry_rows(&mut self, carry: Carry) {
        self.copied = carry == Carry::Copy;
        self.carrying = match carry {
            Carry::Rows | Carry::Copy => Carrying::New,
            Carry::Nothing | Carry::Plan => Carrying::No,
        };
    }

    /// What the leaves of the query that begins are part of.
    pub(super) fn begin_carrier(&mut self) -> Option<LeafOf> {
        self.made = None;
        self.leaf = None;
        match std::mem::replace(&mut self.carrying, Carrying::No) {
            Carrying::New if self.recording && !self.context.observe => {
                self.carriers.push(Carrier::default());
                Some((self.carriers.len().saturating_sub(1), true))
            }
            Carrying::Into(leaf) => Some(leaf),
            Carrying::New | Carrying::No => None,
        }
    }

    /// The same for INSERT, UPDATE, DELETE, which may be part of a query already.
    pub(super) fn begin_statement(&mut self) -> (Option<LeafOf>, Option<CarrierId>) {
        let leaf = self.leaf.take().or_else(|| self.begin_carrier());
        (leaf, leaf.map(|(carrier, _)| carrier))
    }

    /// A level is resolved: it becomes a leaf, and is marked, or what it reads is noted as read without its subjects.
    pub(super) fn end_select(
        &mut self,
        select: &mut Select,
        leaf: Option<LeafOf>,
        shape: Option<String>,
        before: OccurrenceId,
    ) {
        if !self.recording {
            return;
        }
        let plain = matches!(&select.distinct, None | Some(Distinct::All | Distinct::On(_)))
            && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
            && select.having.is_none();
        let windowed = self.scopes.last().is_some_and(|scope| scope.windowed);
        for occurrence in self.occurrences.iter_mut().skip(before) {
            if occurrence.filter_shape.is_none() {
                occurrence.filter_shape.clone_from(&shape);
            }
            occurrence.beyond |= windowed;
        }
        let cut = matches!(&select.distinct, Some(Distinct::On(_)));
        if let Some(mark) = self.end_leaf(leaf, plain, cut) {
            select.projection.push(SelectItem::UnnamedExpr(mark));
        }
    }

    /// RETURNING is resolved.
    pub(super) fn end_returning(&mut self, returning: Option<&mut Vec<SelectItem>>, leaf: Option<LeafOf>) {
        match returning {
            None => drop(self.end_leaf(None, false, false)),
            Some(returning) => {
                if let Some(mark) = self.end_leaf(leaf, true, false) {
                    returning.push(SelectItem::UnnamedExpr(mark));
                }
            }
        }
    }

    /// VALUES are resolved: the rows have no subjects, but the other side of a UNION may.
    pub(super) fn end_values(&mut self, leaf: Option<LeafOf>) -> Option<Expr> {
        let (carrier, _) = leaf?;
        Some(self.add_leaf(carrier, Leaf { rows: false, sources: Vec::new() }))
    }

    fn end_leaf(&mut self, leaf: Option<LeafOf>, plain: bool, cut: bool) -> Option<Expr> {
        let scope = self.scopes.last()?;
        let rows = plain && !scope.aggregated && leaf.is_some_and(|(_, rows)| rows);
        let lost: Vec<CarrierId> = scope.sources.iter().filter_map(|source| source.carrier).collect();
        let windowed = scope.windowed;
        let sources = if unique(&scope.sources) {
            let of = |source: &Source| LeafSource {
                name: source.name.clone(),
                occurrence: source.occurrence,
                carrier: source.carrier,
                columns: names(&source.columns),
            };
            // `excluded` is the row that the client itself proposed.
            scope.sources.iter().filter(|source| source.unqualified).map(of).collect()
        } else {
            Vec::new()
        };
        if !rows || windowed || sources.is_empty() {
            for carrier in lost {
                if let Some(carrier) = self.carriers.get_mut(carrier) {
                    carrier.partly = true;
                }
            }
        }
        let (carrier, _) = leaf?;
        let shown = self.scopes.last().map(|scope| scope.sources.clone()).unwrap_or_default();
        self.leave_level(carrier, &shown, cut);
        Some(self.add_leaf(carrier, Leaf { rows, sources }))
    }

    fn add_leaf(&mut self, carrier: CarrierId, leaf: Leaf) -> Expr {
        let number = self.carriers.get_mut(carrier).map_or(0, |carrier| {
            carrier.leaves.push(leaf);
            carrier.leaves.len().saturating_sub(1)
        });
        Mark::Subject(carrier, number).expr()
    }

    /// The condition of a level, without literals.
    pub(super) fn filter_shape(&self, selection: Option<&Expr>) -> Option<String> {
        let shape = |condition| redact(&form::without_constants(&render_expr(condition))).statement.to_string();
        if self.recording { selection.map(shape) } else { None }
    }

    /// Keeps it for one occurrence.
    pub(super) fn keep_shape(&mut self, shape: Option<String>, id: OccurrenceId) {
        if let Some(occurrence) = self.occurrences.get_mut(id) {
            occurrence.filter_shape = shape;
        }
    }

    /// Whether a star at this level can be written as a list of names: `*`, or that of one FROM item.
    pub(super) fn can_name_all(&self, table: Option<&str>) -> bool {
        let Some(scope) = self.scopes.last().filter(|scope| scope.leaf) else { return false };
        let plain = |source: &Source| {
            source.name.is_some()
                && (source.carrier.is_none() || names(&source.columns).is_some_and(|columns| distinct(&columns)))
        };
        unique(&scope.sources)
            && match table {
                // It may be a FROM item of a level around this one.
                Some(table) => {
                    scope.sources.iter().any(|source| source.name.as_deref() == Some(table) && plain(source))
                }
                None => scope.merged.is_empty() && scope.sources.iter().all(plain),
            }
    }

    /// A use of the whole row in which a hidden column would be seen.
    pub(super) fn expose_row(
        &mut self,
        columns: &Columns,
        occurrence: Option<OccurrenceId>,
        carrier: Option<CarrierId>,
    ) {
        if !self.recording {
            return;
        }
        if let Some(carrier) = carrier.and_then(|id| self.carriers.get_mut(id)) {
            carrier.whole = true;
        }
        let within = columns.iter().flatten().flat_map(|column| column.origins.iter().map(|(id, _)| *id));
        let touched: BTreeSet<OccurrenceId> = within.chain(occurrence).collect();
        for id in touched {
            if let Some(occurrence) = self.occurrences.get_mut(id) {
                occurrence.whole = true;
            }
        }
    }

    /// The level of a column, for the aggregate that it may be an argument of.
    pub(super) fn note_level(&mut self, parts: &[String]) {
        if !self.recording {
            return;
        }
        let (table, column) = match parts {
            [column] => (None, column),
            [table, column] | [_, table, column] => (Some(table), column),
            _ => return,
        };
        let level = self.scopes.iter().rposition(|scope| {
            scope.sources.iter().any(|source| match table {
                Some(table) => source.name.as_ref() == Some(table),
                None => source.name.as_ref() == Some(column) || source.column(column).is_some(),
            })
        });
        self.deepest = self.deepest.max(level);
    }

    /// A call begins; gives what [`Self::end_call`] needs.
    pub(super) fn begin_call(&mut self) -> Option<usize> {
        self.deepest.take()
    }

    /// A call is resolved. An aggregate belongs to the innermost level of its arguments' columns, or to its own.
    pub(super) fn end_call(&mut self, around: Option<usize>, aggregate: bool, over: bool, name: &ObjectName) {
        if !self.recording {
            return;
        }
        let own = self.scopes.len().saturating_sub(1);
        if over {
            if let Some(scope) = self.scopes.last_mut() {
                scope.windowed = true;
            }
        } else if aggregate || self.is_own_aggregate(name) {
            let level = self.deepest.filter(|level| *level <= own).unwrap_or(own);
            if let Some(scope) = self.scopes.get_mut(level) {
                scope.aggregated = true;
            }
        }
        self.deepest = self.deepest.max(around);
    }

    /// An aggregate that is not built in, or that the grammar spells: JSON_ARRAYAGG.
    fn is_own_aggregate(&self, name: &ObjectName) -> bool {
        let Some(last) = name.0.last().and_then(|part| part.as_ident()).map(name_of) else { return false };
        last.ends_with("agg")
            || self.context.catalog.functions(&last).iter().any(|known| known.kind == FunctionKind::Aggregate)
    }
}

/// Whether each FROM item has a name of its own.
fn unique(sources: &[Source]) -> bool {
    let mut seen = BTreeSet::new();
    sources.iter().filter_map(|source| source.name.as_deref()).all(|name| seen.insert(name))
}

fn distinct(columns: &[NamedColumn]) -> bool {
    let mut seen = BTreeSet::new();
    columns.iter().all(|(name, _)| seen.insert(name))
}

fn names(columns: &Columns) -> Option<Vec<NamedColumn>> {
    let columns = columns.as_ref()?;
    let sure = columns.iter().all(|column| column.by_star.as_ref().is_none_or(|(id, _)| *id != UNSURE));
    sure.then(|| columns.iter().map(|column| (column.name.clone(), column.by_star.clone())).collect())
}
