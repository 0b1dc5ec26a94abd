//! Keeps one place in the code from flooding the proxy's own log: past so many lines in a minute the rest are counted, and told as a number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// So many lines of one place in the code are written in a minute.
const LINES: u64 = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// How many lines the proxy's own log had, for the metrics.
#[derive(Debug, Default)]
pub struct OwnLines {
    error: AtomicU64,
    warn: AtomicU64,
    left_out: AtomicU64,
}

impl OwnLines {
    /// `(level, lines)`, those that were left out among them.
    pub fn by_level(&self) -> [(&'static str, u64); 2] {
        [("error", self.error.load(Ordering::Relaxed)), ("warn", self.warn.load(Ordering::Relaxed))]
    }

    /// How many were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Place {
    since: Instant,
    lines: u64,
    left_out: u64,
    what: &'static str,
    line: u32,
}

/// Lets lines through, up to a limit for each place in the code.
#[derive(Debug, Clone, Default)]
pub(super) struct Limit {
    pub(super) lines: Arc<OwnLines>,
    places: Arc<Mutex<HashMap<Identifier, Place>>>,
}

/// What was left out of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) at: String,
    pub(super) lines: u64,
}

impl Limit {
    /// Whether one more line of a place goes out.
    fn take(&self, metadata: &Metadata<'static>, now: Instant) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Place {
            since: now,
            lines: 0,
            left_out: 0,
            what: metadata.file().unwrap_or(metadata.target()),
            line: metadata.line().unwrap_or_default(),
        };
        let place = places.entry(metadata.callsite()).or_insert_with(new);
        if now.duration_since(place.since) >= MINUTE && place.left_out == 0 {
            (place.since, place.lines) = (now, 0);
        }
        place.lines += 1;
        let out = place.lines <= LINES;
        place.left_out += u64::from(!out);
        out
    }

    /// What was left out of places whose minute is over; they begin again.
    fn over(&self, now: Instant) -> Vec<LeftOut> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let over = places.values_mut().filter(|place| place.left_out > 0 && now.duration_since(place.since) >= MINUTE);
        over.map(|place| {
            let lines = std::mem::take(&mut place.left_out);
            (place.since, place.lines) = (now, 0);
            LeftOut { at: format!("{}:{}", place.what, place.line), lines }
        })
        .collect()
    }

    /// Tells from time to time how many lines were left out; ends with the process.
    pub(super) fn tell(self) {
        let told = std::thread::Builder::new().name("own-log".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(MINUTE / 12);
                for LeftOut { at, lines } in self.over(Instant::now()) {
                    tracing::warn!(lines, at, "more lines of one kind than are written in a minute were left out");
                }
            }
        });
        // Without it they are counted all the same.
        drop(told);
    }
}

impl<S: Subscriber> Filter<S> for Limit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        match *metadata.level() {
            Level::ERROR => drop(self.lines.error.fetch_add(1, Ordering::Relaxed)),
            Level::WARN => drop(self.lines.warn.fetch_add(1, Ordering::Relaxed)),
            // What somebody asked for by `PGPURPOSE_LOG` is not held back.
            _ => return true,
        }
        let out = self.take(metadata, Instant::now());
        if !out {
            self.lines.left_out.fetch_add(1, Ordering::Relaxed);
        }
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::io;

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_flood_of_one_place_is_a_number_and_leaves_others_alone() {
        let (written, limit) = (Written::default(), Limit::default());
        let layer = tracing_subscriber::fmt::layer().with_writer(written.clone()).with_filter(limit.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..1381 {
                tracing::error!(number, "the database went away");
            }
            tracing::error!("something else");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("the database went away").count(), 20);
        assert_eq!(text.matches("something else").count(), 1);
        assert!(limit.over(Instant::now()).is_empty(), "its minute is not over");
        let over = limit.over(Instant::now() + MINUTE);
        assert_eq!(over.iter().map(|left| left.lines).collect::<Vec<_>>(), [1361]);
        assert!(over[0].at.contains("flood.rs:"), "{over:?}");
        assert!(limit.over(Instant::now() + MINUTE).is_empty(), "told once");
        assert_eq!((limit.lines.left_out(), limit.lines.by_level()), (1361, [("error", 1382), ("warn", 0)]));
    }
}
