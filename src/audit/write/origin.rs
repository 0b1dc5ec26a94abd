//! Where a log goes on after a restart: its end is held against what was signed and given away, before anything is signed again.
//!
//! Who can write the folder, and has no key, could else cut or rewrite signed records while the proxy is away, and have the next
//! start vouch for what is left. What does not hold is written into the log, where `verify` counts it as a break for ever; the
//! checkpoint that tells of it is kept; and records that no checkpoint covered are named before one does.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::audit::record::chain::{self, Hash, Link};
use crate::audit::record::checkpoint::{BadCheckpoint, Checkpoint, Signer};
use crate::audit::record::{AuditError, Body, Entry, Event};
use crate::audit::store::tail::Tail;
use crate::audit::store::{beside, files};

/// What an incident of the log itself is about.
pub(in crate::audit) const ABOUT: &str = "log";

/// What the log is held against.
pub(in crate::audit) struct Known<'a> {
    pub(in crate::audit) directory: &'a Path,
    pub(in crate::audit) signer: Option<&'a Signer>,
    /// A copy of the newest checkpoint outside of the folder.
    pub(in crate::audit) anchor: Option<&'a Path>,
    /// The log's own name.
    pub(in crate::audit) name: &'a str,
    /// Where it ends.
    pub(in crate::audit) end: Link,
}

/// What a restart found.
#[derive(Debug, Default)]
pub(in crate::audit) struct Origin {
    /// What does not hold, and the checkpoint's copy that tells of it.
    wrong: Vec<(String, Option<String>)>,
    /// The last record that a checkpoint of the key covers, or is.
    pub(in crate::audit) signed: u64,
    /// The log ends with the record that closes it, and, with a key, with its checkpoint.
    closed: bool,
    /// The checkpoint beside the log, where it is not the newest one in it.
    stale: Option<u64>,
    /// The end, where there was one and a key vouches for it.
    after: u64,
    keyed: bool,
    /// The newest time that can be trusted.
    written: Option<String>,
}

