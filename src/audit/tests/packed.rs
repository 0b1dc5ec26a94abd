//! Closed files: compressed, indexed, destroyed by age.

use super::signed::signer;
use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::audit::read::Follower;
use crate::audit::write::ship::{Deliver, Position, Shipping, Wanted as ShipWanted};
use crate::policy::{Disclosed, RecordAs};

fn options(directory: &Path) -> LogOptions {
    LogOptions { keep: true, compress: true, rotate_bytes: 43_000, ..LogOptions::new(directory, Sync::Written) }
}

fn ends_in<'a>(directory: &Path, end: &'a str) -> impl Iterator<Item = PathBuf> + use<'a> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().filter(move |path| path.to_string_lossy().ends_with(end))
}

fn record(n: usize) -> AccessRecord {
    let session = SessionFacts { login: format!("login_{}", n % 40 + n / 120 * 100), ..facts() };
    access_with(&format!("SELECT email FROM t{n}"), &masked_email(), &session, false)
}

fn disclosure(of: u64, n: usize) -> EventRecord {
    let relation = Disclosed { name: "public.customers".into(), form: RecordAs::Plain, columns: vec![], filter: None };
    let seen = Seen { relation: &relation, subjects: vec![format!("subject_{n}"), "subject_common".into()] };
    DisclosureRecord { of, session: &facts(), rows: 2, relations: vec![seen], aggregate: &[] }.record().unwrap()
}

