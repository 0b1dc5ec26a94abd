#![allow(
    unused_must_use,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod changed;
mod endings;
mod outages;
mod packed;
mod signed;
mod walked;

use crate::audit::read::{Follower, last, scan};
use crate::audit::record::Entry;
use crate::audit::store::files;
use crate::audit::*;
use crate::error::SqlState;
use crate::policy::{AccessReport, ColumnReport, RelationReport, Use, Verdict};

fn facts() -> SessionFacts {
    SessionFacts {
        session: "5f3a".into(),
        client: "127.0.0.1:50112".into(),
        login: "support_agent".into(),
        role: Some("support_agent".into()),
        purpose: Some("support".into()),
        actor: Some("u42".into()),
        ticket: None,
        recipient: Some("internal".into()),
        database: "shop".into(),
        application: "crm".into(),
    }
}

fn masked_email() -> AccessReport {
    AccessReport {
        verdict: Verdict::Mask,
        relations: vec![RelationReport {
            name: "public.customers".into(),
            filter: None,
            columns: vec![ColumnReport {
                name: "email".into(),
                category: Some("contact".into()),
                uses: vec![Use::Output],
                action: "mask",
                mask: Some("email".into()),
                rule: Some("support sees contact details".into()),
            }],
        }],
        reason: None,
    }
}

fn access(statement: &str) -> AccessRecord {
    access_with(statement, &masked_email(), &facts(), false)
}

fn access_with(statement: &str, report: &AccessReport, session: &SessionFacts, observe: bool) -> AccessRecord {
    let policy = "sha256:00";
    Access { session, statement, fingerprint: "f1", report, policy, observe, unrestricted: None, lookups: &[] }
        .record()
        .unwrap()
}

fn outcome(of: u64) -> EventRecord {
    Event::Outcome(Outcome { of, status: OutcomeStatus::Ok, rows: Some(1), sqlstate: None, ms: 0.8 }).record().unwrap()
}

fn open(directory: &Path) -> AuditLog {
    AuditLog::open(directory, Sync::Always).unwrap()
}

fn entries(directory: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    scan(directory, |entry| {
        entries.push(entry);
        true
    })
    .unwrap();
    entries
}

fn log_files(directory: &Path) -> Vec<PathBuf> {
    files::list(directory).unwrap().0.into_iter().map(|file| file.path).collect()
}

fn only_file(directory: &Path) -> PathBuf {
    let files = log_files(directory);
    assert_eq!(files.len(), 1, "one file: {files:?}");
    files[0].clone()
}

/// start, ten accesses with outcomes, stop: 22 records.
async fn sample() -> TempDir {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    for n in 0..10 {
        let seq =
            log.append_access(access(&format!("SELECT email FROM customers WHERE id = ${n}")), ()).await.unwrap().seq();
        log.append(outcome(seq)).await.unwrap();
    }
    log.close("test").await.unwrap();
    directory
}

async fn healed(log: &AuditLog) {
    let until = Instant::now() + Duration::from_secs(10);
    while log.status().trouble.is_some() {
        assert!(Instant::now() < until, "still in trouble: {:?}", log.status());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn records_have_the_fields_of_the_contract_in_their_order() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let audited = log.append_access(access("SELECT email FROM customers WHERE id = $1"), "what").await.unwrap();
    assert_eq!((audited.seq(), *audited.get()), (2, "what"));
    log.append(outcome(2)).await.unwrap();
    let text = fs::read_to_string(only_file(directory.path())).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let fields = |line: &str| {
        let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        value.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        fields(lines[1]),
        "seq time event session client login role purpose actor ticket recipient database application statement fingerprint verdict \
         relations reason policy prev hash"
    );
    assert_eq!(fields(lines[2]), "seq event of status rows sqlstate ms prev hash");
    assert!(lines[1].contains(
        r#""relations":[{"name":"public.customers","filter":null,"columns":[{"name":"email","category":"contact","use":["output"],"action":"mask","mask":"email","rule":"support sees contact details"}]}],"reason":null,"policy":"sha256:00","prev":""#
    ));
    assert!(
        lines[2].starts_with(
            r#"{"seq":3,"event":"outcome","of":2,"status":"ok","rows":1,"sqlstate":null,"ms":0.8,"prev":""#
        )
    );
    let time = Entry::parse(lines[1].as_bytes()).unwrap().text("time").unwrap().to_owned();
    assert_eq!((time.len(), time.ends_with('Z')), (27, true), "{time}");
}

#[tokio::test]
async fn the_hash_is_what_the_documentation_says() {
    let directory = sample().await;
    let text = fs::read_to_string(only_file(directory.path())).unwrap();
    let mut prev = "0".repeat(64);
    for line in text.lines() {
        let (covered, hash) = line.rsplit_once(",\"hash\":").unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, covered.as_bytes());
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, format!("\"{hex}\"}}"));
        assert!(covered.ends_with(&format!(",\"prev\":\"{prev}\"")));
        prev = hex;
    }
}

