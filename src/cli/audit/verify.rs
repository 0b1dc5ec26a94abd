//! `pgpurpose audit verify`: what the log proves, and what it cannot.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::audit::checkpoint::{Checkpoint, PublicKey};
use crate::audit::read::{Entry, record};
use crate::audit::{Ended, Sent, Trust, Verification, verify_signed_from};
use crate::cli::Ending;
use crate::cli::bar::Bar;
use crate::cli::days;
use crate::cli::output::{Output, Style, printable};
use crate::config::Zone;

#[derive(Debug, Args)]
pub(super) struct Proof {
    /// The public key that `audit keygen` printed, or a file that holds it; again for each key that was ever in use
    #[arg(long, value_name = "FILE|HEX")]
    public_key: Vec<String>,
    /// Checkpoints that were kept elsewhere, one JSON object a line; other lines are passed over
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Records before this one were written before the log was signed
    #[arg(long, value_name = "SEQ")]
    signed_from: Option<u64>,
    /// The log must hold a record with this number and hash, as `verify` printed them earlier
    #[arg(long, value_name = "SEQ:HASH")]
    last: Option<String>,
    /// The log must end with the record that closes it, as after `SIGTERM`; with a key, a checkpoint must vouch for it
    #[arg(long)]
    closed: bool,
    /// Leave out that each index is built again and compared: half the time
    #[arg(long)]
    no_index: bool,
}

impl Proof {
    /// What is held against a log.
    ///
    /// # Errors
    /// A key or a file cannot be read.
    pub(super) fn trust(&self) -> Result<Trust, String> {
        trust(&self.public_key, &self.checkpoint, !self.no_index)
    }

    /// Whether it says something of one log alone.
    pub(super) fn is_of_one(&self) -> bool {
        self.last.is_some() || self.signed_from.is_some()
    }
}

pub(super) fn run(directory: &Path, proof: &Proof, zone: &Zone, json: bool, output: &mut Output) -> io::Result<Ending> {
    let expected = match proof.last.as_deref().map(seq_and_hash) {
        None => None,
        Some(Some(expected)) => Some(expected),
        Some(None) => return Ok(output.wrong("--last takes a number and a hash: `17:5d41…`")),
    };
    let trust = match proof.trust() {
        Ok(trust) => trust,
        Err(error) => return Ok(output.wrong(error)),
    };
    let signed_from = proof.signed_from.unwrap_or(0);
    let mut bar = Bar::new("verifying the log");
    let found = verify_signed_from(directory, &trust, signed_from, |advance| bar.at(advance, output));
    bar.end(output);
    let found = found?;
    let mut breaks: Vec<String> = found.breaks.iter().map(ToString::to_string).collect();
    if let Some((seq, hash)) = expected {
        // Where it is not in the file that it belongs to, the chain is broken besides.
        if record(directory, seq)?.is_none_or(|entry| entry.text("hash") != Some(hash)) {
            breaks.push(format!("record {seq} with the expected hash is not in the log: it was cut off or rewritten"));
        }
    }
    if proof.closed && found.ended != Ended::InOrder {
        breaks.push("the log does not end with the record that closes it".to_owned());
    }
    if found.is_empty() && breaks.is_empty() {
        breaks.push(format!("`{}` holds no record: there is nothing to verify", directory.display()));
    }
    let place = ("directory", directory.display().to_string());
    if !json {
        days::tell(zone, output);
    }
    Ok(give(place, &found, &breaks, &trust, proof, zone, json, output))
}

/// The same of a log that a database holds.
pub(super) fn told(
    log: &str,
    found: &Verification,
    trust: &Trust,
    proof: &Proof,
    zone: &Zone,
    json: bool,
    output: &mut Output,
) -> Ending {
    let mut breaks: Vec<String> = found.breaks.iter().map(ToString::to_string).collect();
    if proof.closed && found.ended != Ended::InOrder {
        breaks.push("the log does not end with the record that closes it".to_owned());
    }
    if found.is_empty() {
        breaks.push("the database holds no record of it".to_owned());
    }
    give(("log", log.to_owned()), found, &breaks, trust, proof, zone, json, output)
}

#[allow(clippy::too_many_arguments)]
fn give(
    (field, place): (&str, String),
    found: &Verification,
    breaks: &[String],
    trust: &Trust,
    proof: &Proof,
    zone: &Zone,
    json: bool,
    output: &mut Output,
) -> Ending {
    if json {
        let mut object = as_json(found, breaks);
        if let Some(object) = object.as_object_mut() {
            object.insert(field.to_owned(), place.into());
            object.insert("time_zone".to_owned(), zone.to_string().into());
        }
        output.line(object);
    } else {
        tell(found, breaks, trust, proof, zone, output);
    }
    if breaks.is_empty() { Ending::Fine } else { Ending::Failed }
}

fn seq_and_hash(text: &str) -> Option<(u64, &str)> {
    let (seq, hash) = text.split_once(':')?;
    Some((seq.parse().ok()?, hash))
}

