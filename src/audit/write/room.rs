//! How much of the log's disk one login may take, and what is kept back.
//!
//! A login may write in a minute no more than a twentieth of the room that is left before the reserve, so that none fills
//! the disk for the others, however small it is; `max_mb_per_login` bounds that further. In the reserve only short records
//! are written. What is refused for want of room is counted, and told in one record a minute.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::audit::record::{AuditError, Body};

/// Of the room that is left, one login may take one part in so many in a minute.
const SHARE: u64 = 20;
/// What it may take in any case, as long as there is room at all: some dozens of statements.
const LEAST: u64 = 64 << 10;
/// The reserve: one part in so many of the disk, and not more than is needed for hours.
const RESERVE: u64 = 16;
const MOST_RESERVE: u64 = 256 << 20;
/// Bytes that a record may have to be a short one.
const SHORT: usize = 4096;
/// What a record takes besides its own fields, and its outcome with it.
const BESIDES: u64 = 512;
/// Logins that are remembered; of more, those that nobody holds are forgotten.
const REMEMBERED: usize = 1024;

/// What one login has taken in this minute.
#[derive(Debug)]
pub(in crate::audit) struct Allowance {
    login: Box<str>,
    minute: AtomicU64,
    spent: AtomicU64,
    /// Records of its that were not written in this minute and not told yet.
    untold: AtomicU64,
}

/// Records of a login that were not written.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::audit) struct Untold {
    pub(in crate::audit) login: String,
    pub(in crate::audit) count: u64,
}

/// The disk's room, as it was when somebody looked last, and who takes it.
#[derive(Debug)]
pub(in crate::audit) struct Room {
    free: AtomicU64,
    total: AtomicU64,
    /// First record of the file that is written.
    file: AtomicU64,
    /// `max_mb_per_login` in bytes.
    most: Option<u64>,
    low: AtomicBool,
    begun: Instant,
    logins: Mutex<HashMap<Box<str>, Arc<Allowance>>>,
}

impl Room {
    pub(in crate::audit) fn new(directory: &Path, most: Option<u64>) -> Self {
        let room = Self {
            free: AtomicU64::new(u64::MAX),
            total: AtomicU64::new(u64::MAX),
            file: AtomicU64::new(u64::MAX),
            most,
            low: AtomicBool::new(false),
            begun: Instant::now(),
            logins: Mutex::default(),
        };
        room.look(directory);
        room
    }

