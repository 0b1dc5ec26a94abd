//! What a statement that changes the structure may have changed of it.

use std::collections::BTreeSet;

use super::{Oid, RelationName};

/// More relations than this are read as everything is.
const MOST: usize = 200;

/// What must be read again before anything else is decided.
///
/// It never says too little: where it is not certain what a statement changes, that is [`Self::Everything`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Touched {
    /// Nothing that a snapshot holds: rights, comments, rows, locks.
    #[default]
    Nothing,
    /// These relations, and what goes with them: their parts, parents, children, row types, what refers to them and what they refer to.
    These {
        /// Those that the statement's decision knew.
        oids: BTreeSet<Oid>,
        /// Names, for what it made, and for what has a name by now that was another's.
        names: BTreeSet<RelationName>,
    },
    /// It is not known what.
    Everything,
}

impl Touched {
    /// Both.
    pub fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Nothing) | (Self::Everything, _) => {}
            (Self::Nothing, _) | (_, Self::Everything) => *self = other.clone(),
            (Self::These { oids, names }, Self::These { oids: more, names: called }) => {
                oids.extend(more);
                names.extend(called.iter().cloned());
                if oids.len().saturating_add(names.len()) > MOST {
                    *self = Self::Everything;
                }
            }
        }
    }

    /// Whether nothing need be read.
    pub fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// What was touched and not read yet. A session that touches nothing holds a word for it.
#[derive(Debug, Default)]
pub struct Unread(Option<Box<Touched>>);

impl Unread {
    /// Adds to it.
    pub fn add(&mut self, touched: &Touched) {
        if !touched.is_nothing() {
            self.0.get_or_insert_default().add(touched);
        }
    }

    /// All of it.
    pub fn touched(&self) -> &Touched {
        self.0.as_deref().unwrap_or(&Touched::Nothing)
    }

    /// All of it, and nothing is left.
    pub fn take(&mut self) -> Touched {
        self.0.take().map_or(Touched::Nothing, |touched| *touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(oids: impl IntoIterator<Item = Oid>) -> Touched {
        Touched::These { oids: oids.into_iter().collect(), names: BTreeSet::new() }
    }

    #[test]
    fn what_is_touched_adds_up_and_never_to_less() {
        let mut touched = Touched::Nothing;
        touched.add(&Touched::Nothing);
        assert!(touched.is_nothing());
        touched.add(&these([1, 2]));
        touched.add(&Touched::Nothing);
        touched.add(&these([2, 3]));
        assert_eq!(touched, these([1, 2, 3]));
        touched.add(&these(100..400));
        assert_eq!(touched, Touched::Everything, "too many to be asked about one by one");
        touched.add(&these([1]));
        assert_eq!(touched, Touched::Everything);
        let mut unread = Unread::default();
        unread.add(&Touched::Nothing);
        assert!(unread.touched().is_nothing());
        unread.add(&these([4]));
        unread.add(&these([5]));
        assert_eq!(*unread.touched(), these([4, 5]));
        assert_eq!((unread.take(), unread.take()), (these([4, 5]), Touched::Nothing));
    }
}
