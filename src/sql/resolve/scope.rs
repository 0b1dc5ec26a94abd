//! What names mean at one level of a query.

use std::collections::BTreeSet;

use super::names::is_system_column;
use super::{Fail, Resolver};
use crate::error::{Refusal, SqlState, Stage};
use crate::policy::Use;

/// Index of an occurrence of a relation.
pub(in crate::sql) type OccurrenceId = usize;

/// Index of a query whose rows carry whose they are.
pub(in crate::sql) type CarrierId = usize;

/// Where a visible column comes from: a column of an occurrence, by its catalog name. Empty where it is computed.
pub(super) type Origins = Vec<(OccurrenceId, String)>;

/// A column that a FROM item shows.
#[derive(Debug, Clone)]
pub(super) struct VisibleColumn {
    /// The name it is called by.
    pub(super) name: String,
    /// Where it comes from.
    pub(super) origins: Origins,
    /// It is there by a star over this column, and is left out where the policy closes that; [`UNSURE`]: nobody knows.
    pub(super) by_star: Option<(OccurrenceId, String)>,
}

/// Stands for the occurrence where columns that a star leaves out were counted by an alias list.
pub(super) const UNSURE: OccurrenceId = OccurrenceId::MAX;

impl VisibleColumn {
    pub(super) fn computed(name: impl Into<String>) -> Self {
        Self { name: name.into(), origins: Vec::new(), by_star: None }
    }
}

/// The columns of a FROM item or a subquery; `None` where they cannot be known.
pub(super) type Columns = Option<Vec<VisibleColumn>>;

/// One FROM item.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// What it is called; `None` for a derived table or join without alias.
    pub(super) name: Option<String>,
    /// Its schema, where it may be called by its full name: a relation without alias.
    pub(super) schema: Option<String>,
    /// Its columns.
    pub(super) columns: Columns,
    /// The occurrence, where it is a relation.
    pub(super) occurrence: Option<OccurrenceId>,
    /// Unqualified names may mean its columns. False for `excluded`.
    pub(super) unqualified: bool,
    /// The query whose rows it has, where they may carry subjects.
    pub(super) carrier: Option<CarrierId>,
    /// An outer join may put NULL in its place.
    pub(super) missing: bool,
    /// Occurrences within it that may be missing from its rows, or whose rows were cut by a LIMIT.
    pub(super) doubtful: BTreeSet<OccurrenceId>,
}

impl Source {
    /// A relation under the name that the statement has for it.
    pub(super) fn relation(name: String, schema: Option<String>, columns: Columns, id: OccurrenceId) -> Self {
        Self { name: Some(name), schema, columns, occurrence: Some(id), ..Self::nameless() }
    }

    /// A FROM item of which nothing is known.
    pub(super) fn nameless() -> Self {
        Self {
            name: None,
            schema: None,
            columns: None,
            occurrence: None,
            unqualified: true,
            carrier: None,
            missing: false,
            doubtful: BTreeSet::new(),
        }
    }

    pub(super) fn column(&self, name: &str) -> Option<&VisibleColumn> {
        self.columns.as_ref()?.iter().find(|column| column.name == name)
    }
}

/// One level of a query: its FROM items.
#[derive(Debug, Default, Clone)]
pub(super) struct Scope {
    /// FROM items, in order.
    pub(super) sources: Vec<Source>,
    /// Columns that USING or NATURAL made one.
    pub(super) merged: BTreeSet<String>,
    /// It is a level whose select list may take the keys of subjects.
    pub(super) leaf: bool,
    /// An aggregate belongs to it.
    pub(super) aggregated: bool,
    /// A window function stands in it: what it shows is of more rows than its own.
    pub(super) windowed: bool,
}

/// What a column reference turned out to be.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Columns of occurrences (several where USING merged them), or a computed column (none).
    Column(Origins),
    /// A whole row; its columns' origins.
    Row(Columns, Option<OccurrenceId>, Option<CarrierId>),
    /// A column of a FROM item whose columns are not known.
    Unknown,
}

