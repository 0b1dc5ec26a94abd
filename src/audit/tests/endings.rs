//! What becomes of an access whose outcome is not written, of long texts, and of a login that writes too much.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use super::*;

fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

fn outcomes(directory: &Path) -> Vec<(u64, String)> {
    let read = entries(directory);
    let outcomes = read.iter().filter(|entry| entry.event() == "outcome");
    outcomes.map(|entry| (entry.number("of").unwrap(), entry.text("status").unwrap().to_owned())).collect()
}

#[tokio::test]
async fn accesses_that_a_killed_process_left_open_are_closed_as_lost_by_the_next() {
    for rotate_bytes in [64 << 20, 600] {
        let directory = TempDir::new().unwrap();
        let options = |directory: &Path| LogOptions { rotate_bytes, ..LogOptions::new(directory, Sync::Written) };
        let log = AuditLog::open_with(options(directory.path())).unwrap();
        let mut seqs = Vec::new();
        for _ in 0..5 {
            seqs.push(log.append_access(access("SELECT 1"), ()).await.unwrap().seq());
        }
        log.append(outcome(seqs[1])).await.unwrap();
        log.append(outcome(seqs[3])).await.unwrap();
        let found = verify(directory.path()).unwrap();
        assert_eq!((found.open, found.lost, found.ended), (3, 0, Ended::Running));
        // As a kill leaves it.
        let left = copy(directory.path());
        let found = verify(left.path()).unwrap();
        assert_eq!((found.open, found.lost), (3, 0));
        for _ in 0..2 {
            let again = AuditLog::open_with(options(left.path())).unwrap();
            again.close("test").await.unwrap();
            let lost: Vec<u64> =
                outcomes(left.path()).into_iter().filter(|(_, status)| status == "lost").map(|(of, _)| of).collect();
            assert_eq!(lost, [seqs[0], seqs[2], seqs[4]], "once");
            let found = verify(left.path()).unwrap();
            assert!(found.holds(), "{:?}", found.breaks);
            assert_eq!((found.open, found.lost), (0, 3));
        }
    }
}

#[tokio::test]
async fn outcomes_that_could_not_be_written_are_written_once_the_log_can_be() {
    for sync in [Sync::Always, Sync::Written] {
        let parent = TempDir::new().unwrap();
        let (directory, away) = (parent.path().join("log"), parent.path().join("away"));
        let log = AuditLog::open(&directory, sync).unwrap();
        let seq = log.append_access(access("SELECT 1"), ()).await.unwrap().seq();
        fs::rename(&directory, &away).unwrap();
        log.note(outcome(seq));
        assert!(log.append_access(access("SELECT 2"), ()).await.is_err());
        fs::rename(&away, &directory).unwrap();
        log.append_access(access("SELECT 3"), ()).await.unwrap();
        log.close("test").await.unwrap();
        assert_eq!(outcomes(&directory), [(seq, "ok".to_owned())], "{sync}");
        assert!(verify(&directory).unwrap().holds());
    }
}

#[tokio::test]
async fn a_folder_without_a_record_proves_nothing() {
    let directory = TempDir::new().unwrap();
    assert!(!verify(directory.path()).unwrap().holds());
}

#[tokio::test]
async fn one_damaged_file_hides_no_record_of_the_others() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions {
        rotate_bytes: 3_000,
        keep: true,
        compress: true,
        ..LogOptions::new(directory.path(), Sync::Written)
    };
    let log = AuditLog::open_with(options).unwrap();
    for n in 0..40 {
        log.append_access(access(&format!("SELECT {n}")), ()).await.unwrap();
    }
    let packed = || log_files(directory.path()).into_iter().filter(|path| path.extension().unwrap() == "zst");
    let until = Instant::now() + Duration::from_secs(20);
    while packed().count() + 1 < log_files(directory.path()).len() {
        assert!(Instant::now() < until, "closed files are compressed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = |wanted: bool| {
        let mut found = 0;
        let filter = Filter { event: Some("access".into()), ..Filter::default() };
        let effort = search(directory.path(), filter, wanted, |_| {
            found += 1;
            true
        });
        (found, effort.unwrap())
    };
    let damaged = packed().nth(2).unwrap();
    let whole = fs::read(&damaged).unwrap();
    let missing = chain_of(&damaged);
    for (what, bytes) in [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("no frame", b"not a frame".to_vec()),
        ("changed", whole.iter().enumerate().map(|(at, byte)| if at == 40 { byte ^ 255 } else { *byte }).collect()),
    ] {
        fs::write(&damaged, &bytes).unwrap();
        for everything in [false, true] {
            let (found, effort) = all(everything);
            assert!(found >= 40 - missing, "{what}: {found} of 40, {missing} in the damaged file");
            assert_eq!(effort.damaged.len(), 1, "{what}: {:?}", effort.damaged);
            assert!(effort.damaged[0].contains(damaged.file_name().unwrap().to_str().unwrap()), "{what}");
        }
        assert!(read_all(directory.path(), |_| {}, &mut |_| {}).is_err(), "{what}: who needs all is told");
    }
    fs::write(&damaged, &whole).unwrap();
    assert_eq!((all(false).0, all(true).1.damaged.len()), (40, 0));
}

/// How many accesses a compressed file holds.
fn chain_of(path: &Path) -> usize {
    let text = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
    String::from_utf8(text).unwrap().lines().filter(|line| line.contains("\"event\":\"access\"")).count()
}

