//! Lookups of raw values: a session makes so many in a minute, and all sessions of a login ten times as many, so that a masked
//! column cannot be tried out value by value, nor by who connects again and again; and the access log names each value by a
//! keyed digest.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dashmap::DashMap;

use crate::audit::LookedUp;
use crate::catalog::Oid;
use crate::error::{Refusal, SqlState, Stage};
use crate::session::flow::running::Running;
use crate::session::shared::Shared;
use crate::session::state::Session;
use crate::sql::{Compared, Given, Lookups, Tested};
use crate::wire::Values;

use super::together::Away;

const MINUTE: Duration = Duration::from_secs(60);
/// Lookups within so short a time are one entry of a meter, so that it has no more than [`MINUTE`] of them.
const TICK: Duration = Duration::from_secs(1);
/// Past so many logins those are forgotten that have looked up nothing in the last minute.
const LOGINS: usize = 1024;
/// All sessions of a login have what so many sessions may: clerks who share a login look up side by side.
const SESSIONS: u32 = 10;

/// What all sessions of a login may make where each may make so many.
fn together(limit: u32) -> u32 {
    limit.saturating_mul(SESSIONS)
}

/// The lookups of all sessions in the last minute, by login.
#[derive(Debug, Default)]
pub struct Meters(DashMap<String, Meter>);

impl Meters {
    /// Whether so many more are within one proxy's part of that limit, and they count if they are and `count` says so.
    fn part(&self, login: &str, lookups: Lookups, proxies: NonZeroU32, count: bool, now: Instant) -> bool {
        // No less than one proxy's part of all sessions' is what the sessions' own limit leaves.
        let limit = together(lookups.limit) / proxies;
        let mut meter = self.0.entry(login.to_owned()).or_default();
        let within = meter.has_room(Lookups { limit, ..lookups }, now);
        if within && count {
            meter.add(lookups, now);
        }
        within
    }

    /// Whether so many more are within the limit of the login's sessions together.
    fn has_room(&self, login: &str, lookups: Lookups, now: Instant) -> bool {
        let together = Lookups { limit: together(lookups.limit), ..lookups };
        self.0.get_mut(login).is_none_or(|mut meter| meter.has_room(together, now))
    }

    /// They count, whether there is room or not.
    fn add(&self, login: &str, lookups: Lookups, now: Instant) {
        self.0.entry(login.to_owned()).or_default().add(lookups, now);
    }

    /// Whether so many more are within the limit of the login's sessions together; they count if they are.
    fn take(&self, login: &str, lookups: Lookups, now: Instant) -> bool {
        if self.0.len() >= LOGINS && !self.0.contains_key(login) {
            self.0.retain(|_, meter| {
                meter.forget(now);
                !meter.made.is_empty()
            });
        }
        let together = Lookups { limit: together(lookups.limit), ..lookups };
        let mut meter = self.0.entry(login.to_owned()).or_default();
        let within = meter.has_room(together, now);
        if within {
            meter.add(together, now);
        }
        within
    }
}

/// The lookups of one session, or one login, in the last minute, the time of each entry being that of its first.
#[derive(Debug, Default)]
pub(in crate::session) struct Meter {
    made: VecDeque<(Instant, u32)>,
}

impl Meter {
    fn forget(&mut self, now: Instant) {
        while self.made.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= MINUTE + TICK) {
            self.made.pop_front();
        }
    }

    /// Whether so many more are within the limit.
    fn has_room(&mut self, lookups: Lookups, now: Instant) -> bool {
        self.forget(now);
        let made: u32 =
            self.made.iter().map(|(_, count)| count).fold(lookups.count, |sum, more| sum.saturating_add(*more));
        made <= lookups.limit
    }

    fn add(&mut self, lookups: Lookups, now: Instant) {
        match self.made.back_mut() {
            Some((at, count)) if now.saturating_duration_since(*at) < TICK => {
                *count = count.saturating_add(lookups.count);
            }
            Some(_) | None => self.made.push_back((now, lookups.count)),
        }
    }
}

