//! What looks for records by indexes finds what a reading of everything finds, whatever became of the indexes.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::*;
use crate::audit::read::page;
use crate::audit::store::files::LogFile;
use crate::audit::store::pack::{Pace, index_again, pack, write_index};

const LOGINS: [&str; 6] = ["ada", "adam", "a/b", "quo\"ted", "li\u{1f600}sa", "zo\u{eb}"];
const ACTORS: [&str; 3] = ["u42", "jo@shop.example", "ada"];
const PURPOSES: [&str; 4] = ["support", "marketing", "marketing.sms", "market"];
const RELATIONS: [&str; 4] = ["public.customers", "crm.customers", "orders", "or\"ders"];
const SUBJECTS: [&str; 6] = ["1", "17", "171", "ps_00ff", "ps_00fe", "O'Brien \\ \"x\""];

struct Maker {
    random: StdRng,
    seq: u64,
    /// Microseconds since 1970.
    clock: i64,
    /// Accesses whose outcome is to come.
    open: Vec<u64>,
}

impl Maker {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random.random_range(0..of.len())]
    }

    fn chance(&mut self, of: u32) -> bool {
        self.random.random_range(0..of) == 0
    }

    fn time(&mut self) -> String {
        // Clocks are set back now and then.
        self.clock += self.random.random_range(0..2_000_000) - if self.chance(15) { 30_000_000 } else { 0 };
        format!("{:.6}", jiff::Timestamp::from_microsecond(self.clock).unwrap())
    }

    fn who(&mut self) -> Value {
        let recipient = self.one(&["internal", "Acme (Pty) Ltd"]);
        let mut who = json!({"time": self.time(), "session": "5f", "login": self.one(&LOGINS), "role": "r", "purpose": self.one(&PURPOSES), "recipient": recipient});
        // Records of older versions have neither.
        if !self.chance(3) {
            (who["actor"], who["ticket"]) = (self.maybe(&ACTORS).into(), self.maybe(&["OPS-1", "OPS/2"]).into());
        }
        who
    }

    fn relations(&mut self, with: &str) -> Value {
        let mut relations = Vec::new();
        for _ in 0..self.random.random_range(0..3) {
            let mut relation = json!({"name": self.one(&RELATIONS), "filter": null, "columns": [{"name": self.one(&["email", "id"]), "action": "mask", "category": self.one(&["contact", "health"])}]});
            if with == "subjects" {
                relation["subjects"] =
                    (0..self.random.random_range(0..3)).map(|_| self.one(&SUBJECTS).to_owned()).collect();
            }
            relations.push(relation);
        }
        relations.into()
    }

    fn line(&mut self) -> String {
        self.seq += 1;
        let mut record = match self.random.random_range(0..10) {
            0..4 => {
                self.open.push(self.seq);
                let mut record = self.who();
                record["event"] = "access".into();
                record["statement"] = "SELECT \"email\"\nFROM t".into();
                record["verdict"] = self.one(&["allow", "mask", "deny"]).into();
                record["relations"] = self.relations("");
                if self.chance(8) {
                    record["unrestricted"] = "migrations".into();
                }
                record
            }
            4..7 if !self.open.is_empty() => {
                let at = self.random.random_range(0..self.open.len());
                json!({"event": "outcome", "of": self.open.remove(at), "status": "ok"})
            }
            7 | 8 => {
                let mut record = self.who();
                record["event"] = "disclosure".into();
                record["of"] = self.random.random_range(0..self.seq).into();
                record["relations"] = self.relations("subjects");
                if self.chance(3) {
                    record["aggregate"] = self.relations("");
                }
                record
            }
            _ => {
                let mut record = self.who();
                record["event"] = "connect".into();
                if let (true, Some(of)) = (self.chance(2), self.open.last()) {
                    record["event"] = "lookup".into();
                    record["of"] = (*of).into();
                    record["lookups"] = json!([{"digest": self.one(&["lk_1", "lk_2"])}, {"digest": null}]);
                }
                record
            }
        };
        match self.random.random_range(0..40) {
            0 => return "no record".to_owned(),
            1 => record["time"] = "yesterday".into(),
            2 => record["login"] = 7.into(),
            _ => {}
        }
        record["seq"] = self.seq.into();
        let line = record.to_string();
        // Another writer's way to write a letter.
        if self.chance(20) { line.replace("\"ada", "\"\\u0061da").replace("\"ps_", "\"\\u0070s_") } else { line }
    }

    /// A log of some files: compressed, plain with an index, plain.
    fn log(&mut self, directory: &Path) -> Vec<LogFile> {
        let mut files = Vec::new();
        for number in 0..5 {
            let file = LogFile::new(directory, self.seq + 1, jiff::civil::date(2026, 11, 22));
            let lines: String = (0..self.random.random_range(1..80)).map(|_| self.line() + "\n").collect();
            fs::write(&file.path, lines).unwrap();
            match number {
                0 | 2 => drop(pack(&file, &Pace { stop: &AtomicBool::new(false), percent: 100 }).unwrap()),
                1 | 3 => write_index(&file, &index_again(&file).unwrap()).unwrap(),
                _ => {}
            }
            files.push(file);
        }
        files
    }

    fn damage(&mut self, files: &[LogFile]) {
        let first = fs::read(files[0].index()).unwrap();
        for file in &files[..4] {
            let index = fs::read(file.index()).unwrap();
            let cut = self.random.random_range(0..index.len());
            match self.random.random_range(0..8) {
                0 => fs::remove_file(file.index()).unwrap(),
                1 => fs::write(file.index(), &index[..cut]).unwrap(),
                2 => fs::write(file.index(), [&index[..], &index[..cut]].concat()).unwrap(),
                3..6 => {
                    let mut changed = index.clone();
                    changed[cut] ^= 1 << self.random.random_range(0..8);
                    fs::write(file.index(), changed).unwrap();
                }
                6 => fs::write(file.index(), &first).unwrap(),
                _ => {}
            }
        }
    }

    fn moment(&mut self) -> Option<jiff::Timestamp> {
        let micros = self.random.random_range(0..self.clock.max(1) * 11 / 10);
        let moment = jiff::Timestamp::from_microsecond(micros).unwrap();
        // A part of a microsecond, which no record has.
        (!self.chance(2)).then(|| moment + jiff::SignedDuration::from_nanos(self.random.random_range(0..2) * 500))
    }

    fn maybe(&mut self, of: &[&str]) -> Option<String> {
        self.chance(4).then(|| self.one(of).to_owned())
    }

    fn filter(&mut self) -> Filter {
        Filter {
            login: self.maybe(&LOGINS),
            purpose: self.maybe(&PURPOSES),
            relation: self.maybe(&["customers", "public.customers", "or\"ders", "orders"]),
            column: self.maybe(&["email", "customers.id", "public.customers.email"]),
            recipient: self.maybe(&["internal", "Acme (Pty) Ltd"]),
            actor: self.maybe(&ACTORS).into_iter().collect(),
            ticket: self.maybe(&["OPS-1", "OPS/2"]),
            verdict: self.maybe(&["deny", "mask"]),
            event: self.maybe(&["access", "outcome", "disclosure"]),
            subject: (0..self.random.random_range(0..6_usize).saturating_sub(3))
                .map(|_| self.one(&SUBJECTS).to_owned())
                .collect(),
            lookup: self.maybe(&["lk_1", "lk_2"]).into_iter().filter(|_| self.chance(2)).collect(),
            since: self.moment(),
            until: self.moment(),
            ..Filter::default()
        }
    }

    fn wanted(&mut self) -> Wanted {
        let subjects: Vec<String> =
            (0..self.random.random_range(0..3)).map(|_| self.one(&SUBJECTS).to_owned()).collect();
        let login = if subjects.is_empty() || self.chance(6) { self.maybe(&LOGINS) } else { None };
        let relation = self.maybe(&["customers", "orders"]);
        let actor =
            if subjects.is_empty() && !self.chance(3) { Vec::new() } else { self.maybe(&ACTORS).into_iter().collect() };
        Wanted { subjects, login, actor, relation, since: self.moment(), until: self.moment() }
    }
}