#[tokio::test]
async fn a_long_statement_stands_whole_once_a_file_and_cut_in_its_runs() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions { rotate_bytes: 20_000, ..LogOptions::new(directory.path(), Sync::Written) };
    let log = AuditLog::open_with(options).unwrap();
    let long = format!("SELECT 'é' /* {} */", "\u{1}".repeat(900));
    let longer = format!("SELECT {}", "column, ".repeat(600));
    let mut written = 0;
    for _ in 0..10 {
        let batch = vec![(access(&long), &long), (access("SELECT 1"), &long), (access(&longer), &longer)];
        let audited = log.append_accesses(batch).await.unwrap();
        let read = entries(directory.path());
        for (one, text) in [(&audited[0], &long), (&audited[2], &longer)] {
            let entry = read.iter().find(|entry| entry.seq() == Some(one.seq())).unwrap();
            assert_eq!(entry.event(), "access", "numbers are those of the accesses");
            assert!(entry.line.len() < 4_000 && text.starts_with(entry.text("statement").unwrap()));
            assert_eq!(entry.number("statement_bytes"), Some(text.len() as u64));
            assert_eq!(entry.text("statement_sha256").unwrap(), chain::Hash::of(text.as_bytes()).to_string());
            written += entry.line.len();
        }
    }
    log.close("test").await.unwrap();
    for file in log_files(directory.path()) {
        let text = fs::read_to_string(&file).unwrap();
        let read: Vec<Entry> = text.lines().filter_map(|line| Entry::parse(line.as_bytes())).collect();
        for whole in [&long, &longer] {
            let runs = read.iter().filter(|entry| {
                entry.event() == "access" && entry.number("statement_bytes") == Some(whole.len() as u64)
            });
            let told =
                read.iter().filter(|entry| entry.event() == "statement" && entry.text("statement") == Some(whole));
            assert_eq!(told.count(), usize::from(runs.count() > 0), "{}", file.display());
        }
    }
    assert!(written > 0 && verify(directory.path()).unwrap().holds());
    let found = |part: &str| {
        let filter = Filter { statement: Some(part.into()), ..Filter::default() };
        let mut accesses = 0;
        let count = |entry: Entry| {
            accesses += usize::from(entry.event() == "access");
            true
        };
        search(directory.path(), filter, false, count).unwrap();
        accesses
    };
    assert_eq!(found("column, column, "), 10, "what stands in the cut text");
    assert_eq!(found(" */"), 10, "what stands in the whole text alone");
}

#[tokio::test]
async fn a_login_that_writes_too_much_is_refused_alone_and_counted() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions { login_bytes: Some(100_000), ..LogOptions::new(directory.path(), Sync::Written) };
    let log = AuditLog::open_with(options).unwrap();
    let (greedy, again, other) = (log.of_login("greedy"), log.of_login("greedy"), log.of_login("other"));
    let (mut logged, mut refused) = (0, 0);
    for _ in 0..300 {
        match greedy.append_access(access("SELECT 1"), ()).await {
            Ok(_) => logged += 1,
            Err(error) => {
                assert_eq!(error, AuditError::OverBudget);
                refused += 1;
            }
        }
    }
    assert!(logged > 20 && refused > 100, "{logged} logged, {refused} refused");
    assert!(again.append_access(access("SELECT 1"), ()).await.is_err(), "in another session too");
    assert_eq!(AuditError::OverBudget.refusal().sqlstate, SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    for _ in 0..20 {
        other.append_access(access("SELECT 2"), ()).await.unwrap();
    }
    log.close("test").await.unwrap();
    let folded: Vec<(String, u64)> = entries(directory.path())
        .iter()
        .filter(|entry| entry.event() == "folded" && entry.text("what") == Some("access"))
        .map(|entry| (entry.text("login").unwrap().to_owned(), entry.number("count").unwrap()))
        .collect();
    assert_eq!(folded, [("greedy".to_owned(), refused + 1)], "none is left out of the count");
}

#[tokio::test]
async fn connections_that_come_to_no_session_are_folded() {
    let directory = TempDir::new().unwrap();
    let log = AuditLog::open(directory.path(), Sync::Written).unwrap();
    let session = facts();
    for _ in 0..1_000 {
        let event = Event::LoginRefused { session: Cow::Borrowed(&session), sqlstate: "08P01", reason: "junk" };
        log.note_refused("127.0.0.1", event.record().unwrap());
    }
    log.close("test").await.unwrap();
    let read = entries(directory.path());
    let single = read.iter().filter(|entry| entry.event() == "login_refused").count() as u64;
    let folded = read.iter().find(|entry| entry.event() == "folded").unwrap();
    assert!(single >= 100, "the first stand one by one: {single}");
    assert_eq!((folded.text("client"), folded.number("count")), (Some("127.0.0.1"), Some(1_000 - single)));
}

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn who_relies_on_a_session_that_goes_away_is_written_for_all_the_same() {
    let directory = TempDir::new().unwrap();
    let log = AuditLog::open(directory.path(), Sync::Written).unwrap();
    let others: Vec<AuditLog> = (0..3).map(|_| log.clone()).collect();
    // Sessions that append in turn wait a moment for each other.
    for other in &others {
        other.append_access(access("SELECT 1"), ()).await.unwrap();
    }
    let mut first = Box::pin(others[0].append_access(access("SELECT 'first'"), ()));
    let mut second = Box::pin(others[1].append_access(access("SELECT 'second'"), ()));
    assert!(poll(first.as_mut()).is_pending(), "it lets others join");
    assert!(poll(second.as_mut()).is_pending(), "it relies on the first");
    let before = log.status().last_seq;
    drop(first);
    assert_eq!(log.status().last_seq, before + 2, "both stand in the log");
    assert_eq!(second.await.unwrap().seq(), before + 2);
}