#[tokio::test]
async fn a_denied_statement_cannot_become_audited_but_is_logged() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let deny = AccessReport::deny("no");
    let record = access_with("SELECT 1", &deny, &facts(), false);
    assert_eq!(log.append_access(record.clone(), ()).await.unwrap_err(), AuditError::Denied);
    let batch = vec![(access("SELECT 1"), ()), (record.clone(), ())];
    assert_eq!(log.append_accesses(batch).await.unwrap_err(), AuditError::Denied);
    assert_eq!(log.append_refused(record).await.unwrap(), 2);
    let observed = log.append_access(access_with("SELECT 1", &deny, &facts(), true), ()).await.unwrap();
    let entry = &entries(directory.path())[2];
    assert_eq!(
        (entry.seq(), entry.text("mode"), entry.text("verdict")),
        (Some(observed.seq()), Some("observe"), Some("deny"))
    );
}

#[tokio::test]
async fn a_batch_gets_consecutive_numbers() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let batch = ["a", "b", "c"].map(|text| (access(text), text)).to_vec();
    let audited = log.append_accesses(batch).await.unwrap();
    assert_eq!(audited.iter().map(|one| (one.seq(), *one.get())).collect::<Vec<_>>(), [(2, "a"), (3, "b"), (4, "c")]);
    assert!(log.append_accesses(Vec::<(AccessRecord, ())>::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn number_and_chain_continue_over_restarts_and_rotation() {
    let directory = TempDir::new().unwrap();
    for round in 0..3 {
        let options = LogOptions { rotate_bytes: 1000, ..LogOptions::new(directory.path(), Sync::Written) };
        let log = AuditLog::open_with(options).unwrap();
        for _ in 0..5 {
            log.append_access(access("SELECT 1"), ()).await.unwrap();
        }
        // The second time the handle is dropped, as when a process forgets to close.
        if round == 1 {
            drop(log);
            while files::lock(directory.path()).unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } else {
            log.close("test").await.unwrap();
        }
    }
    let found = verify(directory.path()).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    assert_eq!((found.records, found.last.seq), (21, 21));
    assert!(found.files > 5, "{found:?}");
    let seqs: Vec<u64> = entries(directory.path()).iter().filter_map(Entry::seq).collect();
    assert_eq!(seqs, (1..=21).collect::<Vec<u64>>());
}

#[tokio::test]
async fn concurrent_sessions_each_get_their_own_number() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let mut tasks = Vec::new();
    for n in 0..200 {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            (n, log.append_access(access(&format!("SELECT /* {n} */")), ()).await.unwrap().seq())
        }));
    }
    let entries_after = |seq: u64, n: i32| (seq, format!("SELECT /* {n} */"));
    let mut expected = Vec::new();
    for task in tasks {
        let (n, seq) = task.await.unwrap();
        expected.push(entries_after(seq, n));
    }
    expected.sort();
    let logged: Vec<(u64, String)> = entries(directory.path())
        .iter()
        .filter(|entry| entry.event() == "access")
        .map(|entry| (entry.seq().unwrap(), entry.text("statement").unwrap().to_owned()))
        .collect();
    assert_eq!(logged, expected);
    assert!(verify(directory.path()).unwrap().holds());
}

#[test]
fn who_finds_the_writer_taken_is_written_for() {
    const THREADS: u64 = 4;
    const EACH: u64 = 400;
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let append = |log: &AuditLog| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut seqs = Vec::new();
            for _ in 0..EACH {
                log.note(Event::Stop { reason: "dropped" }.record().unwrap());
                let appended = log.append_access(access("SELECT 1"), ());
                let appended = tokio::time::timeout(std::time::Duration::from_secs(60), appended).await;
                seqs.push(appended.expect("an append was forgotten").unwrap().seq());
            }
            seqs
        })
    };
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| append(&log.clone()))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len() as u64, THREADS * EACH);
    drop(log);
    assert!(verify(directory.path()).unwrap().holds());
}