impl Resolver<'_> {
    /// What an unqualified or qualified column reference means. Marks nothing.
    pub(super) fn meaning(&self, parts: &[String]) -> Result<Meaning, Fail> {
        match parts {
            [column] => self.unqualified(column),
            [table, column] => self.qualified(None, table, column),
            [schema, table, column] => self.qualified(Some(schema), table, column),
            _ => Err(Refusal::new(
                Stage::Resolve,
                SqlState::UNDEFINED_COLUMN,
                format!("column `{}` has too many parts to its name", parts.join(".")),
            )),
        }
    }

    /// PostgreSQL's `colNameToVar`: the innermost level that has the name decides; two there are an error.
    fn unqualified(&self, name: &str) -> Result<Meaning, Fail> {
        let mut unknown = false;
        for scope in self.scopes.iter().rev() {
            match scope.find(name)? {
                Some(origins) => return Ok(Meaning::Column(origins)),
                None => unknown |= scope.sources.iter().any(|source| source.unqualified && source.columns.is_none()),
            }
        }
        for scope in self.scopes.iter().rev() {
            if let Some(source) = scope.sources.iter().find(|source| source.name.as_deref() == Some(name)) {
                return Ok(Meaning::Row(source.columns.clone(), source.occurrence, source.carrier));
            }
        }
        if unknown {
            return Ok(Meaning::Unknown);
        }
        Err(self.no_column(None, name))
    }

    fn qualified(&self, schema: Option<&String>, table: &str, column: &str) -> Result<Meaning, Fail> {
        let source = self.source(schema, table)?;
        match (source.column(column), &source.columns) {
            (Some(found), _) => Ok(Meaning::Column(found.origins.clone())),
            (None, Some(_)) if is_system_column(column) && source.occurrence.is_some() => {
                Ok(Meaning::Column(source.occurrence.iter().map(|id| (*id, column.to_owned())).collect()))
            }
            (None, None) => {
                // `t.f` calls the function `f` where `t` has no such column and a row type fits.
                self.check_field(column)?;
                Ok(Meaning::Unknown)
            }
            (None, Some(_)) => Err(self.no_column(Some(table), column)),
        }
    }

    /// The FROM item of that name, from the innermost level out.
    pub(super) fn source(&self, schema: Option<&String>, table: &str) -> Result<&Source, Fail> {
        let wanted = |source: &&Source| {
            source.name.as_deref() == Some(table) && (schema.is_none() || source.schema.as_ref() == schema)
        };
        for scope in self.scopes.iter().rev() {
            let mut found = scope.sources.iter().filter(wanted);
            match (found.next(), found.next()) {
                (Some(source), None) => return Ok(source),
                (Some(_), Some(_)) => {
                    return Err(Refusal::new(
                        Stage::Resolve,
                        SqlState::AMBIGUOUS_COLUMN,
                        format!("table reference `{table}` is ambiguous"),
                    ));
                }
                (None, _) => {}
            }
        }
        let of = |what: &str| {
            Refusal::new(
                Stage::Resolve,
                SqlState::UNDEFINED_TABLE,
                format!("{what} FROM-clause entry for table `{table}`"),
            )
            .named(vec![table.to_owned(), String::new()])
        };
        // PostgreSQL's `errorMissingRTE`: the table may be there under another name.
        let sources = self.scopes.iter().rev().flat_map(|scope| &scope.sources);
        let aliased = sources.into_iter().find_map(|source| {
            let occurrence = self.occurrences.get(source.occurrence?)?;
            source.name.as_ref().filter(|name| *name != table && occurrence.relation.name.name == table)
        });
        Err(match aliased {
            Some(alias) => {
                of("invalid reference to").hint(format!("perhaps you meant to reference the table alias `{alias}`"))
            }
            None => of("missing"),
        })
    }

    /// Notes that the statement uses these columns.
    pub(super) fn mark(&mut self, origins: &Origins, usage: Use) {
        for (occurrence, column) in origins {
            if let Some(occurrence) = self.occurrences.get_mut(*occurrence) {
                occurrence.mark(column, usage);
            }
        }
    }

    /// Notes a further use of columns that are used already.
    pub(super) fn mark_if_used(&mut self, origins: &Origins, usage: Use) {
        for (occurrence, column) in origins {
            if let Some(occurrence) = self.occurrences.get_mut(*occurrence)
                && occurrence.uses.contains_key(column)
            {
                occurrence.mark(column, usage);
            }
        }
    }

    /// A column reference that is written as it was.
    pub(super) fn saw_column(&mut self, parts: Vec<String>) {
        self.seen.add_column(parts.clone());
        self.meant.add_column(parts);
    }

    /// Notes that the statement uses the whole row: every column that may be seen.
    pub(super) fn mark_row(&mut self, columns: &Columns, occurrence: Option<OccurrenceId>) {
        if let Some(occurrence) = occurrence.and_then(|id| self.occurrences.get_mut(id)) {
            occurrence.mark_star();
        } else if let Some(columns) = columns {
            let mut touched: BTreeSet<OccurrenceId> = BTreeSet::new();
            for column in columns {
                touched.extend(column.origins.iter().map(|(id, _)| *id));
            }
            for id in touched {
                if let Some(occurrence) = self.occurrences.get_mut(id) {
                    occurrence.mark_star();
                }
            }
        }
    }
}

impl Scope {
    /// A system column: that of the one table of this level.
    fn system_column(&self, name: &str) -> Result<Option<Origins>, Fail> {
        if !is_system_column(name) {
            return Ok(None);
        }
        let mut tables = self.sources.iter().filter(|source| source.unqualified).filter_map(|source| source.occurrence);
        match (tables.next(), tables.next()) {
            (None, _) => Ok(None),
            (Some(id), None) => Ok(Some(vec![(id, name.to_owned())])),
            (Some(_), Some(_)) => Err(ambiguous(name)),
        }
    }

    /// The column of that name at this level alone. A source of unknown columns is passed over.
    pub(super) fn find(&self, name: &str) -> Result<Option<Origins>, Fail> {
        let mut found =
            self.sources.iter().filter(|source| source.unqualified).filter_map(|source| source.column(name));
        let Some(first) = found.next() else { return self.system_column(name) };
        let rest: Vec<_> = found.collect();
        if rest.is_empty() {
            return Ok(Some(first.origins.clone()));
        }
        if self.merged.contains(name) {
            let origins = std::iter::once(first).chain(rest).flat_map(|column| column.origins.clone()).collect();
            return Ok(Some(origins));
        }
        Err(ambiguous(name))
    }
}

/// 42702.
fn ambiguous(name: &str) -> Refusal {
    let message = format!("column reference `{name}` is ambiguous");
    Refusal::new(Stage::Resolve, SqlState::AMBIGUOUS_COLUMN, message).named(vec![name.to_owned()])
}
