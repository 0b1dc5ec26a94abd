//! Reads the access log from where it was left, or from its beginning, and then as it grows, into a desk; with it the logs of other proxies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::others::{BYTES, Others};
use crate::audit::checkpoint::Signer;
use crate::audit::read::{Entry, Follower, holds, merge, scan_behind};
use crate::audit::report::{Desk, number_of};

/// How often is looked for what is new.
const OFTEN: Duration = Duration::from_millis(150);
/// The same of other proxies' logs.
const OTHERS_OFTEN: Duration = Duration::from_secs(2);
/// And where one cannot be read.
const OTHERS_AGAIN: Duration = Duration::from_secs(10);
/// After so many records of the past others get their turn.
const TURN: u64 = 2_000;
/// For so long.
const REST: Duration = Duration::from_millis(2);
/// So many records of each log wait for those of the others.
const AHEAD: usize = 1_000;
/// After so many records of the past the desk is kept.
const KEEP_PAST: u64 = 1_000_000;
/// After so many new ones, and after so long where there is any.
const KEEP_NEW: u64 = 100_000;
const KEEP_OFTEN: Duration = Duration::from_secs(600);
/// How often the operator is told how far it is.
const TELL: Duration = Duration::from_secs(30);
/// Records of another log that come so late have all logs read again: each day is judged by those before it.
const LATE: SignedDuration = SignedDuration::from_hours(24);
/// That is done no more often.
const AGAIN: Duration = Duration::from_secs(3600);
/// The desk's own file, beside the log.
const FILE: &str = "console.desk";

/// What is followed.
pub(super) struct Sources {
    /// The proxy's own log.
    pub(super) directory: PathBuf,
    /// Its name.
    pub(super) name: String,
    /// The key of its checkpoints.
    pub(super) signer: Option<Arc<Signer>>,
    /// Logs of other proxies.
    pub(super) others: Vec<Arc<dyn Others>>,
    /// Of the days.
    pub(super) zone: TimeZone,
}

impl Sources {
    /// As other proxies that read this one's log number it.
    fn fresh(&self) -> Desk {
        Desk::new(self.zone.clone()).known_as(number_of(&self.name))
    }

    fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

/// A log that is not the proxy's own.
#[derive(Clone)]
pub(super) struct Other {
    /// Its name.
    pub(super) name: String,
    /// As people are told of it: its proxy's name, or the beginning of its own.
    pub(super) label: String,
    /// Where it is.
    pub(super) place: Arc<dyn Others>,
}

impl Other {
    fn new(name: String, place: Arc<dyn Others>) -> Self {
        let label = name.chars().take(8).collect();
        Self { name, label, place }
    }
}

/// The desk, and how far it is.
pub(super) struct Following {
    desk: RwLock<Desk>,
    /// By number: the logs beside the proxy's own.
    others: Mutex<BTreeMap<u64, Other>>,
    is_caught_up: AtomicBool,
    /// Records that the desk has.
    read: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Following {
    /// Begins; ends when nobody holds it any more.
    pub(super) fn start(sources: Sources) -> Result<Arc<Self>, String> {
        let following = Arc::new(Self {
            desk: RwLock::new(sources.fresh()),
            others: Mutex::new(BTreeMap::new()),
            is_caught_up: AtomicBool::new(false),
            read: AtomicU64::new(0),
            trouble: Mutex::new(None),
        });
        let held = Arc::downgrade(&following);
        std::thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || {
                let mut thread = Thread { held, sources, kept: Instant::now(), unkept: 0, again: None };
                while thread.run() == Next::Again {}
            })
            .map_err(|error| format!("a thread cannot be started: {error}"))?;
        Ok(following)
    }

    /// The desk as it is now. Whoever holds it asks for it no second time: the thread that writes may wait in between.
    pub(super) fn desk(&self) -> RwLockReadGuard<'_, Desk> {
        self.desk.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Desk> {
        self.desk.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// By number: the logs beside the proxy's own.
    pub(super) fn others(&self) -> BTreeMap<u64, Other> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that it has, for whoever holds the desk.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Acquire)
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
            if self.desk().ends().get(&0).is_some_and(|last| last.seq >= seq) || !self.is_caught_up() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// As while the past is read: one wants to write.
    #[cfg(test)]
    pub(super) fn tests_read_on(&self) {
        self.is_caught_up.store(false, Ordering::Release);
        drop(self.write());
    }

    /// Other proxies are called as they call themselves.
    fn label(&self) {
        let names: Vec<(u64, String)> =
            self.desk().proxies().iter().map(|(number, running)| (*number, running.proxy.clone())).collect();
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, proxy) in names.into_iter().filter(|(_, proxy)| !proxy.is_empty()) {
            if let Some(other) = others.get_mut(&number) {
                other.label = proxy;
            }
        }
    }

