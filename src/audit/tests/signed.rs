//! Checkpoints: what the public key alone shows.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::audit::record::chain::Hash;
use crate::audit::record::checkpoint::{Checkpoint, PublicKey, Rhythm, Signer};

pub(super) fn signer() -> Arc<Signer> {
    Arc::new(Signer::new(&[7; 32]).unwrap())
}

fn options(directory: &Path, records: u64) -> LogOptions {
    LogOptions {
        signer: Some(signer()),
        rhythm: Rhythm { records, seconds: 60 },
        rotate_bytes: 7_000,
        ..LogOptions::new(directory, Sync::Written)
    }
}

fn trust() -> Trust {
    Trust { keys: vec![signer().public()], ..Trust::default() }
}

fn check(directory: &Path) -> Verification {
    verify_with(directory, &trust(), |_| {}).unwrap()
}

async fn write(log: &AuditLog, count: usize) {
    for n in 0..count {
        let seq = log.append_access(access(&format!("SELECT email FROM t{n}")), ()).await.unwrap().seq();
        log.append(outcome(seq)).await.unwrap();
    }
}

/// Two starts, three files, a checkpoint every eight records, closed in order.
async fn signed_sample() -> TempDir {
    let directory = TempDir::new().unwrap();
    for _ in 0..2 {
        let log = AuditLog::open_with(options(directory.path(), 8)).unwrap();
        write(&log, 9).await;
        log.close("test").await.unwrap();
    }
    directory
}

type Lines = Vec<(PathBuf, Vec<String>)>;

fn read_lines(directory: &Path) -> Lines {
    log_files(directory)
        .into_iter()
        .map(|path| {
            let lines = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
            (path, lines)
        })
        .collect()
}

