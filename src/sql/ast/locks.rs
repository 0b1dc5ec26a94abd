//! Row locks that a statement waits for.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, SetExpr, Statement};

use super::walk::{Look, look};

struct Waits;

impl Look for Waits {
    fn query(&mut self, query: &Query) -> ControlFlow<()> {
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
    look(statement, &mut Waits).is_break()
}

/// Whether it changes or deletes rows and gives them back: it waits for whoever changes the same, or a key of theirs.
pub(in crate::sql) fn returns_changed(statement: &Statement) -> bool {
    match statement {
        Statement::Update(update) => update.returning.is_some(),
        Statement::Delete(delete) => delete.returning.is_some(),
        Statement::Query(query) => match &*query.body {
            SetExpr::Update(statement) | SetExpr::Delete(statement) => returns_changed(statement),
            _ => false,
        },
        _ => false,
    }
}
