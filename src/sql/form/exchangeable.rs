//! Which constants PostgreSQL's tree has as nothing but a value, at the place where they stand.

use std::collections::HashMap;

use super::constant::{Class, Constants};
use super::template::Place;

/// A constant of PostgreSQL's tree (`A_Const`): where it starts in the text, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sql) struct Found {
    pub(in crate::sql) location: usize,
    pub(in crate::sql) value: FoundValue,
}

/// A value as the grammar has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sql) enum FoundValue {
    /// `Integer`.
    Integer(i64),
    /// `Float`: digits as they stand.
    Float(String),
    /// `String`.
    Text(String),
    /// TRUE, NULL, bit strings.
    Other,
}

/// Pins each constant that the tree of `text` does not have, with its own value, where it stands.
///
/// A minus before a number is a part of the constant in the tree (`doNegate` in `gram.y`), which then begins at the sign.
pub(in crate::sql) fn pin_others(text: &str, places: &[Place], found: &[Found], constants: &Constants) {
    let by_location: HashMap<usize, &FoundValue> = found.iter().map(|found| (found.location, &found.value)).collect();
    for place in places {
        let Some((class, value)) = constants.written(place.slot) else { continue };
        let plain = by_location.get(&place.start).is_some_and(|found| is(found, class, value, false));
        let negated = || {
            let before = text.get(..place.start).unwrap_or("").trim_end_matches([' ', '\t', '\n', '\r', '\x0c']);
            before.ends_with('-')
                && by_location.get(&(before.len() - 1)).is_some_and(|found| is(found, class, value, true))
        };
        if !(plain || negated()) {
            constants.pin(place.slot);
        }
    }
}

fn is(found: &FoundValue, class: Class, value: &str, negated: bool) -> bool {
    match (found, class) {
        (FoundValue::Integer(number), Class::Integer) => {
            value.parse::<i64>().is_ok_and(|value| *number == if negated { -value } else { value })
        }
        (FoundValue::Float(digits), Class::Large | Class::Numeric) if negated => {
            digits.strip_prefix('-').is_some_and(|digits| digits == value)
        }
        (FoundValue::Float(digits), Class::Large | Class::Numeric) => digits == value,
        (FoundValue::Text(text), Class::Text) => !negated && text == value,
        (
            FoundValue::Integer(_) | FoundValue::Float(_) | FoundValue::Text(_) | FoundValue::Other,
            Class::Integer | Class::Large | Class::Numeric | Class::Text,
        ) => false,
    }
}