/// Some 300 accesses with outcomes, some of which come later.
async fn fill(log: &AuditLog) {
    let mut late = Vec::new();
    for n in 0..300 {
        let seq = log.append_access(record(n), ()).await.unwrap().seq();
        if n % 50 == 7 {
            log.note(disclosure(seq, n));
        }
        if n % 10 == 3 {
            late.push(seq)
        } else {
            log.note(outcome(seq))
        }
        if n % 100 == 99 {
            late.drain(..).for_each(|seq| log.note(outcome(seq)));
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn packed_sample() -> TempDir {
    let directory = TempDir::new().unwrap();
    let log = AuditLog::open_with(options(directory.path())).unwrap();
    fill(&log).await;
    log.append(outcome(2)).await.unwrap();
    until("all but the newest file are compressed", || ends_in(directory.path(), ".jsonl").count() == 1).await;
    log.close("test").await.unwrap();
    assert!(ends_in(directory.path(), ".jsonl.zst").count() >= 4);
    directory
}

fn found(directory: &Path, filter: &Filter, all: bool) -> (Vec<u64>, Effort) {
    let mut seqs = Vec::new();
    let effort = search(directory, filter.clone(), all, |entry| {
        seqs.extend(entry.seq());
        true
    });
    (seqs, effort.unwrap())
}

#[tokio::test]
async fn compressed_files_are_read_verified_and_followed_as_plain_ones() {
    let directory = packed_sample().await;
    let everything = Trust { indexes: true, ..Trust::default() };
    let found = verify_with(directory.path(), &everything, |_| {}).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    assert_eq!(entries(directory.path()).len() as u64, found.records);
    let newest = last(directory.path(), 400, u64::MAX, |_| true).unwrap();
    assert_eq!(newest.len(), 400);
    let mut follower = Follower::after(directory.path(), 100);
    let mut seqs = Vec::new();
    loop {
        let some = follower.poll_some(5000, u64::MAX).unwrap();
        if some.is_empty() {
            break;
        }
        seqs.extend(some.iter().filter_map(Entry::seq));
    }
    assert_eq!(seqs, (101..=found.last.seq).collect::<Vec<u64>>());
    // Anybody's zstd gives the lines back.
    let path = ends_in(directory.path(), ".jsonl.zst").next().unwrap();
    let plain = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
    assert!(plain.starts_with(b"{\"seq\":1,") && plain.ends_with(b"}\n"));
    // It goes on where it ended.
    let log = AuditLog::open_with(options(directory.path())).unwrap();
    assert_eq!(log.append_access(record(1), ()).await.unwrap().seq(), found.last.seq + 2);
    log.close("test").await.unwrap();
    assert!(verify(directory.path()).unwrap().holds());
}

#[tokio::test]
async fn a_search_by_index_finds_what_one_without_finds_and_reads_less() {
    let directory = packed_sample().await;
    let text = |text: &str| Some(text.to_owned());
    let times: Vec<_> = entries(directory.path()).iter().filter_map(Entry::time).collect();
    let middle = times[times.len() / 2];
    let filters = [
        Filter { login: text("login_3"), ..Filter::default() },
        Filter { login: text("login_103"), ..Filter::default() },
        Filter { login: text("nobody"), ..Filter::default() },
        Filter { purpose: text("support"), relation: text("customers"), login: text("login_7"), ..Filter::default() },
        Filter { relation: text("orders"), ..Filter::default() },
        Filter { event: text("start"), ..Filter::default() },
        Filter { subject: vec!["subject_107".to_owned()], ..Filter::default() },
        Filter { subject: vec!["subject_7".to_owned(), "subject_common".to_owned()], ..Filter::default() },
        Filter { verdict: text("mask"), since: Some(middle), ..Filter::default() },
        Filter { login: text("login_5"), until: Some(middle), ..Filter::default() },
        Filter::default(),
    ];
    for filter in &filters {
        let (by_index, effort) = found(directory.path(), filter, false);
        let (by_reading, all) = found(directory.path(), filter, true);
        assert_eq!(by_index, by_reading, "{filter:?}");
        assert_eq!((effort.files, effort.unindexed, all.unindexed), (all.files, 1, all.files));
    }
    let (rare, effort) = found(directory.path(), &filters[1], false);
    assert!(rare.len() >= 2 && effort.read < effort.blocks, "{effort:?}");
    assert_eq!(found(directory.path(), &filters[2], false).1.read, 0);
    assert_eq!(found(directory.path(), &filters[6], false).0.len(), 1);
    assert_eq!(found(directory.path(), &filters[7], false).0.len(), 6);
}

#[tokio::test]
async fn a_changed_file_or_index_is_found_and_a_useless_index_is_not_used() {
    let directory = packed_sample().await;
    let everything = Trust { indexes: true, ..Trust::default() };
    let first = |end: &str| ends_in(directory.path(), end).nth(1).unwrap();
    let (data, index) = (first(".jsonl.zst"), first(".idx"));
    let (whole_data, whole_index) = (fs::read(&data).unwrap(), fs::read(&index).unwrap());
    let breaks = || verify_with(directory.path(), &everything, |_| {}).unwrap().breaks;

    // An entry less: a search would miss a record.
    let mut less = whole_index.clone();
    let at = less.len() - 8;
    less[at..].fill(0xff);
    fs::write(&index, &less).unwrap();
    assert_eq!(breaks()[0].what, Wrong::Index);
    assert!(verify(directory.path()).unwrap().holds(), "the log itself is whole");
    // Half of it, or of another file: it is not used.
    let login = Filter { login: Some("login_3".to_owned()), ..Filter::default() };
    let expected = found(directory.path(), &login, true).0;
    for useless in
        [&whole_index[..whole_index.len() / 2], &fs::read(ends_in(directory.path(), ".idx").next().unwrap()).unwrap()]
    {
        fs::write(&index, useless).unwrap();
        let (seqs, effort) = found(directory.path(), &login, false);
        assert_eq!((seqs, effort.unindexed), (expected.clone(), 2));
    }
    fs::write(&index, &whole_index).unwrap();

    let mut changed = whole_data.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&data, &changed).unwrap();
    assert!(!breaks().is_empty());
    fs::write(&data, &whole_data[..middle]).unwrap();
    assert!(!breaks().is_empty());
    fs::write(&data, &whole_data).unwrap();
    assert!(breaks().is_empty());
}

#[tokio::test]
async fn a_crash_between_compressing_and_removing_leaves_one_log() {
    let directory = packed_sample().await;
    let packed = ends_in(directory.path(), ".jsonl.zst").nth(1).unwrap();
    let plain = packed.with_extension("");
    fs::write(&plain, zstd::decode_all(fs::File::open(&packed).unwrap()).unwrap()).unwrap();
    fs::write(packed.with_extension("zst.tmp"), "half").unwrap();
    assert!(verify(directory.path()).unwrap().holds());
    let log = AuditLog::open_with(options(directory.path())).unwrap();
    until("it is compressed again", || !plain.exists()).await;
    log.close("test").await.unwrap();
    assert!(verify(directory.path()).unwrap().holds());
}

#[tokio::test]
async fn whole_files_are_destroyed_by_age_with_a_record_from_which_the_chain_goes_on() {
    let directory = packed_sample().await;
    let before = verify(directory.path()).unwrap();
    let retain = LogOptions { retain_days: Some(0), signer: Some(signer()), ..options(directory.path()) };
    let log = AuditLog::open_with(retain).unwrap();
    until("closed files are destroyed", || ends_in(directory.path(), ".zst").count() == 0).await;
    log.close("test").await.unwrap();
    assert_eq!(ends_in(directory.path(), ".idx").count(), 0);
    let trust = Trust { keys: vec![signer().public()], ..Trust::default() };
    let found = verify_with(directory.path(), &trust, |_| {}).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    assert!(found.first > 1 && found.last.seq > before.last.seq);
    let destroyed: Vec<Entry> =
        entries(directory.path()).into_iter().filter(|entry| entry.event() == "destroyed").collect();
    assert_eq!((destroyed[0].number("from"), destroyed.last().unwrap().number("to")), (Some(1), Some(found.first - 1)));
    for pair in destroyed.windows(2) {
        assert_eq!(pair[0].number("to").map(|to| to + 1), pair[1].number("from"));
    }
    assert!(destroyed.iter().all(|entry| entry.text("sha256").is_some_and(|hash| hash.len() == 64)));
    // Without such a record it is a hole.
    let file = only_file(directory.path());
    let text = fs::read_to_string(&file).unwrap();
    let other = TempDir::new().unwrap();
    let kept: String =
        text.lines().take_while(|line| !line.contains("\"destroyed\"")).map(|line| format!("{line}\n")).collect();
    fs::write(other.path().join(file.file_name().unwrap()), kept).unwrap();
    let found = verify(other.path()).unwrap();
    assert_eq!(found.breaks[0].what, Wrong::Missing { from: 1, to: found.first - 1 });
}

#[tokio::test]
async fn closed_files_that_stay_plain_have_an_index_too() {
    let directory = TempDir::new().unwrap();
    let log = AuditLog::open_with(LogOptions { compress: false, ..options(directory.path()) }).unwrap();
    fill(&log).await;
    until("all closed files are indexed", || {
        ends_in(directory.path(), ".idx").count() + 1 == ends_in(directory.path(), ".jsonl").count()
    })
    .await;
    log.close("test").await.unwrap();
    let login = Filter { login: Some("login_103".to_owned()), ..Filter::default() };
    let (by_index, effort) = found(directory.path(), &login, false);
    assert_eq!(by_index, found(directory.path(), &login, true).0);
    assert!(effort.read < effort.blocks && !by_index.is_empty(), "{effort:?}");
    assert!(verify_with(directory.path(), &Trust { indexes: true, ..Trust::default() }, |_| {}).unwrap().holds());
}

/// A place that takes nothing before it is opened.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<u64>>>,
}

impl Deliver for Gate {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        Ok(None)
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        if !self.open.load(Ordering::Acquire) {
            return Err("closed".to_owned());
        }
        self.taken.lock().unwrap().extend(entries.iter().filter_map(Entry::seq));
        Ok(())
    }
}