impl Session {
    /// Counts what a run looks up.
    ///
    /// # Errors
    /// 53400 where the session, or its login, has looked up too much in the last minute.
    pub(in crate::session) async fn count_lookups(&mut self, running: &Running) -> Result<(), Refusal> {
        let lookups = running.rows().enforced.lookups();
        if (lookups.count == 0 && !lookups.guesses) || !running.brings_rows() {
            return Ok(());
        }
        let now = Instant::now();
        // A guess counts once it is refused; who has no room left may not make another.
        let one = Lookups { count: lookups.count.max(1), ..lookups };
        let message = if !self.meter.has_room(one, now) {
            format!("this session may look up {} values a minute, and has", lookups.limit)
        } else if !login_has_room(&self.shared, &self.login, lookups, now).await {
            let together = together(lookups.limit);
            format!("the sessions of login `{}` may look up {together} values a minute, and have", self.login)
        } else {
            if lookups.count > 0 {
                self.meter.add(lookups, now);
            }
            return Ok(());
        };
        Err(Refusal::new(Stage::Session, SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
            .detail("a lookup tests the raw value of a masked column; so does a write that a constraint refuses")
            .hint("wait a minute; the limit is `lookup_limit` of the role, or of the rule, in the policy"))
    }
}

/// Whether all sessions of the login, also those through other proxies where these count together, have room for it; it counts if
/// they have.
async fn login_has_room(shared: &Shared, login: &str, lookups: Lookups, now: Instant) -> bool {
    let one = Lookups { count: lookups.count.max(1), ..lookups };
    let here = &shared.lookups;
    let Some(with) = &shared.together else {
        return match lookups.count {
            0 => here.has_room(login, one, now),
            _ => here.take(login, lookups, now),
        };
    };
    match with.counts.look_up(login, one.count, lookups.count, together(lookups.limit)).await {
        Ok(room) => {
            if room && lookups.count > 0 {
                here.add(login, lookups, now);
            }
            room
        }
        Err(Away) => here.part(login, one, with.proxies, lookups.count > 0, now),
    }
}

impl Session {
    /// A constraint refused a value that the run wrote: whoever tries values finds out which are there.
    pub(in crate::session) fn count_guess(&mut self, sqlstate: &str) {
        let refused = matches!(sqlstate, "23001" | "23503" | "23505" | "23514" | "23P01");
        let lookups = self.flow.running().and_then(|run| Some(run.running.as_ref()?.rows().enforced.lookups()));
        if let Some(lookups) = lookups.filter(|lookups| refused && lookups.guesses) {
            let (one, now) = (Lookups { count: 1, ..lookups }, Instant::now());
            self.meter.add(one, now);
            self.shared.lookups.add(&self.login, one, now);
            if let Some(with) = self.shared.together.clone() {
                let login = self.login.clone();
                // Nobody waits for it: what is asked next is asked behind it.
                tokio::spawn(async move { with.counts.look_up(&login, 0, 1, u32::MAX).await });
            }
        }
    }
}

/// The values of a Bind, and the types that its Parse declared.
pub(in crate::session) struct Bound<'a> {
    pub(in crate::session) values: Values<'a>,
    pub(in crate::session) types: Vec<Oid>,
}

impl Bound<'_> {
    /// The text in which a parameter is compared.
    fn value(&self, number: usize, compared: Compared) -> Result<String, &'static str> {
        let value = self.values.get(number).ok_or(UNKNOWN)?;
        let bytes = value.bytes.ok_or(NULL)?;
        let declared = number.checked_sub(1).and_then(|at| self.types.get(at)).copied().unwrap_or(0);
        let text = if value.binary {
            compared.canonical_of_binary(declared, bytes)
        } else {
            std::str::from_utf8(bytes).ok().and_then(|text| compared.canonical(text))
        };
        text.ok_or(MISFIT)
    }
}