#[tokio::test]
async fn text_cannot_forge_a_record() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let evil = "x\"}\n{\"seq\":3,\"event\":\"access\",\"login\":\"nobody\"}\r\n\u{0}\u{1b}[2J\u{85}\u{9b}\u{2028}\u{202e}\u{feff},\"hash\":\"00\"}";
    let mut session = facts();
    for field in
        [&mut session.login, &mut session.application, &mut session.client, &mut session.database, &mut session.session]
    {
        *field = evil.to_owned();
    }
    let mut report = masked_email();
    report.relations[0].name = evil.to_owned();
    report.reason = Some(evil.to_owned());
    log.append_access(access_with(evil, &report, &session, false), ()).await.unwrap();
    let refused = Event::LoginRefused { session: Cow::Borrowed(&session), sqlstate: "28000", reason: evil };
    log.append(refused.record().unwrap()).await.unwrap();
    log.close(evil).await.unwrap();
    let text = fs::read_to_string(only_file(directory.path())).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert_eq!(text.chars().filter(|c| c.is_control() && *c != '\n').count(), 0);
    assert!(!text.contains(['\u{2028}', '\u{202e}', '\u{feff}']));
    let read = entries(directory.path());
    assert_eq!(read[1].text("statement"), Some(evil), "and what was written is read back");
    assert_eq!(read[1].text("login"), Some(evil));
    assert_eq!(read[2].text("reason"), Some(evil));
    assert!(verify(directory.path()).unwrap().holds());
}

#[tokio::test]
async fn a_second_process_cannot_write_the_same_log() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let error = AuditLog::open(directory.path(), Sync::Always).unwrap_err();
    assert!(matches!(error, AuditError::InUse { .. }), "{error}");
    log.append_access(access("SELECT 1"), ()).await.unwrap();
}

#[tokio::test]
async fn a_torn_end_is_kept_aside_and_recorded() {
    for torn in [
        &b"{\"seq\":23,\"time\":\"2026-"[..],
        b"\0\0\0\0\0\0",
        b"{\"seq\":23}\n{\"seq\":24}\n",
        b"\n",
        &[b'x'; 200_000],
    ] {
        let directory = sample().await;
        let file = only_file(directory.path());
        let whole = fs::read(&file).unwrap();
        fs::write(&file, [&whole[..], torn].concat()).unwrap();
        let log = open(directory.path());
        log.append_access(access("SELECT 1"), ()).await.unwrap();
        log.close("test").await.unwrap();
        let found = verify(directory.path()).unwrap();
        assert!(found.holds(), "{:?}", found.breaks);
        assert_eq!(found.notices.len(), 1, "{:?}", found.notices);
        let record = entries(directory.path()).into_iter().find(|entry| entry.event() == "torn").unwrap();
        assert_eq!((record.seq(), record.number("bytes")), (Some(24), Some(torn.len() as u64)));
        let kept = directory.path().join(record.text("kept").unwrap());
        assert_eq!(fs::read(&kept).unwrap(), torn);
        fs::remove_file(kept).unwrap();
        assert!(matches!(verify(directory.path()).unwrap().breaks[..], [Break { what: Wrong::Torn { .. }, .. }]));
    }
}

#[tokio::test]
async fn a_process_killed_while_writing_leaves_a_log_that_verifies() {
    if std::env::var_os("PGPURPOSE_TEST_LOG").is_some() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let mut acknowledged = 0;
    for round in 0..5 {
        let marks = directory.path().join(format!("marks-{round}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::tests::write_until_killed", "--ignored", "--nocapture"])
            .env("PGPURPOSE_TEST_LOG", directory.path())
            .stdout(fs::File::create(&marks).unwrap())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while fs::metadata(&marks).unwrap().len() < 400 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let logged: Vec<u64> = entries(directory.path()).iter().filter_map(Entry::seq).collect();
        let said: Vec<u64> = fs::read_to_string(&marks)
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("logged ")?.strip_suffix('.')?.parse().ok())
            .collect();
        assert!(!said.is_empty(), "the child wrote");
        assert!(said.iter().all(|seq| logged.contains(seq)), "every acknowledged record stands in the log");
        acknowledged += said.len();
    }
    let log = open(directory.path());
    log.close("test").await.unwrap();
    let found = verify(directory.path()).unwrap();
    assert!(found.holds(), "{:?}", found.breaks);
    assert!(found.records as usize >= acknowledged);
}