impl Known<'_> {
    /// Holds the end of the log against the newest checkpoint, its copy elsewhere, and the positions of the places beside it.
    ///
    /// # Errors
    /// The folder or a file cannot be read or written.
    pub(in crate::audit) fn origin(&self) -> io::Result<Origin> {
        let mut origin = Origin { after: self.end.seq, keyed: self.signer.is_some(), ..Origin::default() };
        self.positions(&mut origin)?;
        let path = self.directory.join(beside::CHECKPOINT);
        let newest_beside = self.checkpoint(&path, beside::CHECKPOINT, true, &mut origin)?;
        if let Some(anchor) = self.anchor {
            let place = anchor.display().to_string();
            self.checkpoint(anchor, &place, false, &mut origin)?;
        }
        let newest = self.end_of_log(&mut origin)?;
        if let (Some(beside), Some(newest)) = (newest_beside, newest)
            && beside < newest
        {
            origin.stale = Some(beside);
        }
        Ok(origin)
    }

    /// Holds the log against one checkpoint; gives its number. Without a key its signature cannot be checked, and the chain
    /// from it on can.
    fn checkpoint(&self, path: &Path, place: &str, must_be: bool, origin: &mut Origin) -> io::Result<Option<u64>> {
        let raw = match fs::read(path) {
            Ok(raw) => raw,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if must_be && self.signer.is_some() && self.was_signed()? {
                    origin.wrong.push((format!("`{place}` is gone from a log that was signed"), None));
                }
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let checkpoint = Entry::parse(raw.trim_ascii_end()).as_ref().and_then(Checkpoint::of);
        let wrong = match &checkpoint {
            None => Some(format!("`{place}` is no checkpoint")),
            Some(checkpoint) => self.against(checkpoint, place)?,
        };
        let signed = checkpoint.as_ref().zip(self.signer).map(|(known, signer)| known.check(&[signer.public()]));
        let kept = if wrong.is_some() || signed == Some(Err(BadCheckpoint::OtherKey)) {
            Some(beside::keep_aside(self.directory, &raw)?)
        } else {
            None
        };
        origin.wrong.extend(wrong.map(|wrong| (wrong, kept)));
        Ok(checkpoint.map(|checkpoint| checkpoint.record.seq))
    }

    /// What does not hold between the log and a checkpoint.
    fn against(&self, checkpoint: &Checkpoint, place: &str) -> io::Result<Option<String>> {
        let Checkpoint { covers, record, .. } = checkpoint;
        if let Some(signer) = self.signer {
            match checkpoint.check(&[signer.public()]) {
                // Of a key that was exchanged in order, perhaps: `verify` is given both.
                Ok(()) | Err(BadCheckpoint::OtherKey) => {}
                Err(why) => return Ok(Some(format!("`{place}`: {why}"))),
            }
        }
        if record.seq > self.end.seq {
            return Ok(Some(format!(
                "`{place}` is record {} ({}), and the log ended with record {}: its end was cut off",
                record.seq, record.hash, self.end.seq
            )));
        }
        if checkpoint.log != self.name {
            return Ok(Some(format!(
                "`{place}` is of another log, `{}`: this one was put in its place",
                checkpoint.log
            )));
        }
        Ok(self.walk(*covers, *record)?.map(|what| format!("{what} (`{place}` is record {})", record.seq)))
    }

    /// Reads the chain from the record that a checkpoint covers to the end.
    fn walk(&self, covers: Link, record: Link) -> io::Result<Option<String>> {
        let listed = files::list(self.directory)?.0;
        let from = listed.iter().rposition(|file| file.first_seq <= covers.seq.max(1)).unwrap_or(0);
        let (mut at, mut wrong) = (None::<Link>, None::<String>);
        for file in listed.iter().skip(from) {
            files::each_line(file, |line| {
                if wrong.is_some() {
                    return;
                }
                let Ok(sealed) = chain::open(line) else {
                    // What is before the checkpoint is for `verify`.
                    if at.is_some_and(|at| at.seq >= covers.seq) {
                        wrong = Some("a record behind the last checkpoint was changed".to_owned());
                    }
                    return;
                };
                let link = Link { seq: sealed.seq, hash: sealed.hash };
                let follows = at.is_none_or(|at| sealed.seq == at.seq.saturating_add(1) && sealed.prev == at.hash);
                if [covers, record].iter().any(|signed| signed.seq == link.seq && *signed != link) {
                    wrong = Some(format!(
                        "record {} is another than the one that was signed: the log was rewritten",
                        link.seq
                    ));
                } else if link.seq > covers.seq && !follows {
                    wrong = Some(format!("record {} does not follow the one before it", link.seq));
                }
                at = Some(link);
            })?;
        }
        Ok(match (wrong, at) {
            (Some(wrong), _) => Some(wrong),
            (None, Some(at)) if at.seq >= record.seq => None,
            (None, _) => Some("the signed end of the log is not there".to_owned()),
        })
    }

    /// Reads the newest files, back to a checkpoint of the key's where there is one: how far the log is signed, whether it was
    /// closed, and whether what is unsigned is as little as was promised. Gives the newest checkpoint's number.
    fn end_of_log(&self, origin: &mut Origin) -> io::Result<Option<u64>> {
        let (mut tails, mut newest) = (Vec::new(), None);
        for file in files::list(self.directory)?.0.iter().rev() {
            let mut tail = Tail::default();
            files::each_line(file, |line| tail.line(line, |entry, before| self.vouches(entry, before)))?;
            newest = newest.or(tail.signed());
            let signed = tail.signed().is_some();
            tails.push(tail);
            // The last run's files end with a checkpoint each.
            if signed || self.signer.is_none() {
                break;
            }
        }
        let tail = tails.into_iter().rev().reduce(Tail::then).unwrap_or_default();
        origin.closed = tail.is_closed(self.signer.is_some());
        origin.signed = tail.signed().unwrap_or(0);
        origin.written = tail.written_last(self.signer.is_some());
        if origin.wrong.is_empty()
            && let Some(why) = tail.is_too_long()
        {
            origin.wrong.push((why, None));
        }
        Ok(newest)
    }

    /// The checkpoint, where this record is one of the key's, of this log, and behind the record that it covers.
    fn vouches(&self, entry: &Entry, before: Option<Link>) -> Option<Checkpoint> {
        let checkpoint = Checkpoint::of(entry)?;
        let key = self.signer?.public();
        let holds = checkpoint.check(&[key]).is_ok()
            && checkpoint.log == self.name
            && before.is_none_or(|before| before == checkpoint.covers);
        Some(checkpoint).filter(|_| holds)
    }

    /// Whether the log's newest files hold a checkpoint: one stands at each start, rotation and stop.
    fn was_signed(&self) -> io::Result<bool> {
        for file in files::list(self.directory)?.0.iter().rev().take(2) {
            let mut signed = false;
            files::each_line(file, |line| {
                signed |= Entry::parse(line).is_some_and(|entry| entry.event() == "checkpoint");
            })?;
            if signed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// No place may have a record that the log has not.
    fn positions(&self, origin: &mut Origin) -> io::Result<()> {
        for given in beside::given(self.directory)? {
            let name = &given.place;
            if given.seq > self.end.seq {
                let what = format!(
                    "`{name}` says that record {} was given away, and the log ended with record {}",
                    given.seq, self.end.seq
                );
                origin.wrong.push((what, None));
            } else if let Some(hash) = given.hash
                && let Some(here) = self.hash_of(given.seq)?
                && here != hash
            {
                let what = format!("record {} is another than the one that `{name}` says was given away", given.seq);
                origin.wrong.push((what, None));
            }
        }
        Ok(())
    }

    fn hash_of(&self, seq: u64) -> io::Result<Option<Hash>> {
        let listed = files::list(self.directory)?.0;
        let Some(file) = listed.iter().rfind(|file| file.first_seq <= seq) else { return Ok(None) };
        let mut found = None;
        files::each_line(file, |line| {
            found =
                found.or_else(|| chain::open(line).ok().filter(|sealed| sealed.seq == seq).map(|sealed| sealed.hash));
        })?;
        Ok(found)
    }
}

impl Origin {
    /// The last record whose word can be trusted: without a key any.
    pub(in crate::audit) fn trusted(&self) -> u64 {
        if self.keyed { self.signed } else { u64::MAX }
    }

    /// When the log was written last, as far as that can be trusted.
    pub(in crate::audit) fn written_last(&self) -> Option<Timestamp> {
        self.written.as_deref()?.parse().ok()
    }

    /// The records that tell of it, under the same checkpoint as `start`.
    ///
    /// # Errors
    /// They cannot be encoded.
    pub(in crate::audit) fn bodies(&self) -> Result<Vec<Body>, AuditError> {
        let mut bodies = Vec::new();
        for (what, kept) in &self.wrong {
            tracing::error!(
                what,
                "the access log does not go on where it ended: it was changed while no proxy wrote it"
            );
            bodies.push(Event::LogIncident { about: ABOUT, what, kept: kept.as_deref() }.record()?.body);
        }
        let after = self.after;
        let signed = self.keyed.then_some(self.signed);
        if after > 0 && (!self.closed || self.stale.is_some() || signed.is_some_and(|signed| signed < after)) {
            let resumed = Event::Resumed { after, signed, closed: self.closed, checkpoint: self.stale };
            bodies.push(resumed.record()?.body);
        }
        Ok(bodies)
    }
}
