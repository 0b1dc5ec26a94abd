//! What a long access log costs: a log of so many records is made by the writer itself, its closed files compressed and
//! indexed, then searched by login, by subject and by time, and verified.
//!
//! `PGPURPOSE_LOG_RECORDS=20000000 cargo bench --bench log` prints tables in Markdown; 1,000,000 where nothing is said.
//! `PGPURPOSE_LOG_DIR` names a folder for the log, which is kept; a log that is there already is searched only, once indexes
//! that are missing or of another form are built.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pgpurpose::audit::checkpoint::{Rhythm, Signer};
use pgpurpose::audit::read::{last, record};
use pgpurpose::audit::{
    Access, AccessRecord, AuditLog, DisclosureRecord, Event, EventRecord, Filter, LogOptions, Outcome, OutcomeStatus,
    Reindexed, Seen, SessionFacts, Sightings, SubjectKey, Sync, Trust, Wanted, reindex, search, verify_with,
};
use pgpurpose::policy::{AccessReport, ColumnReport, Disclosed, RecordAs, RelationReport, Use, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Applications, which ask most; and people, of whom each asks now and then.
const APPLICATIONS: u32 = 12;
const PEOPLE: u32 = 3_000;
const SUBJECTS: u32 = 1_000_000;
/// Statements that are handed over at once.
const BATCH: usize = 500;

struct Maker {
    random: StdRng,
    report: AccessReport,
    disclosed: Disclosed,
    key: SubjectKey,
}

impl Maker {
    fn new() -> Self {
        let column = |name: &str| ColumnReport {
            name: name.into(),
            category: Some("contact".into()),
            uses: vec![Use::Output],
            action: "mask",
            mask: Some("email".into()),
            rule: Some("support sees contact details".into()),
        };
        Self {
            random: StdRng::seed_from_u64(5),
            report: AccessReport {
                verdict: Verdict::Mask,
                relations: vec![RelationReport {
                    name: "public.customers".into(),
                    filter: None,
                    columns: vec![column("email"), column("full_name")],
                }],
                reason: None,
            },
            disclosed: Disclosed {
                name: "public.customers".into(),
                form: RecordAs::Pseudonym,
                columns: Vec::new(),
                filter: None,
            },
            key: SubjectKey::derive(&[3; 32]),
        }
    }

    fn facts(&mut self) -> SessionFacts {
        // One statement in fifty is a person's.
        let login = match self.random.random_range(0..50) {
            0 => format!("person_{:04}", self.random.random_range(0..PEOPLE)),
            _ => format!("application_{}", self.random.random_range(0..APPLICATIONS)),
        };
        SessionFacts {
            session: format!("{:032x}", self.random.random::<u128>()),
            client: format!("10.0.{}.{}:50112", self.random.random::<u8>(), self.random.random::<u8>()),
            role: Some("support_agent".into()),
            purpose: Some("support".into()),
            actor: None,
            ticket: None,
            recipient: Some("internal".into()),
            database: "shop".into(),
            application: "crm".into(),
            login,
        }
    }

    fn access(&mut self, facts: &SessionFacts) -> AccessRecord {
        let table = self.random.random_range(0..200);
        Access {
            session: facts,
            statement: &format!("SELECT email, full_name FROM customers WHERE id = $1 AND region = $2 /* {table} */"),
            fingerprint: &format!("{table:016x}"),
            report: &self.report,
            policy: "sha256:5f0c7e6f4b7a9f3c2d1e0b9a8f7e6d5c4b3a29180f7e6d5c4b3a29180f7e6d5c",
            observe: false,
            unrestricted: None,
            lookups: &[],
        }
        .record()
        .unwrap()
    }

    fn disclosure(&mut self, of: u64, facts: &SessionFacts) -> EventRecord {
        let rows = self.random.random_range(1..=10_u64);
        let subjects =
            (0..rows).map(|_| self.key.pseudonym(&self.random.random_range(0..SUBJECTS).to_string())).collect();
        let relations = vec![Seen { relation: &self.disclosed, subjects }];
        DisclosureRecord { of, session: facts, rows, relations, aggregate: &[] }.record().unwrap()
    }
}

fn outcome(of: u64) -> EventRecord {
    Event::Outcome(Outcome { of, status: OutcomeStatus::Ok, rows: Some(3), sqlstate: None, ms: 0.812 })
        .record()
        .unwrap()
}

fn generate(directory: &Path, records: u64) {
    let signer = Signer::new(&[9; 32]).map(Arc::new);
    let options = LogOptions {
        signer,
        rhythm: Rhythm::default(),
        keep: true,
        compress: true,
        ..LogOptions::new(directory, Sync::Written)
    };
    let log = AuditLog::open_with(options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut maker = Maker::new();
    let begun = Instant::now();
    while log.status().last_seq < records {
        let facts: Vec<SessionFacts> = (0..BATCH).map(|_| maker.facts()).collect();
        let batch = facts.iter().map(|facts| (maker.access(facts), ())).collect();
        let audited = runtime.block_on(log.append_accesses(batch)).unwrap();
        for (audited, facts) in audited.iter().zip(&facts) {
            if audited.seq() % 5 < 2 {
                log.note(maker.disclosure(audited.seq(), facts));
            }
            log.note(outcome(audited.seq()));
        }
    }
    let records = log.status().last_seq;
    let took = begun.elapsed();
    // The thread that compresses works beside.
    while files(directory, ".jsonl").0 > 1 {
        thread::sleep(Duration::from_millis(200));
    }
    let packed = begun.elapsed();
    runtime.block_on(log.close("bench")).unwrap();
    println!(
        "{records} records written in {:.0} s ({:.0} a second), compressed and indexed {:.0} s later\n",
        took.as_secs_f64(),
        records as f64 / took.as_secs_f64(),
        (packed - took).as_secs_f64()
    );
}

/// How many files end so, and their bytes.
fn files(directory: &Path, end: &str) -> (u64, u64) {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(end))
        // One that was just compressed is gone.
        .filter_map(|entry| entry.metadata().ok())
        .fold((0, 0), |(count, bytes), metadata| (count + 1, bytes + metadata.len()))
}

fn hunt(directory: &Path, what: &str, filter: &Filter) {
    let begun = Instant::now();
    let (mut found, mut first) = (0_u64, None);
    let effort = search(directory, filter.clone(), false, |_| {
        found += 1;
        first.get_or_insert_with(|| begun.elapsed());
        true
    })
    .unwrap();
    println!(
        "| {what} | {found} | {} of {} | {:.2} s | {:.2} s |",
        effort.read,
        effort.blocks,
        first.unwrap_or_default().as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
}

/// What `audit subject` and `audit breach` read.
fn collect(directory: &Path, what: &str, wanted: &Wanted) {
    let begun = Instant::now();
    let (found, effort) = Sightings::collect(directory, wanted, false, &mut |_| {}).unwrap();
    let statements = found.seen.values().map(|seen| seen.statements).sum::<usize>();
    let took = begun.elapsed().as_secs_f64();
    println!("| {what} | {statements} | {} of {} | | {took:.2} s |", effort.read, effort.blocks);
}

/// When a record is written that is so far into the log, in hundredths.
fn moment(directory: &Path, hundredths: u64) -> Timestamp {
    let last = last(directory, 1, 1 << 20, |entry| entry.seq().is_some()).unwrap().remove(0).seq().unwrap();
    let from = last * hundredths / 100;
    (from..=last).find_map(|seq| record(directory, seq).unwrap().unwrap().time()).unwrap()
}

fn main() {
    let wanted = std::env::var("PGPURPOSE_LOG_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let temporary = tempfile::tempdir().unwrap();
    let directory = std::env::var_os("PGPURPOSE_LOG_DIR").map_or_else(|| temporary.path().join("log"), Into::into);
    if !directory.exists() || files(&directory, ".zst").0 == 0 {
        generate(&directory, wanted);
    }
    let begun = Instant::now();
    let Reindexed { files: closed, built } = reindex(&directory, false, |_| {}).unwrap();
    println!("{closed} closed files, {built} indexes built in {:.0} s\n", begun.elapsed().as_secs_f64());
    let ((count, data), (_, index)) = (files(&directory, ".zst"), files(&directory, ".idx"));
    println!(
        "{count} closed files: {data} bytes compressed, {index} bytes of indexes ({:.1} %)\n",
        100.0 * index as f64 / data as f64
    );
    println!(
        "| searched | records found | blocks read | first after | all after |\n| --- | ---: | ---: | ---: | ---: |"
    );
    let key = SubjectKey::derive(&[3; 32]);
    let (since, until) = (Some(moment(&directory, 50)), Some(moment(&directory, 51)));
    let text = |text: &str| Some(text.to_owned());
    for _ in 0..2 {
        hunt(
            &directory,
            "one subject of a million",
            &Filter { subject: vec![key.pseudonym("4711")], ..Filter::default() },
        );
        hunt(&directory, "a person's login, one of 3,000", &Filter { login: text("person_0042"), ..Filter::default() });
        hunt(&directory, "a login that does not occur", &Filter { login: text("nobody"), ..Filter::default() });
        hunt(
            &directory,
            "one subject and one login",
            &Filter { subject: vec![key.pseudonym("4711")], login: text("application_3"), ..Filter::default() },
        );
        hunt(&directory, "a hundredth of the time", &Filter { since, until, ..Filter::default() });
        hunt(
            &directory,
            "one login of twelve in that time",
            &Filter { login: text("application_3"), since, until, ..Filter::default() },
        );
        let subjects = vec![key.pseudonym("4711"), "4711".to_owned()];
        collect(&directory, "`audit subject`", &Wanted { subjects, ..Wanted::default() });
        let breach = Wanted { login: text("person_0042"), ..Wanted::default() };
        collect(&directory, "`audit breach`, a person's login, all the time", &breach);
        let breach = Wanted { login: text("application_3"), since, until, ..Wanted::default() };
        collect(&directory, "`audit breach`, one login of twelve in that time", &breach);
    }
    let trust = Trust { keys: vec![Signer::new(&[9; 32]).unwrap().public()], ..Trust::default() };
    for (what, trust) in [("chain and signatures", trust.clone()), ("and indexes", Trust { indexes: true, ..trust })] {
        let begun = Instant::now();
        let found = verify_with(&directory, &trust, |_| {}).unwrap();
        assert!(found.holds(), "{:?}", found.breaks);
        let took = begun.elapsed().as_secs_f64();
        println!(
            "\nverify, {what}: {took:.0} s for {} records ({:.0} a second)",
            found.records,
            found.records as f64 / took
        );
    }
}