#[tokio::test]
async fn a_file_is_not_destroyed_before_every_place_has_it() {
    let directory = packed_sample().await;
    let closed = ends_in(directory.path(), ".zst").count();
    let last = verify(directory.path()).unwrap().last.seq;
    let options = LogOptions { retain_days: Some(0), places: vec!["http", "postgres"], ..options(directory.path()) };
    let log = AuditLog::open_with(options).unwrap();
    let (quick, late) = (Gate::default(), Gate::default());
    quick.open.store(true, Ordering::Release);
    // Before either has begun.
    until("the old files are held", || log.status().held_files > 0).await;
    let _http = Shipping::start(&log, "http", ShipWanted::All, Box::new(quick.clone())).unwrap();
    let postgres = Shipping::start(&log, "postgres", ShipWanted::All, Box::new(late.clone())).unwrap();
    until("one place has everything, the other nothing", || {
        quick.taken.lock().unwrap().last().copied() >= Some(last) && postgres.status().failures > 2
    })
    .await;
    assert!(log.status().held_files > 0);
    assert_eq!(ends_in(directory.path(), ".zst").count(), closed);
    late.open.store(true, Ordering::Release);
    until("the files are destroyed", || ends_in(directory.path(), ".zst").count() == 0).await;
    until("nothing is held", || log.status().held_files == 0).await;
    for taken in [quick.taken.lock().unwrap(), late.taken.lock().unwrap()] {
        assert!(taken.iter().zip(1_u64..).all(|(seq, wanted)| *seq == wanted), "a place lacks records: {taken:?}");
    }
}
