//! Ways through an AST, made once for all who go: sqlparser makes a way of its own for each kind of visitor, some hundred kilobytes of
//! the same code a kind, and what a statement costs that is new is for the most part the code that is fetched for it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Who looks at an AST, each node before what is inside it. `Break` ends the way.
pub(in crate::sql) trait Look {
    fn query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn select(&mut self, _select: &Select) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn table_factor(&mut self, _table_factor: &TableFactor) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn relation(&mut self, _relation: &ObjectName) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn statement(&mut self, _statement: &Statement) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn value(&mut self, _value: &ValueWithSpan) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Who changes an AST: each node before what is inside it, or, where the name says so, after.
pub(in crate::sql) trait Change {
    fn table_factor(&mut self, _table_factor: &mut TableFactor) {}
    fn select(&mut self, _select: &mut Select) {}
    fn query(&mut self, _query: &mut Query) {}
    fn statement(&mut self, _statement: &mut Statement) {}
    fn expr(&mut self, _expr: &mut Expr) {}
    fn after_ident(&mut self, _ident: &mut Ident) {}
    fn after_value(&mut self, _value: &mut ValueWithSpan) {}
    fn after_relation(&mut self, _relation: &mut ObjectName) {}
    fn after_table_factor(&mut self, _table_factor: &mut TableFactor) {}
    fn after_expr(&mut self, _expr: &mut Expr) {}
    fn after_select(&mut self, _select: &mut Select) {}
    fn after_query(&mut self, _query: &mut Query) {}
    fn after_statement(&mut self, _statement: &mut Statement) {}
}

/// Goes through a node and all that is inside it; whether the one who looked broke off.
pub(in crate::sql) fn look(node: &impl Visit, who: &mut dyn Look) -> ControlFlow<()> {
    node.visit(&mut Looking(who))
}

/// Goes through a node and all that is inside it.
pub(in crate::sql) fn change(node: &mut impl VisitMut, who: &mut dyn Change) {
    let _ = node.visit(&mut Changing(who));
}

struct Looking<'a>(&'a mut dyn Look);

impl Visitor for Looking<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.query(query)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.0.select(select)
    }

    fn pre_visit_table_factor(&mut self, table_factor: &TableFactor) -> ControlFlow<()> {
        self.0.table_factor(table_factor)
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.0.relation(relation)
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.0.statement(statement)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0.expr(expr)
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        self.0.value(value)
    }
}

struct Changing<'a>(&'a mut dyn Change);

impl VisitorMut for Changing<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table_factor: &mut TableFactor) -> ControlFlow<()> {
        self.0.table_factor(table_factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.0.select(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.0.query(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        self.0.statement(statement);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.0.expr(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_ident(&mut self, ident: &mut Ident) -> ControlFlow<()> {
        self.0.after_ident(ident);
        ControlFlow::Continue(())
    }

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        self.0.after_value(value);
        ControlFlow::Continue(())
    }

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        self.0.after_relation(relation);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table_factor: &mut TableFactor) -> ControlFlow<()> {
        self.0.after_table_factor(table_factor);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.0.after_expr(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.0.after_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.0.after_query(query);
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        self.0.after_statement(statement);
        ControlFlow::Continue(())
    }
}
