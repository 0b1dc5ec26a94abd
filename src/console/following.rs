//! Reads the access log from its beginning and then as it grows, into a desk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::audit::read::{Follower, scan};
use crate::audit::report::Desk;

/// How often is looked for what is new.
const OFTEN: Duration = Duration::from_millis(150);
/// After so many records of the past others get their turn.
const TURN: u64 = 2_000;
/// For so long.
const REST: Duration = Duration::from_millis(2);
/// Bytes that are read at a time of what is new.
const BYTES: usize = 1 << 20;

/// The desk, and how far it is.
pub(super) struct Following {
    desk: Mutex<Desk>,
    is_caught_up: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl Following {
    /// Begins; ends when nobody holds it any more.
    pub(super) fn start(directory: PathBuf, zone: TimeZone) -> Result<Arc<Self>, String> {
        let following = Arc::new(Self {
            desk: Mutex::new(Desk::new(zone)),
            is_caught_up: AtomicBool::new(false),
            trouble: Mutex::new(None),
        });
        let held = Arc::downgrade(&following);
        std::thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || follow(&held, &directory))
            .map_err(|error| format!("a thread cannot be started: {error}"))?;
        Ok(following)
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the past is read.
    pub(super) fn is_caught_up(&self) -> bool {
        self.is_caught_up.load(Ordering::Acquire)
    }

    /// Why it does not go on.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the desk has the record of this number; for a moment, not for ever.
    pub(super) async fn has(&self, seq: u64) {
        for _ in 0..40 {
            if self.desk().reach().1.is_some_and(|last| last.seq >= seq) || !self.is_caught_up() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn tell(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

fn follow(held: &Weak<Following>, directory: &Path) {
    let (mut last, mut records) = (0, 0_u64);
    let past = scan(directory, |entry| {
        let Some(following) = held.upgrade() else { return false };
        last = entry.seq().unwrap_or(last);
        following.desk().add(&entry);
        records += 1;
        if records.is_multiple_of(TURN) {
            std::thread::sleep(REST);
        }
        true
    });
    let mut follower = Follower::after(directory, last);
    if let Some(following) = held.upgrade() {
        following.tell(past.err().map(|error| format!("the access log cannot be read: {error}")));
        following.is_caught_up.store(true, Ordering::Release);
    }
    loop {
        let polled = follower.poll_some(BYTES, u64::MAX);
        let Some(following) = held.upgrade() else { return };
        let is_idle = match &polled {
            Ok(entries) => {
                let mut desk = following.desk();
                entries.iter().for_each(|entry| desk.add(entry));
                entries.is_empty()
            }
            Err(_) => true,
        };
        following.tell(polled.err().map(|error| format!("the access log cannot be read: {error}")));
        drop(following);
        if is_idle {
            std::thread::sleep(OFTEN);
        }
    }
}
