//! MERGE: its target is held to what UPDATE, DELETE and INSERT are held to, its source is a FROM item.
//!
//! Rows that the row filter hides take no part: the filter joins ON, so that they match nothing, and the condition of
//! each WHEN NOT MATCHED BY SOURCE, where they would turn up again. To WHEN NOT MATCHED they are as if they were not there,
//! and an INSERT of the same key fails as any other of that key does.

use std::collections::BTreeSet;

use sqlparser::ast::{
    Expr, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertExpr, MergeInsertKind, MergeUpdateExpr,
    MergeUpdateKind, OutputClause,
};

use super::carry::LeafOf;
use super::scope::{Columns, Scope, Source};
use super::write::{filtered, is_default, null};
use super::{Fail, OccurrenceId, Refusal, Resolver, Stage, unsupported};
use crate::policy::{Use, Verb};
use crate::sql::ast::marker;

/// The version from which MERGE knows BY SOURCE, BY TARGET and RETURNING.
const V17: u32 = 170_000;

/// The target under each verb that the actions need.
struct Targets {
    /// The occurrence that conditions and values refer to.
    first: OccurrenceId,
    update: OccurrenceId,
    insert: OccurrenceId,
}

impl Resolver<'_> {
    /// MERGE.
    pub(super) fn merge(&mut self, merge: &mut Merge, leaf: Option<LeafOf>) -> Result<Columns, Fail> {
        let Merge { merge_token: _, optimizer_hints, into, table, source, on, clauses, output } = merge;
        if !optimizer_hints.is_empty() || !*into {
            return Err(unsupported("a clause of another database"));
        }
        self.scopes.push(Scope { leaf: leaf.is_some(), ..Scope::default() });
        // The source sees no target.
        let sources = self.factor(source)?;
        let verbs: BTreeSet<Verb> = clauses.iter().filter_map(|clause| verb(&clause.action)).collect();
        // The one that only reads is held to what UPDATE is held to.
        let first = [Verb::Update, Verb::Delete, Verb::Insert].into_iter().find(|verb| verbs.contains(verb));
        let first = first.unwrap_or(Verb::Update);
        let adds = verbs.contains(&Verb::Insert);
        let (id, target) = self.target_factor(table, first)?;
        let mut targets = Targets { first: id, update: id, insert: id };
        for verb in verbs.into_iter().filter(|verb| *verb != first) {
            let Some(occurrence) = self.occurrences.get(id).cloned() else { return Err(unsupported("this target")) };
            let more = self.occurs(&occurrence.relation, &occurrence.alias, verb);
            match verb {
                Verb::Insert => targets.insert = more,
                Verb::Update => targets.update = more,
                Verb::Select | Verb::Delete | Verb::Define => {}
            }
        }
        let both: Vec<Source> = std::iter::once(target.clone()).chain(sources.iter().cloned()).collect();
        self.sees(both);
        self.judge_predicate(on);
        self.expr(on, Use::Join)?;
        let condition = std::mem::replace(on.as_mut(), null());
        **on = filtered(Some(condition), id);
        for clause in clauses {
            self.clause(clause, &targets, &target, &sources)?;
        }
        let columns = match output {
            None => Some(Vec::new()),
            Some(OutputClause::Returning { returning_token: _, select_items }) => {
                self.needs_17("MERGE with RETURNING")?;
                self.sees(sources.into_iter().chain([target]).collect());
                self.returning(Some(select_items), id, adds)?
            }
            Some(OutputClause::Output { .. }) => return Err(unsupported("a clause of another database")),
        };
        let returning = match output {
            Some(OutputClause::Returning { returning_token: _, select_items }) => Some(select_items),
            Some(OutputClause::Output { .. }) | None => None,
        };
        self.end_returning(returning, leaf);
        self.scopes.pop();
        Ok(columns)
    }

    fn clause(
        &mut self,
        clause: &mut MergeClause,
        targets: &Targets,
        target: &Source,
        sources: &[Source],
    ) -> Result<(), Fail> {
        let MergeClause { when_token: _, clause_kind, predicate, action } = clause;
        let target = std::iter::once(target).cloned();
        let own = sources.iter().cloned();
        match clause_kind {
            MergeClauseKind::Matched => self.sees(target.chain(own).collect()),
            MergeClauseKind::NotMatched => self.sees(own.collect()),
            MergeClauseKind::NotMatchedByTarget => {
                self.needs_17("WHEN NOT MATCHED BY TARGET")?;
                self.sees(own.collect());
            }
            MergeClauseKind::NotMatchedBySource => {
                self.needs_17("WHEN NOT MATCHED BY SOURCE")?;
                self.sees(target.collect());
                // Here the condition runs beside the row filter; elsewhere ON has left hidden rows out.
                if let Some(predicate) = predicate.as_ref() {
                    self.judge_predicate(predicate);
                }
            }
        }
        if let Some(predicate) = predicate {
            self.expr(predicate, Use::Filter)?;
        }
        if matches!(clause_kind, MergeClauseKind::NotMatchedBySource) {
            *predicate = Some(filtered(predicate.take(), targets.first));
        }
        match action {
            MergeAction::Insert(insert) => self.merge_insert(insert, targets.insert),
            MergeAction::Update(update) => self.merge_update(update, targets.update),
            MergeAction::Delete { delete_token: _ } => Ok(()),
            MergeAction::DoNothing { do_token: _, nothing_token: _ } => Ok(()),
        }
    }

    fn merge_update(&mut self, update: &mut MergeUpdateExpr, id: OccurrenceId) -> Result<(), Fail> {
        let MergeUpdateExpr { update_token: _, kind, update_predicate, delete_predicate } = update;
        match (kind, update_predicate, delete_predicate) {
            (MergeUpdateKind::Set(assignments), None, None) => self.assignments(id, assignments),
            (MergeUpdateKind::Set(_) | MergeUpdateKind::Wildcard, ..) => {
                Err(unsupported("an action of another database"))
            }
        }
    }

    fn merge_insert(&mut self, insert: &mut MergeInsertExpr, id: OccurrenceId) -> Result<(), Fail> {
        let MergeInsertExpr { insert_token: _, columns, kind_token: _, kind, insert_predicate } = insert;
        let (MergeInsertKind::Values(values), None) = (kind, insert_predicate) else {
            return Err(unsupported("an action of another database"));
        };
        let named: Vec<String> = columns.iter_mut().map(|name| self.set_column(name)).collect::<Result<_, _>>()?;
        self.writes(id, &named)?;
        let [row] = values.rows.as_mut_slice() else { return Err(unsupported("an INSERT of several rows in MERGE")) };
        let default = |expr: &Expr| {
            is_default(expr) || matches!(expr, Expr::Identifier(ident) if marker::is_default_values(ident))
        };
        row.content.iter_mut().filter(|value| !default(value)).try_for_each(|value| self.expr(value, Use::Output))?;
        if !row.content.iter().any(|value| matches!(value, Expr::Identifier(ident) if marker::is_default_values(ident)))
        {
            self.hold_rows(id, &named, std::iter::once(&mut row.content));
        }
        Ok(())
    }

    /// What the innermost level shows from here on.
    fn sees(&mut self, sources: Vec<Source>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.sources = sources;
        }
    }

    fn needs_17(&self, what: &str) -> Result<(), Fail> {
        if self.context.catalog.server_version() >= V17 {
            return Ok(());
        }
        Err(Refusal::unsupported(Stage::Resolve, format!("{what} needs PostgreSQL 17, and the server is older")))
    }
}

fn verb(action: &MergeAction) -> Option<Verb> {
    match action {
        MergeAction::Insert(_) => Some(Verb::Insert),
        MergeAction::Update(_) => Some(Verb::Update),
        MergeAction::Delete { .. } => Some(Verb::Delete),
        MergeAction::DoNothing { .. } => None,
    }
}
