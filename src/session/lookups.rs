//! Lookups of raw values: a session makes so many in a minute, so that a masked column cannot be tried out value by value.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::enforcer::Decision;
use super::state::Session;
use crate::error::{Refusal, SqlState, Stage};
use crate::sql::{Effect, Lookups};

const MINUTE: Duration = Duration::from_secs(60);

/// The lookups of the last minute.
#[derive(Debug, Default)]
pub(super) struct Meter {
    made: VecDeque<(Instant, u32)>,
}

impl Meter {
    /// Whether so many more are within the limit; they count if they are.
    fn take(&mut self, lookups: Lookups, now: Instant) -> bool {
        while self.made.front().is_some_and(|(at, _)| now.duration_since(*at) >= MINUTE) {
            self.made.pop_front();
        }
        let made: u32 =
            self.made.iter().map(|(_, count)| count).fold(lookups.count, |sum, more| sum.saturating_add(*more));
        let within = made <= lookups.limit;
        if within {
            self.made.push_back((now, lookups.count));
        }
        within
    }
}

impl Session {
    /// Counts what a run looks up. `statement` is what runs, `rows_of` what its rows come from (EXECUTE runs another).
    ///
    /// # Errors
    /// 53400 where the session has looked up too much in the last minute.
    pub(super) fn count_lookups(&mut self, statement: &Decision, rows_of: &Decision) -> Result<(), Refusal> {
        let lookups = rows_of.enforced.lookups();
        let runs = !matches!(statement.enforced.effect(), Effect::Prepare(_) | Effect::Fetch(_));
        if lookups.count == 0 || !runs || self.lookups.take(lookups, Instant::now()) {
            return Ok(());
        }
        let message = format!("this session may look up {} values a minute, and has", lookups.limit);
        Err(Refusal::new(Stage::Session, SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
            .detail("a lookup tests the raw value of a masked column")
            .hint("wait a minute; the limit is `lookup_limit` of the role, or of the rule, in the policy"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_after_a_lookup_there_is_room_for_another() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let mut take = |count, seconds| meter.take(Lookups { count, limit: 3 }, start + Duration::from_secs(seconds));
        assert!(take(2, 0));
        assert!(take(1, 30));
        assert!(!take(1, 59));
        assert!(!take(4, 200), "more at once than the limit");
        assert!(take(2, 200));
        assert!(!take(2, 201), "what was refused did not count, and what ran does");
        assert!(take(1, 202));
    }
}
