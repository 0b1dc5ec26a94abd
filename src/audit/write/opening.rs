//! How the log is opened: where it ends, what is told of its end, and what a run before left open.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;

use super::keeper::{Care, Keeper};
use super::options::LogOptions;
use super::origin::{self, Known, Origin};
use super::room::Room;
use super::status::StatusCell;
use super::steady::{Before, Steady, newest_word};
use super::watch::Watch;
use super::writer::{Mark, Open, Trouble, Writer};
use crate::audit::record::{AuditError, Body, Event, Outcome, OutcomeStatus};
use crate::audit::store::files::{self, LogFile, TornEnd};
use crate::audit::store::pair;

/// What was found behind the last whole record, and what does not hold.
#[derive(Debug, Default)]
struct Found {
    torn: Vec<TornEnd>,
    wrong: Option<String>,
}

impl Writer {
    /// Opens the log, holds its end against what is known of it, and writes `start`.
    pub(in crate::audit) fn start(
        options: LogOptions,
        status: Arc<StatusCell>,
        room: Arc<Room>,
    ) -> Result<Self, AuditError> {
        let mut writer = Self::new(options, status, room);
        files::make_directory(&writer.options.directory).map_err(|error| writer.unwritable(&error.to_string()))?;
        writer.room.look(&writer.options.directory);
        let found = writer.open_file()?;
        let origin = writer.origin().map_err(|error| writer.unwritable(&error.to_string()))?;
        // What the run before left without an outcome.
        let unfinished = pair::unfinished(&writer.options.directory);
        let unfinished = unfinished.map_err(|error| writer.unwritable(&error.to_string()))?;
        let mut steady = writer.steady(&origin).map_err(|error| writer.unwritable(&error.to_string()))?;
        let news = steady.look(writer.options.signer.as_deref());
        let sync = writer.options.sync.to_string();
        let key = writer.options.signer.as_ref().map(|signer| signer.public().id());
        let start = Event::Start {
            version: env!("CARGO_PKG_VERSION"),
            sync: &sync,
            log: &writer.name,
            proxy: writer.options.proxy.as_deref(),
            key: key.as_deref(),
            clock: steady.fields(),
        };
        let mut bodies = vec![start.record()?.body];
        bodies.extend(torn(&found.torn)?);
        bodies.extend(origin.bodies()?);
        for of in unfinished {
            bodies.push(lost_outcome(of)?);
        }
        let news_body = news.as_ref().map(|news| steady.body(news)).transpose()?;
        let jobs = [bodies.as_slice(), news_body.as_slice()];
        let numbers = writer.write(&jobs, true, true).map_err(|error| writer.unwritable(&error.to_string()))?;
        if let (Some(news), Some(numbers)) = (&news, numbers.get(1)) {
            steady.is_told(news, numbers.first());
        }
        writer.status.clock(steady.margin());
        writer.steady = Some(steady);
        writer.begin_care()?;
        Ok(writer)
    }

    /// Holds the end of the log against the checkpoints and positions that are known of it.
    fn origin(&self) -> io::Result<Origin> {
        let Some(end) = self.link else { return Ok(Origin::default()) };
        Known {
            directory: &self.options.directory,
            signer: self.options.signer.as_deref(),
            anchor: self.options.anchor.as_deref(),
            name: &self.name,
            end,
        }
        .origin()
    }

    /// Begins to watch the clock, from what the log says that can be trusted.
    fn steady(&self, origin: &Origin) -> io::Result<Steady> {
        let kept = newest_word(&self.options.directory, origin.trusted())?;
        let before = Before { kept, newest: origin.written_last() };
        Ok(Steady::open(&self.options.directory, self.options.retain_days.is_some(), &before))
    }

    fn begin_care(&mut self) -> Result<(), AuditError> {
        if self.options.keep {
            let care = Care {
                directory: self.options.directory.clone(),
                compress: self.options.compress,
                retain_days: self.options.retain_days,
                status: Arc::clone(&self.status),
            };
            let keeper = Keeper::start(care).map_err(|error| self.unwritable(&error.to_string()))?;
            keeper.look();
            self.keeper = Some(keeper);
        }
        Ok(())
    }

