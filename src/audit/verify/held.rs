//! What a log is held against from elsewhere: checkpoints that were kept, the one beside the log, and up to where other places
//! have its records.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use super::{Check, Sent, Trust, Wrong};
use crate::audit::record::Entry;
use crate::audit::record::chain::{Hash, Link};
use crate::audit::record::checkpoint::{BadCheckpoint, Checkpoint};
use crate::audit::store::beside::{self, Given};

/// What is held against the log, and what the log has in its place.
#[derive(Debug)]
pub(super) struct Held {
    beside: Option<Checkpoint>,
    given: Vec<Given>,
    /// Records that something elsewhere names, and their hash here once they were read.
    wanted: HashMap<u64, Option<Hash>>,
    /// The newest checkpoint in the log.
    newest: u64,
}

/// What became of holding a checkpoint against the log.
enum Outcome {
    Holds,
    /// Its record was destroyed by age.
    Destroyed,
    Wrong(Wrong),
}

impl Held {
    pub(super) fn read(directory: &Path, trust: &Trust) -> io::Result<Self> {
        let beside = fs::read(directory.join(beside::CHECKPOINT)).ok();
        let beside = beside.and_then(|line| Checkpoint::of(&Entry::parse(line.trim_ascii_end())?));
        Ok(Self::new(trust, beside, beside::given(directory)?))
    }

    /// Nothing stands beside the log, but for what was kept elsewhere.
    pub(super) fn elsewhere(trust: &Trust) -> Self {
        Self::new(trust, None, Vec::new())
    }

    fn new(trust: &Trust, beside: Option<Checkpoint>, given: Vec<Given>) -> Self {
        let mut wanted = HashMap::new();
        for checkpoint in trust.sent.iter().map(|sent| &sent.checkpoint).chain(&beside) {
            wanted.insert(checkpoint.record.seq, None);
            wanted.insert(checkpoint.covers.seq, None);
        }
        wanted.extend(given.iter().map(|given| (given.seq, None)));
        Self { beside, given, wanted, newest: 0 }
    }

    /// A record of the log.
    pub(super) fn saw(&mut self, link: Link) {
        if let Some(wanted) = self.wanted.get_mut(&link.seq) {
            *wanted = Some(link.hash);
        }
    }

    /// A checkpoint of the log.
    pub(super) fn newest_in_log(&mut self, seq: u64) {
        self.newest = seq;
    }

    fn here(&self, seq: u64) -> Option<Hash> {
        self.wanted.get(&seq).copied().flatten()
    }
}

impl Check<'_> {
    /// Holds the log that was read against all of it.
    pub(super) fn hold(&mut self) {
        let (mut held, mut destroyed) = (0_u64, Vec::new());
        for sent in &self.trust.sent {
            match self.against(sent) {
                Outcome::Holds => held += 1,
                Outcome::Destroyed => destroyed.push(sent.place.clone()),
                Outcome::Wrong(what) => self.wrong("the log", 0, what),
            }
        }
        for place in destroyed {
            // Of many that were kept the older ones go with their files; one alone proves nothing then.
            match held {
                0 => self.wrong("the log", 0, Wrong::NotHeld { place }),
                _ => self.found.notices.push(format!(
                    "the checkpoint in {place} is of a file that was destroyed by age: it was held against nothing"
                )),
            }
        }
        self.hold_beside();
        for Given { place, seq, hash } in std::mem::take(&mut self.held.given) {
            let last = self.found.last.seq;
            let other = hash.zip(self.held.here(seq)).is_some_and(|(hash, here)| hash != here);
            if seq > last {
                self.wrong("the log", 0, Wrong::Given { place, seq, last });
            } else if other {
                self.wrong("the log", 0, Wrong::Rewritten { place: format!("`{place}`"), covers: seq });
            }
        }
    }

    /// The newest checkpoint has a file of its own.
    fn hold_beside(&mut self) {
        let Some(checkpoint) = self.held.beside.take() else {
            if self.found.vouched > 0 && self.directory.is_some() {
                self.wrong("the log", 0, Wrong::NoNewest);
            }
            return;
        };
        let (seq, place) = (checkpoint.record.seq, format!("`{}`", beside::CHECKPOINT));
        match self.against(&Sent { place: place.clone(), checkpoint }) {
            Outcome::Holds if seq < self.held.newest && self.found.ended != super::Ended::Running => {
                self.found.notices.push(format!(
                    "{place} is record {seq}, and the log's newest checkpoint is record {}: it is an older one",
                    self.held.newest
                ));
            }
            Outcome::Holds => {}
            Outcome::Destroyed => self.wrong("the log", 0, Wrong::NotHeld { place }),
            Outcome::Wrong(what) => self.wrong("the log", 0, what),
        }
    }

    fn against(&self, sent: &Sent) -> Outcome {
        let Checkpoint { log, covers, record, .. } = &sent.checkpoint;
        let (place, keys, last) = (sent.place.clone(), &self.trust.keys, self.found.last.seq);
        let signed = if keys.is_empty() { Ok(()) } else { sent.checkpoint.check(keys) };
        if let Err(why) = signed {
            return Outcome::Wrong(Wrong::Sent { place, why });
        }
        let other_log = self.log.as_ref().is_some_and(|name| name != log);
        let rewritten = |covers| Outcome::Wrong(Wrong::Rewritten { place: place.clone(), covers });
        match (self.held.here(record.seq), self.held.here(covers.seq)) {
            (Some(here), _) if here != record.hash => rewritten(record.seq),
            (_, Some(here)) if here != covers.hash => rewritten(covers.seq),
            (_, _) if other_log => Outcome::Wrong(Wrong::Sent { place, why: BadCheckpoint::OtherLog }),
            (Some(_), _) => Outcome::Holds,
            (None, _) if record.seq > last => Outcome::Wrong(Wrong::CutOff { place, covers: record.seq, last }),
            (None, _) if record.seq < self.found.first => Outcome::Destroyed,
            (None, _) => rewritten(record.seq),
        }
    }
}