fn write_lines(files: &Lines) {
    for (path, lines) in files {
        fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
}

/// What somebody without the key can do about the chain: numbers and hashes made to fit again from some line on.
fn reseal(files: &mut Lines, from: usize) {
    let (mut at, mut seq, mut prev) = (0, 0, Hash::GENESIS);
    for (_, lines) in files {
        for line in lines {
            seq += 1;
            if at >= from {
                let (_, rest) = line.split_once(',').unwrap();
                let (fields, _) = rest.rsplit_once(",\"prev\":").unwrap();
                let covered = format!("{{\"seq\":{seq},{fields},\"prev\":\"{prev}\"");
                *line = format!("{covered},\"hash\":\"{}\"}}", Hash::of(covered.as_bytes()));
            }
            prev = Hash::from_hex(&line[line.len() - 66..line.len() - 2]).unwrap();
            at += 1;
        }
    }
}

fn at(files: &mut Lines, mut index: usize) -> (&mut Vec<String>, usize) {
    for (_, lines) in files {
        if index < lines.len() {
            return (lines, index);
        }
        index -= lines.len();
    }
    panic!("no such line");
}

#[tokio::test]
async fn a_thousand_manipulations_are_all_found_with_the_public_key_alone() {
    let directory = signed_sample().await;
    let whole = read_lines(directory.path());
    let count: usize = whole.iter().map(|(_, lines)| lines.len()).sum();
    let found = check(directory.path());
    assert!(found.holds() && found.ended == Ended::InOrder, "{:?}", found.breaks);
    assert!(found.checkpoints >= 5 && whole.len() >= 3, "{found:?} in {} files", whole.len());
    assert_eq!(found.vouched, count as u64);
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut kinds = std::collections::BTreeMap::new();
    for round in 0..1000 {
        let mut files = whole.clone();
        let here = random.random_range(0..count);
        let other = (here + random.random_range(1..count)) % count;
        let kind = ["change", "remove", "swap", "insert", "cut"][round % 5];
        // A third leaves the chain as it is, a third makes the line fit itself, a third makes all that follows fit.
        let mending = random.random_range(0..3);
        let mut from = here;
        match kind {
            "change" => {
                let (lines, at) = at(&mut files, here);
                // In the record's own fields, so that its hashes stay those of a record.
                let end = lines[at].rfind(",\"prev\"").unwrap();
                let begin = lines[at].find("\"event\"").unwrap();
                let place = random.random_range(begin + 9..end);
                let new = if lines[at].as_bytes()[place] == b'7' { '8' } else { '7' };
                lines[at].replace_range(place..place + 1, &new.to_string());
            }
            "remove" => {
                let (lines, at) = at(&mut files, here);
                lines.remove(at);
            }
            "swap" => {
                let (lines, index) = at(&mut files, here);
                let first = lines[index].clone();
                let (lines, index) = at(&mut files, other);
                let second = std::mem::replace(&mut lines[index], first);
                let (lines, index) = at(&mut files, here);
                lines[index] = second;
                from = here.min(other);
            }
            "insert" => {
                let (lines, index) = at(&mut files, other);
                let copy = lines[index].clone();
                let (lines, index) = at(&mut files, here);
                lines.insert(index, copy);
            }
            _ => {
                // The end of the log, from this line on or within it.
                let mut left = here;
                for (_, lines) in &mut files {
                    let keep = left.min(lines.len());
                    lines.truncate(keep);
                    left -= keep;
                }
                files.retain(|(path, lines)| !lines.is_empty() || fs::remove_file(path).is_err());
                from = count;
            }
        }
        match mending {
            0 => {}
            1 => {
                let mut mended = files.clone();
                reseal(&mut mended, from);
                let before: usize = files.iter().map(|(_, lines)| lines.len()).sum();
                if from < before {
                    let line = at(&mut mended, from);
                    let line = line.0[line.1].clone();
                    let (lines, index) = at(&mut files, from);
                    lines[index] = line;
                }
            }
            _ => reseal(&mut files, from),
        }
        write_lines(&files);
        let found = check(directory.path());
        assert!(!found.holds(), "round {round}: {kind} at line {here} (and {other}), mending {mending} was not found");
        let place = &found.breaks[0];
        assert!(place.seq > 0 || place.file == "the log" || place.line == 0, "{place}");
        *kinds.entry(kind).or_insert(0) += 1;
    }
    write_lines(&whole);
    assert!(check(directory.path()).holds(), "the log as it was still holds");
    assert!(kinds.len() == 5 && kinds.values().all(|count| *count == 200), "{kinds:?}");
}

#[tokio::test]
async fn a_change_is_found_at_its_line_its_record_and_its_file() {
    let directory = signed_sample().await;
    let mut files = read_lines(directory.path());
    let name = files[1].0.file_name().unwrap().to_string_lossy().into_owned();
    let line = files[1].1.iter().position(|line| line.contains("support")).unwrap();
    files[1].1[line] = files[1].1[line].replacen("support", "sapport", 1);
    let before = files[0].1.len();
    let seq = (before + line) as u64 + 1;
    write_lines(&files);
    let found = check(directory.path());
    assert_eq!(found.breaks.len(), 1, "{:?}", found.breaks);
    let place = &found.breaks[0];
    assert_eq!((place.file.as_str(), place.line, place.seq), (name.as_str(), line as u64 + 1, seq));
    assert_eq!(place.what, Wrong::Line(chain::BadLine::Changed));

    // With all that follows made to fit, the next checkpoint says so.
    reseal(&mut files, before + line);
    write_lines(&files);
    let found = check(directory.path());
    assert!(matches!(found.breaks[0].what, Wrong::Checkpoint { vouched, .. } if vouched < seq), "{:?}", found.breaks);
}

#[tokio::test]
async fn a_cut_shows_by_a_checkpoint_that_was_kept_elsewhere() {
    let directory = signed_sample().await;
    let files = read_lines(directory.path());
    let kept: Vec<Sent> = entries(directory.path())
        .iter()
        .filter_map(Checkpoint::of)
        .map(|checkpoint| Sent { place: "elsewhere".to_owned(), checkpoint })
        .collect();
    let held = Trust { sent: kept.clone(), ..trust() };
    assert!(verify_with(directory.path(), &held, |_| {}).unwrap().holds());
    // Cut behind an older checkpoint, whose own file is put back too: the log alone looks whole, but for its missing end.
    let older = kept[kept.len() - 3].checkpoint.record.seq as usize;
    let mut cut = files.clone();
    let mut left = older;
    for (path, lines) in &mut cut {
        let keep = left.min(lines.len());
        lines.truncate(keep);
        left -= keep;
        if lines.is_empty() {
            fs::remove_file(path).unwrap();
        }
    }
    cut.retain(|(_, lines)| !lines.is_empty());
    write_lines(&cut);
    let last = cut.last().unwrap().1.last().unwrap().clone();
    fs::write(directory.path().join("checkpoint.json"), format!("{last}\n")).unwrap();
    let found = check(directory.path());
    assert!(found.holds() && found.ended == Ended::Abruptly, "{found:?}");
    let found = verify_with(directory.path(), &held, |_| {}).unwrap();
    assert!(matches!(found.breaks[0].what, Wrong::CutOff { .. }), "{:?}", found.breaks);
    // Without its own file it does not look whole.
    fs::remove_file(directory.path().join("checkpoint.json")).unwrap();
    assert_eq!(check(directory.path()).breaks[0].what, Wrong::NoNewest);
}

#[tokio::test]
async fn another_key_and_a_log_without_checkpoints_prove_nothing() {
    let directory = signed_sample().await;
    let other = Signer::new(&[8; 32]).unwrap().public();
    let with =
        |keys: Vec<PublicKey>| verify_with(directory.path(), &Trust { keys, ..Trust::default() }, |_| {}).unwrap();
    assert_eq!(with(vec![other]).breaks[0].what, Wrong::NoCheckpoint);
    assert!(with(vec![other, signer().public()]).holds(), "several keys were in use");
    let unsigned = sample().await;
    assert_eq!(check(unsigned.path()).breaks[0].what, Wrong::NoCheckpoint);
}

#[tokio::test]
async fn a_checkpoint_of_another_log_does_not_pass() {
    let (one, two) = (signed_sample().await, signed_sample().await);
    let name = |directory: &Path| files::log_name(directory).unwrap().unwrap();
    assert_ne!(name(one.path()), name(two.path()));
    let foreign = fs::read(two.path().join("checkpoint.json")).unwrap();
    fs::write(one.path().join("checkpoint.json"), foreign).unwrap();
    assert!(matches!(check(one.path()).breaks[0].what, Wrong::Rewritten { .. } | Wrong::CutOff { .. }));
}

#[tokio::test]
async fn a_long_end_without_checkpoints_is_told() {
    let directory = TempDir::new().unwrap();
    let log = AuditLog::open_with(options(directory.path(), 10)).unwrap();
    log.close("test").await.unwrap();
    let (file, last) = (only_file(directory.path()), entries(directory.path()).pop().unwrap());
    let mut link = chain::Link { seq: last.seq().unwrap(), hash: Hash::from_hex(last.text("hash").unwrap()).unwrap() };
    let mut bytes = fs::read(&file).unwrap();
    let now = jiff::Timestamp::now();
    for _ in 0..10_020 {
        link = chain::seal(link, format!("{now:.6}").as_bytes(), &outcome(1).body, &mut bytes);
    }
    fs::write(&file, bytes).unwrap();
    let found = check(directory.path());
    assert!(matches!(found.breaks[..], [Break { what: Wrong::Unvouched { .. }, .. }]), "{:?}", found.breaks);
}

#[tokio::test]
async fn a_checkpoint_follows_in_time_where_few_records_come() {
    let directory = TempDir::new().unwrap();
    let rhythm = Rhythm { records: 1000, seconds: 1 };
    let log = AuditLog::open_with(LogOptions { rhythm, ..options(directory.path(), 1) }).unwrap();
    write(&log, 1).await;
    let until = Instant::now() + Duration::from_secs(10);
    while log.status().checkpoint.is_none_or(|checkpoint| checkpoint.covers < 4) {
        assert!(Instant::now() < until, "{:?}", log.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let count = entries(directory.path()).len();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(entries(directory.path()).len(), count, "nothing new, no checkpoint");
    assert_eq!(check(directory.path()).ended, Ended::Running);
}

#[tokio::test]
async fn the_digits_of_a_key_are_read_from_a_file_too() {
    let folder = TempDir::new().unwrap();
    let (file, public) = (folder.path().join("signing.pub"), signer().public());
    fs::write(&file, format!("{public}\n")).unwrap();
    assert_eq!(PublicKey::read(&file.display().to_string()), Ok(public));
    assert_eq!(PublicKey::read(&public.to_string()), Ok(public));
    assert!(PublicKey::read("nowhere").unwrap_err().contains("cannot be read"));
    assert_eq!(Signer::generate().unwrap().len(), 64);
}
