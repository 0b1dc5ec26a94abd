//! Patterns for names: `*` stands for any letters, none included. The narrowest that matches wins, and two of which neither is narrower
//! say nothing together.

use std::fmt;

use crate::catalog::RelationName;
use crate::document::Place;

/// Whether a text is a pattern, and not a name.
pub(in crate::policy) fn is_pattern(text: &str) -> bool {
    text.contains('*')
}

/// Whether a relation's name is a pattern.
pub(in crate::policy) fn is_relation_pattern(name: &RelationName) -> bool {
    is_pattern(&name.schema) || is_pattern(&name.name)
}

/// Whether a pattern for relations means this one.
pub(in crate::policy) fn matches_relation(pattern: &RelationName, name: &RelationName) -> bool {
    matches(&pattern.schema, &name.schema) && matches(&pattern.name, &name.name)
}

/// Whether `pattern` matches all of `name`.
pub(in crate::policy) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last star stands, and the first letter that it has not swallowed yet.
    let (mut at, mut seen, mut star) = (0, 0, None::<(usize, usize)>);
    while let Some(letter) = name.get(seen) {
        match (pattern.get(at), star) {
            (Some('*'), _) => {
                star = Some((at, seen));
                at += 1;
            }
            (Some(wanted), _) if wanted == letter => (at, seen) = (at + 1, seen + 1),
            (_, Some((back, swallowed))) => {
                (at, seen) = (back + 1, swallowed + 1);
                star = Some((back, swallowed + 1));
            }
            (_, None) => return false,
        }
    }
    pattern.get(at..).is_none_or(|rest| rest.iter().all(|letter| *letter == '*'))
}

/// Whether every name that `one` matches is one that `other` matches. A star of `one` may stand for any letter, so that only a star of
/// `other` covers it.
pub(in crate::policy) fn within(one: &str, other: &str) -> bool {
    // A letter that stands in no name.
    const ANY: &str = "\u{0}";
    matches(other, &one.replace('*', ANY))
}

/// Whether some name is matched by both.
pub(in crate::policy) fn meet(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // `row[j]`: what is left of `one` and the end of `other` from `j` on have a name in common.
    let mut row: Vec<bool> = vec![false; other.len() + 1];
    for i in (0..=one.len()).rev() {
        let mut next = vec![false; other.len() + 1];
        for j in (0..=other.len()).rev() {
            let below = |row: &[bool], at: usize| row.get(at).copied().unwrap_or(false);
            let met = match (one.get(i), other.get(j)) {
                (None, None) => true,
                (Some('*'), _) if below(&row, j) => true,
                (Some('*'), Some(_)) if below(&next, j + 1) => true,
                (_, Some('*')) if below(&next, j + 1) || (i < one.len() && below(&row, j)) => true,
                (Some(a), Some(b)) if a == b => below(&row, j + 1),
                (_, _) => false,
            };
            if let Some(cell) = next.get_mut(j) {
                *cell = met;
            }
        }
        row = next;
    }
    row.first().copied().unwrap_or(false)
}

/// What both match, where one lies within the other; `None` where neither does.
fn narrower<'a>(one: &'a str, other: &'a str) -> Option<&'a str> {
    if within(one, other) {
        Some(one)
    } else if within(other, one) {
        Some(other)
    } else {
        None
    }
}

/// Schema, relation and column, each a name or a pattern; a pattern for relations alone has `*` for every column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Shape(pub(in crate::policy) [String; 3]);

impl Shape {
    /// Every column of the relations that a pattern names.
    pub(in crate::policy) fn of_relation(name: &RelationName) -> Self {
        Self::of_column(name, "*")
    }

    pub(in crate::policy) fn of_column(name: &RelationName, column: &str) -> Self {
        Self([name.schema.clone(), name.name.clone(), column.to_owned()])
    }

