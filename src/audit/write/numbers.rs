//! The numbers that a job's records got.

/// Numbers of records that were written together: one after the other, but for what had to stand between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::audit) struct Numbers {
    /// 0 where there is none.
    first: u64,
    last: u64,
    /// Numbers of checkpoints that stand among them.
    between: Vec<u64>,
}

impl Numbers {
    /// Takes the next.
    pub(in crate::audit) fn push(&mut self, seq: u64) {
        if self.first == 0 {
            self.first = seq;
        } else {
            self.between.extend(self.last + 1..seq);
        }
        self.last = seq;
    }

    /// The first.
    pub(in crate::audit) fn first(&self) -> u64 {
        self.first
    }

    /// All of them, in order.
    pub(in crate::audit) fn each(self) -> impl Iterator<Item = u64> {
        (self.first..=self.last).filter(move |seq| !self.between.contains(seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_is_no_number_of_the_job() {
        let mut numbers = Numbers::default();
        [5, 6, 8, 11].into_iter().for_each(|seq| numbers.push(seq));
        assert_eq!(numbers.first(), 5);
        assert_eq!(numbers.each().collect::<Vec<u64>>(), [5, 6, 8, 11]);
    }
}