/// What a log is held against: public keys, files of checkpoints, and whether indexes are built again.
///
/// # Errors
/// A key or a file cannot be read.
pub(in crate::cli) fn trust(keys: &[String], checkpoints: &[PathBuf], indexes: bool) -> Result<Trust, String> {
    let keys = keys.iter().map(|key| PublicKey::read(key)).collect::<Result<_, _>>()?;
    let mut sent = Vec::new();
    for path in checkpoints {
        let failed = |error: io::Error| format!("`{}` cannot be read: {error}", path.display());
        let before = sent.len();
        for (number, line) in BufReader::new(File::open(path).map_err(failed)?).split(b'\n').enumerate() {
            let line = line.map_err(failed)?;
            // Syslog puts its own words before the record.
            let json = line.iter().position(|byte| *byte == b'{').and_then(|at| line.get(at..)).unwrap_or_default();
            if let Some(checkpoint) = Entry::parse(json).as_ref().and_then(Checkpoint::of) {
                sent.push(Sent { place: format!("`{}:{}`", path.display(), number + 1), checkpoint });
            }
        }
        if sent.len() == before {
            return Err(format!("`{}` holds no checkpoint", path.display()));
        }
    }
    Ok(Trust { keys, sent, indexes })
}

pub(in crate::cli) fn as_json(found: &Verification, breaks: &[String]) -> serde_json::Value {
    let places: Vec<_> = found
        .breaks
        .iter()
        .map(|broken| {
            serde_json::json!({
                "file": broken.file, "line": broken.line, "seq": broken.seq, "what": broken.what.to_string(),
            })
        })
        .collect();
    serde_json::json!({
        "holds": breaks.is_empty(), "files": found.files, "records": found.records, "first": found.first,
        "last": format!("{}:{}", found.last.seq, found.last.hash), "checkpoints": found.checkpoints,
        "vouched": found.vouched, "open": found.open, "lost": found.lost, "ended": ended(found.ended), "breaks": breaks, "places": places,
        "notices": found.notices,
    })
}

fn ended(ended: Ended) -> &'static str {
    match ended {
        Ended::InOrder => "in order",
        Ended::Running => "running",
        Ended::Abruptly => "abruptly",
        Ended::Open => "open",
    }
}

fn tell(found: &Verification, breaks: &[String], trust: &Trust, proof: &Proof, zone: &Zone, output: &mut Output) {
    for notice in &found.notices {
        output.line(format_args!("note: {}", printable(&zone.show_within(notice))));
    }
    for broken in breaks {
        let line = format!("{}: {}", output.styled(Style::Bad, "broken"), printable(&zone.show_within(broken)));
        output.line(line);
    }
    for line in unfinished(found) {
        output.remark(format_args!("note: {line}"));
    }
    let kept = !proof.checkpoint.is_empty() || proof.last.is_some();
    for limit in limits(found, trust, kept) {
        output.remark(format_args!("note: {limit}"));
    }
    let last = format!("{}:{}", found.last.seq, found.last.hash);
    let counts = match found.files {
        0 => format!("{} records, the last is {last}", found.records),
        files => format!("{} records in {files} files, the last is {last}", found.records),
    };
    if found.is_empty() {
        return;
    }
    let line = if breaks.is_empty() {
        format!("{}: {counts}", output.styled(Style::Good, "the chain holds"))
    } else {
        format!("{}: {counts}", output.styled(Style::Bad, "the chain is broken"))
    };
    output.line(line);
}

/// Accesses of which nobody knows how they ended.
fn unfinished(found: &Verification) -> Vec<String> {
    let mut lines = Vec::new();
    if found.lost > 0 {
        lines.push(format!("the outcome of {} accesses is lost: the session or the proxy ended before it", found.lost));
    }
    if found.open > 0 {
        let why = match found.ended {
            Ended::Running | Ended::Open => "they may still run",
            Ended::InOrder | Ended::Abruptly => "the next start of the proxy closes them as lost",
        };
        lines.push(format!("{} accesses have no outcome: {why}", found.open));
    }
    lines
}

/// What was not shown. `kept`: the log was held against something that is kept elsewhere.
pub(in crate::cli) fn limits(found: &Verification, trust: &Trust, kept: bool) -> Vec<String> {
    let mut limits = Vec::new();
    if trust.keys.is_empty() {
        let how = if found.checkpoints > 0 {
            format!("the log holds {} signed checkpoints: give `--public-key`", found.checkpoints)
        } else {
            "set `signing_key` under `[audit]`".to_owned()
        };
        limits.push(format!(
            "without a key, this shows a change of single records; whoever rewrote everything from some record on is not seen ({how})"
        ));
    } else if found.vouched > 0 {
        let behind = found.last.seq.saturating_sub(found.vouched);
        limits.push(format!("{} checkpoints vouch for everything up to record {}", found.checkpoints, found.vouched));
        if behind > 0 {
            limits.push(format!("the {behind} records behind it wait for the next checkpoint, and could be rewritten"));
        }
    }
    match found.ended {
        Ended::InOrder => {}
        Ended::Running if !kept => limits.push(
            "the log is being written: that its newest records were cut off shows only by a checkpoint kept elsewhere (`--checkpoint`)"
                .to_owned(),
        ),
        Ended::Running => {}
        Ended::Open => limits.push(
            "the log does not end with the record that closes it: its proxy runs, was killed, or has not sent its newest records yet"
                .to_owned(),
        ),
        Ended::Abruptly => limits.push(
            "the log does not end with the record that closes it: the proxy was killed, or the newest records were cut off"
                .to_owned(),
        ),
    }
    limits
}