    /// Looks how much room there is. Where the system does not say, there is no bound but the configured one.
    pub(in crate::audit) fn look(&self, directory: &Path) {
        let Ok(disk) = rustix::fs::statvfs(directory) else { return };
        self.saw(disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
        let low = self.free() < 2 * self.reserve();
        if low != self.low.swap(low, Ordering::AcqRel) && low {
            tracing::error!(
                directory = %directory.display(), free_bytes = self.free(), reserve_bytes = self.reserve(),
                "the disk of the access log is nearly full; behind the reserve only short records are written"
            );
        }
    }

    fn saw(&self, free: u64, total: u64) {
        self.free.store(free, Ordering::Release);
        self.total.store(total, Ordering::Release);
    }

    /// The file that begins with this record is written.
    pub(in crate::audit) fn writes(&self, file: u64) {
        self.file.store(file, Ordering::Release);
    }

    /// Bytes that can be written.
    pub(in crate::audit) fn free(&self) -> u64 {
        self.free.load(Ordering::Acquire)
    }

    /// Bytes of the disk.
    pub(in crate::audit) fn total(&self) -> u64 {
        self.total.load(Ordering::Acquire)
    }

    /// Bytes that only short records may take.
    pub(in crate::audit) fn reserve(&self) -> u64 {
        (self.total() / RESERVE).min(MOST_RESERVE)
    }

    /// Whether what is left is less than twice the reserve.
    pub(in crate::audit) fn is_low(&self) -> bool {
        self.low.load(Ordering::Acquire)
    }

    /// Bytes that a login may take in a minute.
    fn budget(&self) -> u64 {
        let share = (self.free().saturating_sub(self.reserve()) / SHARE).max(LEAST);
        self.most.map_or(share, |most| share.min(most))
    }

    /// What this login has taken; the same for all its sessions.
    pub(in crate::audit) fn of(&self, login: &str) -> Arc<Allowance> {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = logins.get(login) {
            return Arc::clone(known);
        }
        if logins.len() >= REMEMBERED {
            let minute = self.minute();
            logins.retain(|_, allowance| {
                Arc::strong_count(allowance) > 1 || allowance.minute.load(Ordering::Acquire) == minute
            });
        }
        let allowance = Allowance {
            login: login.into(),
            minute: AtomicU64::new(self.minute()),
            spent: AtomicU64::new(0),
            untold: AtomicU64::new(0),
        };
        let allowance = Arc::new(allowance);
        logins.insert(login.into(), Arc::clone(&allowance));
        allowance
    }

    /// Minutes since the log was opened.
    fn minute(&self) -> u64 {
        self.begun.elapsed().as_secs() / 60
    }

    /// Whether these records may be written for a login, or for nobody in particular.
    ///
    /// # Errors
    /// [`AuditError::OverBudget`], [`AuditError::NoRoom`]; then they are counted.
    pub(in crate::audit) fn take(&self, allowance: Option<&Allowance>, bodies: &[Body]) -> Result<(), AuditError> {
        let file = self.file.load(Ordering::Acquire);
        let long = |body: &Body| body.length() + body.untold_bytes(file) > SHORT;
        if self.free() < self.reserve() && bodies.iter().any(long) {
            if let Some(allowance) = allowance {
                allowance.untold.fetch_add(bodies.len() as u64, Ordering::AcqRel);
            }
            return Err(AuditError::NoRoom);
        }
        let Some(allowance) = allowance else { return Ok(()) };
        let bytes = |body: &Body| (body.length() + body.untold_bytes(file)) as u64 + BESIDES;
        let wanted: u64 = bodies.iter().map(bytes).sum();
        let minute = self.minute();
        if allowance.minute.swap(minute, Ordering::AcqRel) != minute {
            allowance.spent.store(0, Ordering::Release);
        }
        let before = allowance.spent.fetch_add(wanted, Ordering::AcqRel);
        if before.saturating_add(wanted) <= self.budget() {
            return Ok(());
        }
        allowance.spent.fetch_sub(wanted, Ordering::AcqRel);
        if allowance.untold.fetch_add(bodies.len() as u64, Ordering::AcqRel) == 0 {
            tracing::warn!(
                "a login has written its share of the access log for this minute; its statements are refused"
            );
        }
        Err(AuditError::OverBudget)
    }

    /// What was not written, and is told now: that of minutes that are over, or `all`.
    pub(in crate::audit) fn untold(&self, all: bool) -> Vec<Untold> {
        let minute = self.minute();
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let over = logins.values().filter(|allowance| all || allowance.minute.load(Ordering::Acquire) != minute);
        let untold = over.map(|allowance| Untold {
            login: allowance.login.to_string(),
            count: allowance.untold.swap(0, Ordering::AcqRel),
        });
        untold.filter(|untold| untold.count > 0).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn room(free: u64, total: u64, most: Option<u64>) -> Room {
        let room = Room::new(Path::new("/"), most);
        room.saw(free, total);
        room
    }

    fn body(bytes: usize) -> Body {
        Body::of_text("x".repeat(bytes), true)
    }

    fn takes(room: &Room, login: &Allowance, bytes: usize) -> usize {
        (0..100_000).take_while(|_| room.take(Some(login), &[body(bytes)]).is_ok()).count()
    }

    #[test]
    fn one_login_takes_a_twentieth_of_what_is_left_and_another_has_its_own() {
        let room = room(36 * MB, 40 * MB, None);
        let (greedy, other) = (room.of("greedy"), room.of("other"));
        let budget = (36 * MB - 40 * MB / 16) / 20;
        let written = takes(&room, &greedy, 1_000) as u64 * (1_000 + BESIDES);
        assert!(written <= budget && written + 2_000 > budget, "{written} of {budget}");
        assert_eq!(
            room.take(Some(&greedy), &[body(100)]).and(room.take(Some(&greedy), &[body(5_000)])),
            Err(AuditError::OverBudget)
        );
        assert_eq!(
            room.take(Some(&room.of("greedy")), &[body(5_000)]),
            Err(AuditError::OverBudget),
            "in every session"
        );
        assert_eq!(room.take(Some(&other), &[body(5_000)]), Ok(()));
        assert_eq!(room.untold(false), [], "the minute is not over");
        let untold = room.untold(true);
        assert_eq!((untold.len(), untold[0].login.as_str()), (1, "greedy"));
        assert!(untold[0].count >= 2);
        assert_eq!(room.untold(true), []);
    }

    #[test]
    fn what_is_configured_bounds_the_share() {
        let room = room(1 << 40, 1 << 41, Some(MB));
        assert_eq!(takes(&room, &room.of("one"), 488), 1_048);
    }

    #[test]
    fn in_the_reserve_only_short_records_are_written() {
        let room = room(2 * MB, 40 * MB, None);
        let login = room.of("one");
        assert_eq!(room.take(Some(&login), &[body(SHORT)]), Ok(()));
        assert_eq!(room.take(Some(&login), &[body(SHORT + 1)]), Err(AuditError::NoRoom));
        assert_eq!(room.take(None, &[body(SHORT + 1)]), Err(AuditError::NoRoom));
        assert_eq!(room.take(None, &[body(SHORT)]), Ok(()));
    }

    #[test]
    fn logins_that_nobody_holds_are_forgotten() {
        let room = room(1 << 40, 1 << 41, None);
        let held = room.of("held");
        room.take(Some(&held), &[body(1)]).unwrap();
        for number in 0..5_000 {
            room.of(&number.to_string()).minute.store(u64::MAX, Ordering::Release);
        }
        assert!(room.logins.lock().unwrap().len() <= REMEMBERED + 1);
        assert!(Arc::ptr_eq(&held, &room.of("held")));
    }
}