    fn tell(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// A place with its logs, each with the number of the last record that the desk has.
type Place = (Arc<dyn Others>, Vec<(String, u64)>);

/// What comes after a run.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Nobody holds it any more.
    End,
    /// Everything is read again.
    Again,
}

struct Thread {
    held: Weak<Following>,
    sources: Sources,
    kept: Instant,
    unkept: u64,
    /// When everything was read again last.
    again: Option<Instant>,
}

impl Thread {
    fn run(&mut self) -> Next {
        let mut troubles = self.meet();
        if troubles.is_empty() {
            self.resume();
        }
        let begun = Instant::now();
        let past = if self.others().is_empty() { self.own_past() } else { self.whole_past() };
        let Some(following) = self.held.upgrade() else { return Next::End };
        let read = following.desk().reach().2;
        following.label();
        tracing::info!(records = read, seconds = begun.elapsed().as_secs(), "the console has read the access log");
        let own = following.desk().ends().get(&0).map_or(0, |last| last.seq);
        drop(following);
        if troubles.is_empty() && self.unkept > 0 {
            self.keep();
        }
        // What could not be read of the past is missing for as long as this desk lives.
        let failed = past.err().map(|error| format!("the access log cannot be read: {error}"));
        let mut follower = Follower::after(&self.sources.directory, own);
        let mut looked = Instant::now();
        loop {
            let polled = follower.poll_some(BYTES, u64::MAX);
            let Some(following) = self.held.upgrade() else { return Next::End };
            let is_idle = match &polled {
                Ok(entries) => {
                    let mut desk = following.write();
                    entries.iter().for_each(|entry| desk.add(entry));
                    self.unkept += entries.len() as u64;
                    entries.is_empty()
                }
                Err(_) => true,
            };
            let wait = if troubles.is_empty() { OTHERS_OFTEN } else { OTHERS_AGAIN };
            if looked.elapsed() >= wait && !self.sources.others.is_empty() {
                looked = Instant::now();
                let was = std::mem::take(&mut troubles);
                troubles = self.meet();
                if was.is_empty() && troubles.is_empty() {
                    troubles = match self.news(&following) {
                        Ok(false) => {
                            following.label();
                            Vec::new()
                        }
                        Ok(true) => return self.anew(&following),
                        Err(trouble) => vec![trouble],
                    };
                } else if !was.is_empty() && troubles.is_empty() {
                    return self.anew(&following);
                }
            }
            let own = polled.err().map(|error| format!("the access log cannot be read: {error}"));
            let all = own.or_else(|| failed.clone()).into_iter().chain(troubles.iter().cloned());
            following.tell(all.reduce(|one, other| format!("{one}; {other}")));
            following.is_caught_up.store(true, Ordering::Release);
            drop(following);
            if troubles.is_empty() && (self.unkept >= KEEP_NEW || self.unkept > 0 && self.kept.elapsed() >= KEEP_OFTEN)
            {
                self.keep();
            }
            if is_idle {
                std::thread::sleep(OFTEN);
            }
        }
    }

    fn others(&self) -> BTreeMap<u64, Other> {
        self.held.upgrade().map(|following| following.others()).unwrap_or_default()
    }

    /// Learns which logs there are beside the proxy's own; gives the places that cannot be read.
    fn meet(&self) -> Vec<String> {
        let Some(following) = self.held.upgrade() else { return Vec::new() };
        let mut troubles = Vec::new();
        for place in &self.sources.others {
            match place.names() {
                Err(error) => {
                    troubles.push(format!(
                        "the logs of other proxies cannot be read, and what follows is without them: {error}"
                    ));
                }
                Ok(names) => {
                    let mut known = following.others.lock().unwrap_or_else(PoisonError::into_inner);
                    for name in names.into_iter().filter(|name| *name != self.sources.name) {
                        // Whose log lies in a folder that is named is read there, wherever it lies besides.
                        let place = Arc::clone(place);
                        known.entry(number_of(&name)).or_insert_with(|| Other::new(name, place));
                    }
                }
            }
        }
        troubles
    }

    /// Takes up the desk that was kept, where all logs still have what it has of them.
    fn resume(&mut self) {
        let Some(following) = self.held.upgrade() else { return };
        let key = self.sources.signer.as_ref().map(|signer| signer.public());
        let (desk, logs) = match Desk::resume(&self.sources.file(), &self.sources.zone, key.as_ref()) {
            Ok(kept) => kept,
            Err(None) => return,
            Err(Some(why)) => {
                tracing::warn!(
                    "what the console had read before is not used, and the log is read from its beginning: {why}"
                );
                return;
            }
        };
        let others = following.others();
        let is_same = logs.iter().all(|(number, name)| match number {
            0 => *name == self.sources.name,
            number => others.get(number).is_some_and(|other| other.name == *name),
        });
        // A log that was not among them is read from its beginning, and with it all others.
        let is_same = is_same && others.keys().all(|number| logs.contains_key(number));
        let has = |(number, link): (&u64, &crate::audit::chain::Link)| match others.get(number) {
            None => holds(&self.sources.directory, *link).map_err(|error| error.to_string()),
            Some(other) => other.place.holds(&other.name, *link),
        };
        match is_same.then(|| desk.ends().iter().map(has).collect::<Result<Vec<bool>, String>>()) {
            Some(Ok(held)) if held.iter().all(|held| *held) => {
                following.read.store(desk.reach().2, Ordering::Release);
                *following.write() = desk.known_as(number_of(&self.sources.name));
            }
            _ => tracing::warn!(
                "what the console had read before is not used, and the log is read from its beginning: the logs are not those that it was made from"
            ),
        }
    }