/// What a reading of every record finds, without anything that leaves records out.
fn by_reading(directory: &Path, filter: &Filter) -> Vec<String> {
    let mut search = Search::new(filter.clone());
    entries(directory).into_iter().filter(|entry| search.wants(entry)).map(|entry| entry.line).collect()
}

fn by_walking(directory: &Path, filter: &Filter, all: bool) -> Vec<String> {
    let mut lines = Vec::new();
    search(directory, filter.clone(), all, |entry| {
        lines.push(entry.line);
        true
    })
    .unwrap();
    lines
}

/// Page after page, the newest first.
fn by_pages(directory: &Path, filter: &Filter, most: usize, patience: Duration) -> Vec<String> {
    let (mut lines, mut before) = (Vec::new(), None);
    loop {
        let found = page(directory, filter, before, most, patience).unwrap();
        assert!(found.entries.len() <= most && found.damaged.is_empty(), "{found:?}");
        lines.extend(found.entries.into_iter().map(|entry| entry.line));
        let Some(next) = found.next else { return lines };
        assert!(before.is_none_or(|before| next < before), "it goes on: {next}");
        before = Some(next);
    }
}

fn check(maker: &mut Maker, directory: &Path) {
    for _ in 0..6 {
        let filter = maker.filter();
        let expected = by_reading(directory, &filter);
        for all in [false, true] {
            assert_eq!(by_walking(directory, &filter, all), expected, "{filter:?}, all {all}");
        }
        let event = |line: &String| Entry::parse(line.as_bytes()).filter(|entry| entry.seq().is_some());
        let mut newest: Vec<String> =
            expected.into_iter().filter(|line| event(line).is_some_and(|entry| entry.event() != "outcome")).collect();
        newest.reverse();
        for (most, patience) in [(3, Duration::from_secs(60)), (1000, Duration::ZERO), (7, Duration::ZERO)] {
            assert_eq!(by_pages(directory, &filter, most, patience), newest, "{filter:?}, {most} a page, {patience:?}");
        }
        let wanted = maker.wanted();
        let expected = Sightings::by_reading(directory, &wanted).unwrap();
        for all in [false, true] {
            let (found, _) = Sightings::collect(directory, &wanted, all, &mut |_| {}).unwrap();
            assert_eq!(found, expected, "{wanted:?}, all {all}");
        }
    }
}

