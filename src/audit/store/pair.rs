//! Which accesses have their outcome, told from the beginnings of lines: most lines need not be read as JSON for that.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::files;

/// What a line means for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    /// This access, which wants an outcome.
    Access(u64),
    /// The outcome of this access, and whether it is not known.
    Outcome(u64, bool),
    /// The log was opened.
    Start,
    /// The log was closed.
    Stop,
    /// Nothing.
    Other,
}

/// Bytes within which the kind of a record stands: behind number and time.
const FRONT: usize = 96;

impl Half {
    fn of(line: &[u8]) -> Self {
        let front = line.get(..FRONT).unwrap_or(line);
        let Some(seq) = front.strip_prefix(b"{\"seq\":").and_then(number) else { return Self::Other };
        let Some(at) = memchr::memmem::find(front, b"\"event\":\"") else { return Self::Other };
        let event = line.get(at + b"\"event\":\"".len()..).unwrap_or_default();
        if event.starts_with(b"access\"") {
            return Self::Access(seq);
        }
        if let Some(rest) = event.strip_prefix(b"outcome\",\"of\":") {
            let lost = memchr::memmem::find(rest, b"\"status\":\"lost\"").is_some();
            return number(rest).map_or(Self::Other, |of| Self::Outcome(of, lost));
        }
        if event.starts_with(b"start\"") {
            return Self::Start;
        }
        if event.starts_with(b"stop\"") { Self::Stop } else { Self::Other }
    }
}

/// The kind of a record, from its line; empty where it says none.
pub(in crate::audit) fn event_of(line: &[u8]) -> &[u8] {
    let front = line.get(..FRONT).unwrap_or(line);
    let Some(at) = memchr::memmem::find(front, b"\"event\":\"") else { return &[] };
    let event = front.get(at + b"\"event\":\"".len()..).unwrap_or_default();
    event.iter().position(|&byte| byte == b'"').and_then(|end| event.get(..end)).unwrap_or_default()
}

/// The time of a record, from its line, as it stands there; an outcome has none.
pub(in crate::audit) fn time_of(line: &[u8]) -> Option<&str> {
    let front = line.get(..FRONT).unwrap_or(line);
    let rest = front.strip_prefix(b"{\"seq\":")?;
    let digits = rest.iter().position(|&byte| !byte.is_ascii_digit())?;
    let time = rest.get(digits..)?.strip_prefix(b",\"time\":\"")?;
    let end = time.iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(time.get(..end)?).ok()
}

/// The number that bytes begin with.
fn number(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    std::str::from_utf8(bytes.get(..end)?).ok()?.parse().ok()
}

/// Accesses and their outcomes, as far as the log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::audit) struct Pairs {
    /// Accesses without an outcome.
    pub(in crate::audit) open: BTreeSet<u64>,
    /// Accesses whose outcome says that it is not known.
    pub(in crate::audit) lost: u64,
}

impl Pairs {
    /// Takes the next line.
    pub(in crate::audit) fn line(&mut self, line: &[u8]) {
        match Half::of(line) {
            Half::Access(seq) => {
                self.open.insert(seq);
            }
            Half::Outcome(of, lost) => {
                self.open.remove(&of);
                self.lost += u64::from(lost);
            }
            Half::Start | Half::Stop | Half::Other => {}
        }
    }
}

/// Plain bytes of the log's end that are looked through, from the last file back.
const REACH: u64 = 512 << 20;

/// Accesses of the run that ended last whose outcome is missing: it was killed, or could not write. A log that was closed in
/// order has none to look for.
pub(in crate::audit) fn unfinished(directory: &Path) -> io::Result<BTreeSet<u64>> {
    let (mut parts, mut read) = (Vec::new(), 0);
    let mut newest = true;
    for file in files::list(directory)?.0.into_iter().rev() {
        let (mut pairs, mut begun, mut stopped) = (Outcomes::default(), false, false);
        files::each_line(&file, |line| {
            read += line.len() as u64;
            match Half::of(line) {
                // What came before belongs to an earlier run.
                Half::Start => (pairs, begun) = (Outcomes::default(), true),
                half => {
                    stopped = half == Half::Stop || (stopped && half == Half::Other);
                    pairs.take(half);
                }
            }
        })?;
        let in_order = newest && stopped;
        if in_order {
            return Ok(BTreeSet::new());
        }
        newest = false;
        parts.push(pairs);
        if begun || read >= REACH {
            break;
        }
    }
    let mut open = BTreeSet::new();
    for part in parts.into_iter().rev() {
        open.extend(part.asked);
        for of in part.answered {
            open.remove(&of);
        }
    }
    Ok(open)
}

/// The same of a part of the log: outcomes may be of accesses before it.
#[derive(Debug, Default)]
struct Outcomes {
    asked: BTreeSet<u64>,
    answered: Vec<u64>,
}

impl Outcomes {
    fn take(&mut self, half: Half) {
        match half {
            Half::Access(seq) => {
                self.asked.insert(seq);
            }
            Half::Outcome(of, _) => {
                if !self.asked.remove(&of) {
                    self.answered.push(of);
                }
            }
            Half::Start | Half::Stop | Half::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_by_their_beginnings() {
        let cases = [
            (r#"{"seq":7,"time":"2026-11-22T10:00:00.000001Z","event":"access","session":"5f","#, Half::Access(7)),
            (r#"{"seq":8,"event":"outcome","of":7,"status":"ok","rows":1,"#, Half::Outcome(7, false)),
            (r#"{"seq":9,"event":"outcome","of":7,"status":"lost","rows":null,"#, Half::Outcome(7, true)),
            (r#"{"seq":1,"time":"2026-11-22T10:00:00.000001Z","event":"start","version":"#, Half::Start),
            (r#"{"seq":2,"time":"2026-11-22T10:00:00.000001Z","event":"stop","reason":"#, Half::Stop),
            (r#"{"seq":2,"time":"2026-11-22T10:00:00.000001Z","event":"connect","session":"#, Half::Other),
            (r#"{"seq":2,"time":"2026-11-22T10:00:00.000001Z","event":"access_x","session":"#, Half::Other),
            (r#"{"time":"2026-11-22T10:00:00.000001Z","event":"access"}"#, Half::Other),
            ("", Half::Other),
            ("{\"seq\":99999999999999999999999,\"event\":\"access\"}", Half::Other),
        ];
        for (line, half) in cases {
            assert_eq!(Half::of(line.as_bytes()), half, "{line}");
        }
    }
}