    /// Keeps the desk: whoever only looks at it meanwhile waits for nothing.
    fn keep(&mut self) {
        let Some(following) = self.held.upgrade() else { return };
        (self.kept, self.unkept) = (Instant::now(), 0);
        let others = following.others();
        let mut logs: BTreeMap<u64, String> = others.into_iter().map(|(number, other)| (number, other.name)).collect();
        logs.insert(0, self.sources.name.clone());
        let kept = following.desk().keep(&self.sources.file(), &logs, self.sources.signer.as_deref());
        if let Err(error) = kept {
            tracing::warn!(%error, "what the console has read cannot be kept; its next start reads the log from there on again");
        }
    }

    /// Begins with an empty desk.
    fn anew(&mut self, following: &Following) -> Next {
        following.is_caught_up.store(false, Ordering::Release);
        *following.write() = self.sources.fresh();
        following.read.store(0, Ordering::Release);
        (self.again, self.unkept) = (Some(Instant::now()), 0);
        Next::Again
    }

    /// One record of the past; `false` where nobody waits for it any more.
    fn past(&mut self, entry: &Entry, told: &mut Instant) -> bool {
        let Some(following) = self.held.upgrade() else { return false };
        following.write().add(entry);
        following.read.fetch_add(1, Ordering::AcqRel);
        self.unkept += 1;
        if self.unkept.is_multiple_of(TURN) {
            std::thread::sleep(REST);
            if told.elapsed() >= TELL {
                *told = Instant::now();
                tracing::info!(records = following.desk().reach().2, "the console is reading the access log");
            }
        }
        drop(following);
        if self.unkept >= KEEP_PAST {
            self.keep();
        }
        true
    }

    fn after(&self, number: u64) -> u64 {
        let following = self.held.upgrade();
        following.and_then(|following| following.desk().ends().get(&number).map(|last| last.seq)).unwrap_or(0)
    }

    fn own_past(&mut self) -> Result<(), String> {
        let (after, directory, mut told) = (self.after(0), self.sources.directory.clone(), Instant::now());
        scan_behind(&directory, after, |entry| self.past(&entry, &mut told)).map_err(|error| error.to_string())
    }

    /// The past of all logs, by the times of their records.
    fn whole_past(&mut self) -> Result<(), String> {
        let (after, directory, mut told) = (self.after(0), self.sources.directory.clone(), Instant::now());
        let places = self.places();
        let stop = AtomicBool::new(false);
        let goes_on = || !stop.load(Ordering::Acquire);
        std::thread::scope(|scope| {
            let (sender, own) = sync_channel(AHEAD);
            let mut sources = vec![own.into_iter()];
            let own = scope.spawn({
                let (directory, goes_on): (&Path, _) = (&directory, &goes_on);
                move || {
                    let read = scan_behind(directory, after, |entry| goes_on() && sender.send(entry).is_ok());
                    read.map_err(|error| error.to_string())
                }
            });
            let mut readers = vec![own];
            for (place, logs) in &places {
                let (sender, records) = sync_channel(AHEAD);
                sources.push(records.into_iter());
                let goes_on = &goes_on;
                readers.push(scope.spawn(move || {
                    place.behind(logs, &mut |name, entry| {
                        goes_on() && sender.send(entry.of_log(number_of(name))).is_ok()
                    })
                }));
            }
            merge(sources, |_, entry| {
                if goes_on() && !self.past(&entry, &mut told) {
                    stop.store(true, Ordering::Release);
                }
            });
            readers
                .into_iter()
                .try_for_each(|reader| reader.join().unwrap_or_else(|_| Err("a reader ended".to_owned())))
        })
    }

    /// Each place with its logs, and up to where the desk has them.
    fn places(&self) -> Vec<Place> {
        let others = self.others();
        let of = |place: &Arc<dyn Others>| {
            let own = others.iter().filter(|(_, other)| Arc::ptr_eq(&other.place, place));
            own.map(|(number, other)| (other.name.clone(), self.after(*number))).collect::<Vec<_>>()
        };
        self.sources.others.iter().map(|place| (Arc::clone(place), of(place))).collect()
    }

    /// What is new in the logs of others; `true` where some of it is so old that all is to be read again.
    fn news(&mut self, following: &Following) -> Result<bool, String> {
        let newest = following.desk().reach().1.map(|last| last.time);
        let (mut is_late, mut count) = (false, 0);
        for (place, logs) in self.places() {
            let read = place.behind(&logs, &mut |name, entry| {
                is_late |= newest.zip(entry.time()).is_some_and(|(newest, time)| newest.duration_since(time) > LATE);
                following.write().add(&entry.of_log(number_of(name)));
                count += 1;
                true
            });
            self.unkept += std::mem::take(&mut count);
            read?;
        }
        Ok(is_late && self.again.is_none_or(|again| again.elapsed() >= AGAIN))
    }
}
