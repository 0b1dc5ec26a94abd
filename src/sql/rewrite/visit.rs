//! The way through the tree: what stands where is replaced before it is gone into.

use sqlparser::ast::{BinaryOperator, Expr, OutputClause, Query, Select, Statement, TableFactor};

use super::Rewriter;
use crate::error::{Refusal, Stage};
use crate::sql::ast::marker;
use crate::sql::ast::walk::Change;
use crate::sql::resolve::Mark;

impl Change for Rewriter<'_> {
    fn table_factor(&mut self, factor: &mut TableFactor) {
        let result = self.table(factor);
        self.or_fault(result);
    }

    fn select(&mut self, select: &mut Select) {
        let result = self.group(&mut select.group_by);
        self.or_fault(result);
        if self.marked {
            let result = self.plan.finish(&self.parts, &mut select.projection, &mut self.expected);
            self.or_fault(result);
        }
    }

    fn query(&mut self, query: &mut Query) {
        if self.marked {
            let result = self.values(&mut query.body);
            self.or_fault(result);
        }
    }

    fn statement(&mut self, statement: &mut Statement) {
        let returning = match statement {
            Statement::Insert(insert) => insert.returning.as_mut(),
            Statement::Update(update) => update.returning.as_mut(),
            Statement::Delete(delete) => delete.returning.as_mut(),
            Statement::Merge(merge) => match merge.output.as_mut() {
                Some(OutputClause::Returning { returning_token: _, select_items }) => Some(select_items),
                Some(OutputClause::Output { .. }) | None => None,
            },
            // Nothing else is marked, and a mark that stayed would not be read again.
            _ => None,
        };
        if let Some(returning) = returning {
            let result = self.returned(returning);
            self.or_fault(result);
            if self.marked {
                let result = self.plan.finish(&self.parts, returning, &mut self.expected);
                self.or_fault(result);
            }
        }
    }

    fn expr(&mut self, expr: &mut Expr) {
        let replaced = match expr {
            Expr::Named { name, .. } if marker::is_label(name) => None,
            Expr::Named { expr: inner, name } => {
                let (inner, mark) = (inner.as_ref().clone(), Mark::read(name));
                Some(match mark {
                    Some(Mark::New(id, position)) => self.added(&inner, id, position),
                    Some(Mark::Keep(id, position)) => self.kept(&inner, id, position),
                    Some(Mark::Lookup(id, number)) => self.lookup(&inner, id, number),
                    Some(
                        Mark::Relation(_)
                        | Mark::Filter(_)
                        | Mark::Group(_)
                        | Mark::Subject(..)
                        | Mark::Return { .. }
                        | Mark::ReturnAll(_)
                        | Mark::ReturnOne(..),
                    )
                    | None => Err(Refusal::internal(Stage::Rewrite)),
                })
            }
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => match Mark::filter(right) {
                Some(id) => {
                    let condition = left.as_ref().clone();
                    Some(self.filter_target(id, Some(condition)))
                }
                None => None,
            },
            Expr::Identifier(_) => Mark::filter(expr).map(|id| self.filter_target(id, None)),
            _ => None,
        };
        if let Some(result) = replaced
            && let Some(replaced) = self.or_fault(result)
        {
            *expr = replaced;
        }
    }
}
