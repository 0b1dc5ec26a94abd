//! Slots in the AST, where sqlparser made constants of the signs that stood in the tokens.

use sqlparser::ast::{ValueWithSpan, VisitMut};

use super::walk::{Change, change};
use crate::sql::form::Slot;

/// Puts slots in the place of such constants. A sign that sqlparser put elsewhere, into a name or a length, stays what it is,
/// and [`crate::sql::form::Template::of`] refuses the text.
pub(super) fn slots(tree: &mut impl VisitMut) {
    change(tree, &mut Slots);
}

struct Slots;

impl Change for Slots {
    fn after_value(&mut self, value: &mut ValueWithSpan) {
        if let Some(slot) = Slot::tree_value(&value.value) {
            value.value = slot;
        }
    }
}