    fn pairs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(String::as_str).zip(other.0.iter().map(String::as_str))
    }

    pub(in crate::policy) fn matches(&self, relation: &RelationName, column: &str) -> bool {
        let Self([schema, table, own]) = self;
        matches(schema, &relation.schema) && matches(table, &relation.name) && matches(own, column)
    }

    pub(in crate::policy) fn within(&self, other: &Self) -> bool {
        self.pairs(other).all(|(one, other)| within(one, other))
    }

    pub(in crate::policy) fn meets(&self, other: &Self) -> bool {
        self.pairs(other).all(|(one, other)| meet(one, other))
    }

    /// A pattern for what both match, as far as it is one: what they share by their stars alone is left out.
    pub(in crate::policy) fn with(&self, other: &Self) -> Self {
        let common = |one: &str, other: &str| match (narrower(one, other), one.ends_with('*'), other.ends_with('*')) {
            (Some(common), ..) => common.to_owned(),
            (None, true, _) => format!("{one}{}", other.trim_start_matches('*')),
            (None, false, true) => format!("{other}{}", one.trim_start_matches('*')),
            (None, false, false) => format!("{one}{other}"),
        };
        let Self([a, b, c]) = self;
        let Self([x, y, z]) = other;
        Self([common(a, x), common(b, y), common(c, z)])
    }

    /// Whether a third says what is meant where both match: it lies within both, and covers what they have in common as far as that is one
    /// pattern itself. What is left, such as the name that two patterns share by their stars alone, stays closed.
    pub(in crate::policy) fn settles(&self, one: &Self, other: &Self) -> bool {
        let covers = self.pairs(one).zip(&other.0).all(|((own, one), other)| match narrower(one, other) {
            Some(common) => within(common, own),
            None => true,
        });
        self != one && self != other && self.within(one) && self.within(other) && covers
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([schema, table, column]) = self;
        f.write_str(&super::column_name(&RelationName::new(schema, table), column))
    }
}

/// A category for every column that a pattern matches, of tables that the policies list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct ColumnPattern {
    pub(in crate::policy) shape: Shape,
    /// The listing in which it stands, and of whose tables alone it speaks; `None`: of every listed table.
    pub(in crate::policy) owner: Option<RelationName>,
    pub(in crate::policy) category: String,
    pub(in crate::policy) place: Place,
}

/// The one of the candidates that lies within each other one; `None` where there is none.
pub(in crate::policy) fn narrowest<'a, T>(candidates: &[&'a T], shape: impl Fn(&T) -> &Shape) -> Option<&'a T> {
    let mut found = candidates.iter().filter(|one| candidates.iter().all(|other| shape(one).within(shape(other))));
    let first = found.next()?;
    // Two that match the same names are no better than two of which neither is narrower.
    found.next().is_none().then_some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("audit_*", "audit_", true),
            ("audit_*", "audit", false),
            ("*_at", "created_at", true),
            ("*_at", "created_at_x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("Name", "name", false),
            ("é*", "été", true),
            ("name", "name", true),
            ("", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn one_lies_within_the_other_where_it_matches_no_more() {
        for (one, other, expected) in [
            ("created_at", "*_at", true),
            ("*_at", "created_at", false),
            ("audit_*_at", "*_at", true),
            ("audit_*", "*_at", false),
            ("*", "**", true),
            ("**", "*", true),
            ("a*", "a*", true),
        ] {
            assert_eq!(within(one, other), expected, "{one} {other}");
        }
    }

    /// Both answers, held against every name of three letters of two kinds.
    #[test]
    fn what_is_said_of_two_patterns_holds_for_every_short_name() {
        let letters = ['a', 'b'];
        let mut words = vec![String::new()];
        for length in 0..4 {
            let longer: Vec<String> = words
                .iter()
                .filter(|word| word.len() == length)
                .flat_map(|word| letters.map(|letter| format!("{word}{letter}")))
                .collect();
            words.extend(longer);
        }
        let patterns: Vec<String> = ["", "*", "a", "a*", "*a", "*b", "ab", "a*b", "*a*", "b*a", "aa*", "*ba", "a*a*b"]
            .map(str::to_owned)
            .to_vec();
        for one in &patterns {
            for other in &patterns {
                let common = words.iter().any(|word| matches(one, word) && matches(other, word));
                assert!(meet(one, other) || !common, "{one} {other} have a name in common");
                assert!(!meet(one, other) || common || one.len() + other.len() > 4, "{one} {other} have none");
                let inside = words.iter().all(|word| !matches(one, word) || matches(other, word));
                assert!(!within(one, other) || inside, "{one} within {other}");
            }
        }
    }

    #[test]
    fn the_narrowest_of_all_wins_and_a_tie_has_none() {
        let shape = |text: [&str; 3]| Shape(text.map(str::to_owned));
        let (every, schema, table) =
            (shape(["*", "*", "at"]), shape(["public", "*", "at"]), shape(["*", "orders", "at"]));
        let both = shape(["public", "orders", "at"]);
        assert_eq!(narrowest(&[&every, &schema], |shape| shape), Some(&schema));
        assert_eq!(narrowest(&[&schema, &table], |shape| shape), None);
        assert_eq!(narrowest(&[&every, &schema, &table, &both], |shape| shape), Some(&both));
        assert!(both.settles(&schema, &table) && !every.settles(&schema, &table));
        assert_eq!(schema.with(&table), both);
        assert_eq!(shape(["s", "a*", "*"]).with(&shape(["s", "*b", "*"])), shape(["s", "a*b", "*"]));
        assert_eq!(narrowest(&[&every, &every], |shape| shape), None, "the same twice");
    }
}