/// Closed files of accesses, one a second in this order of seconds.
fn timed(directory: &Path, seconds: &[Vec<i64>]) {
    let mut seq = 0;
    for file in seconds {
        let named = LogFile::new(directory, seq + 1, jiff::civil::date(2026, 11, 22));
        let line = |second: &i64| {
            seq += 1;
            let time = jiff::Timestamp::from_second(*second).unwrap();
            format!(
                "{{\"seq\":{seq},\"time\":\"{time:.6}\",\"event\":\"access\",\"login\":\"ada\",\"statement\":\"{}\"}}\n",
                "x".repeat(400)
            )
        };
        fs::write(&named.path, file.iter().map(line).collect::<String>()).unwrap();
        pack(&named, &Pace { stop: &AtomicBool::new(false), percent: 100 }).unwrap();
    }
}

#[test]
fn a_search_by_time_reads_no_file_and_no_block_of_another_time() {
    let directory = TempDir::new().unwrap();
    timed(directory.path(), &[(0..100).collect(), (100..200).collect(), (200..300).collect()]);
    let second = |second| Some(jiff::Timestamp::from_second(second).unwrap());
    let took = |since, until| {
        let mut found = 0;
        let filter = Filter { since, until, ..Filter::default() };
        let effort = search(directory.path(), filter, false, |_| {
            found += 1;
            true
        });
        let Effort { unindexed, blocks, read, .. } = effort.unwrap();
        assert_eq!((unindexed, blocks), (0, 36), "twelve blocks a file");
        (found, read)
    };
    assert_eq!(took(None, None), (300, 36));
    assert_eq!(took(second(300), None), (0, 0));
    assert_eq!(took(None, second(-1)), (0, 0));
    // A time that falls between two blocks takes both.
    for (since, until, wanted, most) in [(155, 156, 1, 2), (295, 400, 5, 2), (150, 250, 100, 13)] {
        let (found, read) = took(second(since), second(until));
        assert!(found == wanted && (1..=most).contains(&read), "{found} in {read} blocks from {since} to {until}");
    }
}

#[test]
fn what_was_written_before_the_clock_was_set_back_is_found() {
    let directory = TempDir::new().unwrap();
    // Within a block, between blocks, between files.
    let back = [vec![100, 101, 102, 50, 51], [(200..220).collect::<Vec<_>>(), (20..40).collect()].concat(), vec![5]];
    timed(directory.path(), &back);
    for second in back.iter().flatten() {
        let at = jiff::Timestamp::from_second(*second).unwrap();
        // Up to a part of a microsecond later: an index knows no such parts.
        let until = Some(at + jiff::SignedDuration::from_nanos(500));
        let filter = Filter { since: Some(at), until, ..Filter::default() };
        let found = by_walking(directory.path(), &filter, false);
        assert_eq!(found, by_reading(directory.path(), &filter));
        assert!(!found.is_empty(), "{second}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn every_record_that_a_reading_finds_is_found_whatever_became_of_the_indexes(seed: u64) {
        let directory = TempDir::new().unwrap();
        let mut maker = Maker { random: StdRng::seed_from_u64(seed), seq: 0, clock: 60_000_000, open: Vec::new() };
        let files = maker.log(directory.path());
        check(&mut maker, directory.path());
        maker.damage(&files);
        check(&mut maker, directory.path());
        // Built again, they are as they were.
        let Reindexed { files: closed, .. } = reindex(directory.path(), false, |_| {}).unwrap();
        prop_assert_eq!(closed, 4);
        for file in &files[..4] {
            let file = if file.path.exists() { file.clone() } else { file.other_form() };
            prop_assert_eq!(fs::read(file.index()).unwrap(), index_again(&file).unwrap());
        }
        check(&mut maker, directory.path());
    }
}
