//! Row locks that a statement waits for.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, Statement, Visit, Visitor};

struct Waits;

impl Visitor for Waits {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        // NOWAIT and SKIP LOCKED wait for nobody.
        if query.locks.iter().any(|lock| lock.nonblock.is_none()) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Whether it locks rows, at any depth, and waits for whoever holds them: FOR UPDATE, FOR SHARE and the like.
pub(in crate::sql) fn waits_for_locks(statement: &Statement) -> bool {
    statement.visit(&mut Waits).is_break()
}
