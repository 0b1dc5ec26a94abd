//! Slots in the AST, where sqlparser made constants of the signs that stood in the tokens.

use std::ops::ControlFlow;

use sqlparser::ast::{ValueWithSpan, VisitMut, VisitorMut};

use super::constant::Slot;

/// Puts slots in the place of such constants. A sign that sqlparser put elsewhere, into a name or a length, stays what it is,
/// and [`super::Template::of`] refuses the text.
pub(in crate::sql) fn slots(tree: &mut impl VisitMut) {
    let _ = tree.visit(&mut Slots);
}

struct Slots;

impl VisitorMut for Slots {
    type Break = ();

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Some(slot) = Slot::tree_value(&value.value) {
            value.value = slot;
        }
        ControlFlow::Continue(())
    }
}