const NULL: &str = "the value is null";
const UNKNOWN: &str = "the value is not known";
const COMPUTED: &str = "the value is computed";
const MISFIT: &str = "the value is not one of the column's type";
const TYPE: &str = "values of the column's type have no digest";
const KEY: &str = "no key is configured";

impl Session {
    /// What a run looks up, by digest, as far as a digest can be made: of constants, of EXECUTE's arguments, of what Bind gave.
    pub(in crate::session) fn looked_up(&self, running: &Running, bound: Option<&Bound<'_>>) -> Vec<LookedUp> {
        if !running.brings_rows() {
            return Vec::new();
        }
        let statement = &running.statement().enforced;
        let arguments = statement.effect().executes().map(|_| statement.arguments());
        let digest = |tested: &Tested| {
            let given = match (&tested.value, arguments) {
                (Given::Parameter(number), Some(arguments)) => {
                    number.checked_sub(1).and_then(|at| arguments.get(at)).ok_or(UNKNOWN)?
                }
                (given, _) => given,
            };
            if tested.compared == Compared::Other {
                return Err(TYPE);
            }
            let value = match given {
                Given::Text(_) | Given::Constant { .. } => {
                    let text = running.rows().enforced.given(given).ok_or(UNKNOWN)?;
                    tested.compared.canonical(&text).ok_or(MISFIT)?
                }
                Given::Parameter(number) => bound.ok_or(UNKNOWN)?.value(*number, tested.compared)?,
                Given::Null => return Err(NULL),
                Given::Computed => return Err(COMPUTED),
            };
            let key = self.shared.subject_key.as_ref().ok_or(KEY)?;
            Ok(key.lookup(&tested.relation, &tested.column, &value))
        };
        let looked_up = |tested: &Tested| {
            let (relation, column, digest) = (tested.relation.clone(), tested.column.clone(), digest(tested));
            LookedUp { relation, column, reason: digest.as_ref().err().copied(), digest: digest.ok() }
        };
        running.rows().enforced.tested().iter().map(looked_up).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_after_a_lookup_there_is_room_for_another() {
        let (meters, start) = (Meters::default(), Instant::now());
        let take = |login: &str, count, seconds| {
            meters.take(login, Lookups { count, limit: 3, guesses: false }, start + Duration::from_secs(seconds))
        };
        assert!(take("ann", 20, 0));
        assert!(take("ann", 10, 30));
        assert!(!take("ann", 1, 59));
        assert!(take("ben", 30, 59), "another login has its own");
        assert!(take("ann", 20, 61), "a minute after the first");
        assert!(!take("ann", 31, 200), "more at once than ten sessions may");
        assert!(take("ann", 20, 200));
        assert!(!take("ann", 20, 201), "what was refused did not count, and what ran does");
        assert!(take("ann", 10, 202));
    }

    #[test]
    fn in_no_minute_are_there_more_however_they_are_spread() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let mut made = Vec::new();
        for step in 0_u64..4000 {
            let now = start + Duration::from_millis(step * 97);
            let one = Lookups { count: 1, limit: 5, guesses: false };
            if meter.has_room(one, now) {
                meter.add(one, now);
                made.push(now);
            }
        }
        assert!(made.len() > 20, "{}", made.len());
        for (first, sixth) in made.iter().zip(made.iter().skip(5)) {
            assert!(sixth.duration_since(*first) >= MINUTE);
        }
    }

    #[test]
    fn neither_many_lookups_nor_many_logins_take_much_room() {
        let (meters, start) = (Meters::default(), Instant::now());
        for step in 0..100_000_u64 {
            assert!(meters.take(
                "busy",
                Lookups { count: 1, limit: u32::MAX, guesses: false },
                start + Duration::from_millis(step)
            ));
        }
        assert!(meters.0.get("busy").unwrap().made.len() <= 62);
        for number in 0..10_000_u64 {
            let now = start + Duration::from_secs(200 + number);
            meters.take(&format!("login {number}"), Lookups { count: 1, limit: 1, guesses: false }, now);
        }
        assert!(meters.0.len() <= LOGINS, "{}", meters.0.len());
    }
}
