//! Faults that several parts of a policy can have.

use crate::document::{Fault, Located, Place};
use crate::document::{alike, quoted};

/// Notes a name that was given before.
pub(in crate::policy) fn twice(what: &str, name: &str, place: &Place, before: &Place, faults: &mut Vec<Fault>) {
    faults.push(Fault::error(place, format!("{what} `{name}` is already given at {before}")));
}

/// `unknown role `supprt`: did you mean `support`?`
pub(in crate::policy) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&String> = known.collect();
    match known.iter().find(|other| alike(other, name)) {
        Some(near) => format!("unknown {what} `{name}`: did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`: there are {}", quoted(known)),
    }
}

/// A text that must say something.
pub(in crate::policy) fn spoken(text: Option<Located<String>>, what: &str, faults: &mut Vec<Fault>) -> Option<String> {
    let text = text?;
    if text.value.trim().is_empty() {
        faults.push(Fault::error(&text.place, format!("{what} is empty")));
        return None;
    }
    Some(text.value)
}
