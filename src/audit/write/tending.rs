//! What the writer does by itself while nobody writes: the clock is watched, old files are destroyed, checkpoints follow in time.

use std::io;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::keeper::{Doomed, Keeper, is_old};
use super::writer::{Mark, Writer};
use crate::audit::record::Event;
use crate::audit::store::files;

/// In this time no more is destroyed than what was written within [`SPAN`], and one file at least: who sees it has time to act.
const HOUR: Duration = Duration::from_secs(3600);
const SPAN: SignedDuration = SignedDuration::from_hours(24);

/// How much was destroyed of late.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace(Option<(Instant, Timestamp)>);

impl Pace {
    /// Whether a file whose newest record is of this time may go, after those that went.
    fn lets(&mut self, newest: Timestamp) -> bool {
        match self.0 {
            Some((begun, first)) if begun.elapsed() < HOUR => newest.duration_since(first) <= SPAN,
            Some(_) | None => {
                self.0 = Some((Instant::now(), newest));
                true
            }
        }
    }
}

impl Writer {
    /// Looks after the file while nobody writes, so that readiness tells the truth.
    pub(in crate::audit) fn tend(&mut self) {
        if let Some(open) = &self.open
            && let Err(error) = files::still_there(&open.file, &open.named.path)
        {
            self.fail(&error);
        }
        if self.status.may_let_go()
            && let Some(keeper) = &self.keeper
        {
            keeper.look();
        }
        // What went wrong stands in the status.
        if self.open.is_none() {
            let _ = self.ready();
        }
        if self.open.is_some()
            && let Err(error) = self.watch_clock().and_then(|()| self.keep()).and_then(|()| self.take_handed())
        {
            self.fail(&error);
        }
    }

    /// Writes what other processes handed in, and tells them its numbers.
    fn take_handed(&mut self) -> io::Result<()> {
        let directory = self.options.directory.clone();
        for (id, body) in self.taken.waiting(&directory, &self.name, self.options.signer.as_deref()) {
            let numbers = self.write(&[&[body]], true, false)?;
            self.settle()?;
            super::handed::tell(&directory, &id, numbers.first().map_or(0, super::numbers::Numbers::first))?;
        }
        Ok(())
    }

    /// Looks at the machine's clock, and writes down what it did.
    fn watch_clock(&mut self) -> io::Result<()> {
        let Some(mut steady) = self.steady.take() else { return Ok(()) };
        let done = match steady.look(self.options.signer.as_deref()) {
            None => Ok(()),
            Some(news) => steady.body(&news).map_err(io::Error::other).and_then(|body| {
                let numbers = self.write(&[&[body]], true, true)?;
                steady.is_told(&news, numbers.first().map_or(0, super::numbers::Numbers::first));
                Ok(())
            }),
        };
        let before = self.status.clock(steady.margin());
        if before.is_none()
            && steady.margin().is_some()
            && let Some(keeper) = &self.keeper
        {
            keeper.look();
        }
        self.steady = Some(steady);
        done
    }

    /// Writes the checkpoint that is due, and what is destroyed.
    fn keep(&mut self) -> io::Result<()> {
        while let Some(doomed) = self.keeper.as_ref().and_then(Keeper::doomed) {
            // Perhaps it jumped since the file was judged.
            self.watch_clock()?;
            let margin = self.steady.as_ref().and_then(super::steady::Steady::margin);
            let old = margin.is_some_and(|margin| is_old(doomed.until, doomed.retain_days, margin, Timestamp::now()));
            if !doomed.file.path.exists() || !old || !self.pace.lets(doomed.until) {
                continue;
            }
            self.destroy(doomed)?;
        }
        self.settle()?;
        if self.is_due() { self.write(super::writer::NONE, true, true).map(drop) } else { Ok(()) }
    }

    /// Writes down that a file is destroyed, and lets it happen.
    fn destroy(&mut self, doomed: Doomed) -> io::Result<()> {
        let event = Event::Destroyed {
            file: &doomed.file.name(),
            from: doomed.file.first_seq,
            to: doomed.last.seq,
            last: &doomed.last.hash.to_string(),
            sha256: &doomed.sha256.to_string(),
            newest: &doomed.newest,
            retain_days: doomed.retain_days,
        };
        let record = event.record().map_err(io::Error::other)?;
        self.write(&[&[record.body]], true, true)?;
        tracing::info!(file = doomed.file.name(), "a file of the access log is destroyed because of its age");
        if let Some(keeper) = &self.keeper {
            keeper.destroy(doomed.file);
        }
        Ok(())
    }

    /// Syncs what nobody waited for: outcomes.
    fn settle(&mut self) -> io::Result<()> {
        let (Some(open), Some(link), Some(synced)) = (&mut self.open, self.link, self.synced) else { return Ok(()) };
        if link.seq > synced.link.seq {
            self.status.sync(|| open.file.sync_data()).inspect_err(|_| open.doubtful = true)?;
            self.synced = Some(Mark { link, length: open.length });
            self.status.durable(link.seq);
        }
        Ok(())
    }
}