#[tokio::test]
#[ignore = "run by the test that kills it"]
async fn write_until_killed() {
    let Some(directory) = std::env::var_os("PGPURPOSE_TEST_LOG") else { return };
    let log = open(Path::new(&directory));
    for _ in 0..100_000 {
        let seq = log.append_access(access("SELECT 1"), ()).await.unwrap().seq();
        println!("logged {seq}.");
        log.note(outcome(seq));
    }
}

#[tokio::test]
async fn a_closed_log_refuses() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    log.close("test").await.unwrap();
    assert_eq!(log.append_access(access("SELECT 1"), ()).await.unwrap_err(), AuditError::Closed);
    let entries = entries(directory.path());
    assert_eq!((entries[1].event(), entries[1].text("reason")), ("stop", Some("test")));
}

#[tokio::test]
async fn search_finds_by_each_field_and_brings_the_outcome_along() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path());
    let marketing = SessionFacts { login: "mia".into(), purpose: Some("marketing.sms".into()), ..facts() };
    let first = log.append_access(access("SELECT email FROM customers"), ()).await.unwrap().seq();
    let second = log
        .append_refused(access_with("TABLE orders", &AccessReport::deny("no rule"), &marketing, false))
        .await
        .unwrap();
    log.append(outcome(first)).await.unwrap();
    log.append(outcome(second)).await.unwrap();
    let found = |filter: Filter| {
        let mut search = Search::new(filter);
        entries(directory.path())
            .iter()
            .filter(|entry| search.wants(entry))
            .filter_map(Entry::seq)
            .collect::<Vec<u64>>()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(Filter { login: text("support_agent"), ..Filter::default() }), [2, 4]);
    assert_eq!(found(Filter { login: text("support"), ..Filter::default() }), [] as [u64; 0]);
    assert_eq!(found(Filter { purpose: text("marketing"), ..Filter::default() }), [3, 5]);
    assert_eq!(found(Filter { purpose: text("market"), ..Filter::default() }), [] as [u64; 0]);
    assert_eq!(found(Filter { relation: text("customers"), ..Filter::default() }), [2, 4]);
    assert_eq!(
        found(Filter { relation: text("public.customers"), column: text("email"), ..Filter::default() }),
        [2, 4]
    );
    assert_eq!(found(Filter { column: text("public.customers.email"), ..Filter::default() }), [2, 4]);
    assert_eq!(found(Filter { column: text("mail"), ..Filter::default() }), [] as [u64; 0]);
    assert_eq!(found(Filter { verdict: text("deny"), ..Filter::default() }), [3, 5]);
    assert_eq!(found(Filter { statement: text("ORDERS"), ..Filter::default() }), [3, 5]);
    assert_eq!(found(Filter { event: text("start"), ..Filter::default() }), [1]);
    let now = jiff::Timestamp::now();
    assert_eq!(found(Filter { since: Some(now), ..Filter::default() }), [] as [u64; 0]);
    assert_eq!(found(Filter { until: Some(now), login: text("mia"), ..Filter::default() }), [3, 5]);
}

#[tokio::test]
async fn the_end_of_the_log_is_read_and_followed_over_rotation() {
    let directory = TempDir::new().unwrap();
    let options = LogOptions { rotate_bytes: 1500, ..LogOptions::new(directory.path(), Sync::Written) };
    let log = AuditLog::open_with(options).unwrap();
    for _ in 0..10 {
        log.append_access(access("SELECT 1"), ()).await.unwrap();
    }
    let seqs = |entries: Vec<Entry>| entries.iter().filter_map(Entry::seq).collect::<Vec<u64>>();
    assert_eq!(seqs(last(directory.path(), 3, 1 << 20, |_| true).unwrap()), [9, 10, 11]);
    assert_eq!(seqs(last(directory.path(), 30, 1 << 20, |entry| entry.event() == "start").unwrap()), [1]);
    let mut follower = Follower::at_end(directory.path()).unwrap();
    assert_eq!(seqs(follower.poll().unwrap()), [] as [u64; 0]);
    for _ in 0..10 {
        log.append_access(access("SELECT 1"), ()).await.unwrap();
    }
    assert_eq!(seqs(follower.poll().unwrap()), (12..=21).collect::<Vec<u64>>());
    assert_eq!(seqs(follower.poll().unwrap()), [] as [u64; 0]);
}

#[test]
fn the_folder_and_its_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("log");
    let _log = open(&directory);
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(only_file(&directory)).unwrap().permissions().mode() & 0o777, 0o600);
}