    /// Opens the log where it ends, and says in it what was torn and that it could not be written for a while.
    pub(super) fn reopen(&mut self) -> Result<(), AuditError> {
        let opened = self.open_file().and_then(|found| self.tell(&found));
        opened.inspect_err(|error| {
            let error = match error {
                AuditError::Unwritable { reason, .. } => reason.clone(),
                other => other.to_string(),
            };
            self.in_trouble(error);
        })
    }

    fn open_file(&mut self) -> Result<Found, AuditError> {
        self.open = None;
        let failed = |writer: &Self, error: &io::Error| writer.unwritable(&error.to_string());
        let lock = files::lock(&self.options.directory).map_err(|error| failed(self, &error))?;
        let lock = lock.ok_or_else(|| AuditError::InUse { directory: self.options.directory.display().to_string() })?;
        let now = Timestamp::now();
        let recovered = files::recover(&self.options.directory, now).map_err(|error| failed(self, &error))?;
        // Records that were refused, and stand in the file all the same, stay. A folder that was emptied or put
        // back is continued after what was written last: `verify` then shows the gap.
        let link = match self.link {
            Some(link) if link.seq >= recovered.link.seq => link,
            Some(_) | None => recovered.link,
        };
        let wrong = self.link.filter(|known| *known != link && !self.attempted.contains(&link)).map(|known| {
            format!(
                "records {} to {} were written by somebody else while the log was out of reach",
                known.seq + 1,
                link.seq
            )
        });
        let last = recovered.last.filter(|_| link == recovered.link);
        let (named, new) = match last {
            Some(named) => (named, false),
            None => (LogFile::new(&self.options.directory, link.seq + 1, self.today.at(Timestamp::now())), true),
        };
        let file = files::open_append(&named, new).map_err(|error| failed(self, &error))?;
        let length = file.metadata().map_err(|error| failed(self, &error))?.len();
        let begun = if new { None } else { files::begun(&named).map_err(|error| failed(self, &error))? };
        if self.name.is_empty() {
            let known = files::log_name(&self.options.directory).map_err(|error| failed(self, &error))?;
            self.name = known.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        }
        self.whole.clear();
        self.attempted.clear();
        let (watch, begun) = (Watch::over(&named.path), begun.unwrap_or(now));
        self.open = Some(Open {
            file,
            named,
            watch,
            asked: 0,
            length,
            texts: 0,
            flushed: 0,
            begun,
            doubtful: false,
            _lock: lock,
        });
        self.link = Some(link);
        self.synced = Some(Mark { link, length });
        self.status.named(&self.name);
        self.status.durable(link.seq);
        Ok(Found { torn: recovered.torn, wrong })
    }

    /// The first records after opening again: what was torn, and that the log was in trouble. Their write is the proof that
    /// it is not any more.
    fn tell(&mut self, found: &Found) -> Result<(), AuditError> {
        let mut bodies = torn(&found.torn)?;
        if let Some(what) = &found.wrong {
            tracing::error!(what, "the access log was changed while it could not be written");
            bodies.push(Event::LogIncident { about: origin::ABOUT, what, kept: None }.record()?.body);
        }
        if let Some(Trouble { error, since, refused }) = &self.trouble {
            let since = format!("{since:.6}");
            bodies.push(Event::Recovered { error, since: &since, refused: *refused }.record()?.body);
        }
        bodies.extend(self.owed.iter().cloned());
        if !bodies.is_empty() {
            self.write(&[&bodies], true, false).map_err(|error| {
                self.cut_back();
                self.unwritable(&error.to_string())
            })?;
        }
        self.trouble = None;
        self.owed.clear();
        self.status.trouble(None);
        if let Some(link) = self.link {
            self.status.reached(link.seq);
        }
        Ok(())
    }
}

fn torn(ends: &[TornEnd]) -> Result<Vec<Body>, AuditError> {
    let record = |end: &TornEnd| {
        let TornEnd { file, kept, bytes, sha256 } = end;
        let sha256 = sha256.to_string();
        Ok(Event::Torn { file, kept, bytes: *bytes, sha256: &sha256 }.record()?.body)
    };
    ends.iter().map(record).collect()
}

/// What is written of an access whose end nobody will know.
fn lost_outcome(of: u64) -> Result<Body, AuditError> {
    let outcome = Outcome { of, status: OutcomeStatus::Lost, rows: None, sqlstate: None, ms: 0.0 };
    Ok(Event::Outcome(outcome).record()?.body)
}
