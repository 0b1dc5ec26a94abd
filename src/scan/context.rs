//! What the columns of a table say of each other.

use super::kind::{Kind, Level};
use super::lexicon::Lexicon;
use super::naming::Named;
use super::profile::{Check, Profile};
use super::words;

/// Which columns say that the rows are people.
pub(super) struct People {
    columns: Vec<bool>,
    /// The table's own name does.
    table: bool,
}

impl People {
    pub(super) fn of(table: &str, read: &[Option<Named>], profiles: &[Option<Profile>], lexicon: &Lexicon) -> Self {
        let mark = |named: Option<&Named>, profile: Option<&Profile>| {
            let by_name = named.is_some_and(|named| {
                named.kind.marks_people() && (named.level == Level::Sure || named.kind == Kind::Address)
            });
            let by_value = profile.is_some_and(|profile| {
                profile.n > 0 && [Check::Email, Check::Identity].iter().any(|check| profile.share(*check) >= 0.6)
            });
            by_name || by_value
        };
        let columns =
            read.iter().zip(profiles).map(|(named, profile)| mark(named.as_ref(), profile.as_ref())).collect();
        let words = words::split(table, &lexicon.known);
        let table = words.iter().any(|word| lexicon.context.people.contains(word));
        Self { columns, table }
    }

    /// How many others than that column say so; the table's name counts as one.
    pub(super) fn without(&self, column: usize) -> usize {
        let others = self.columns.iter().enumerate().filter(|(at, marks)| *at != column && **marks).count();
        others + usize::from(self.table)
    }
}
