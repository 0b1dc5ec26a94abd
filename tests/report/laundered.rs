//! What somebody who can write the folder, and has no key, can do to a log while no proxy writes it; and what is told of it, before the
//! proxy starts again and after that, by what the reader has to hold the log against. The table in `docs/audit.md` is what comes out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pgpurpose::audit::chain::Hash;
use pgpurpose::audit::checkpoint::{Checkpoint, Rhythm, Signer};
use pgpurpose::audit::read::Entry;
use pgpurpose::audit::ship::{Deliver, Position, Shipping, Wanted};
use pgpurpose::audit::{AuditLog, Ended, Event, LogOptions, Sent, Sync, Trust, verify_with};
use tempfile::TempDir;

type Lines = Vec<(PathBuf, Vec<String>)>;

fn read_lines(folder: &Path) -> Lines {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    files.sort();
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    files.into_iter().map(|path| (path.clone(), lines(&path))).collect()
}

fn write_lines(folder: &Path, files: &Lines) {
    delete_records(folder);
    for (path, lines) in files {
        fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
}

fn edit(folder: &Path, change: impl FnOnce(&mut Lines)) -> bool {
    let mut files = read_lines(folder);
    change(&mut files);
    write_lines(folder, &files);
    true
}

fn delete_records(folder: &Path) {
    read_lines(folder).iter().for_each(|(path, _)| fs::remove_file(path).unwrap());
}

/// Everything else that stands beside the records; `false` where there is nothing.
fn delete_beside(folder: &Path) -> bool {
    let beside = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json: Vec<PathBuf> = beside.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    json.iter().for_each(|path| fs::remove_file(path).unwrap());
    !json.is_empty()
}

/// What somebody without the key can do about the chain: numbers and hashes made to fit again from some line on.
fn reseal(files: &mut Lines, from: usize) {
    let (mut seq, mut prev) = (0, "0".repeat(64));
    for line in files.iter_mut().flat_map(|(_, lines)| lines) {
        if seq >= from {
            let (_, rest) = line.split_once(',').unwrap();
            let (fields, _) = rest.rsplit_once(",\"prev\":").unwrap();
            let covered = format!("{{\"seq\":{},{fields},\"prev\":\"{prev}\"", seq + 1);
            *line = format!("{covered},\"hash\":\"{}\"}}", Hash::of(covered.as_bytes()));
        }
        seq += 1;
        prev = line[line.len() - 66..line.len() - 2].to_owned();
    }
}

/// Another word in a record.
fn change(files: &mut Lines, at: usize) {
    let line = files.iter_mut().flat_map(|(_, lines)| lines).skip(at).find(|line| line.contains("support")).unwrap();
    *line = line.replace("support", "billing");
}

fn cut(files: &mut Lines, mut count: usize) {
    while count > 0 {
        let (_, lines) = files.last_mut().unwrap();
        match lines.pop() {
            Some(_) => count -= 1,
            None => drop(files.pop()),
        }
    }
    files.retain(|(_, lines)| !lines.is_empty());
}

fn last(files: &Lines) -> String {
    files.iter().flat_map(|(_, lines)| lines).last().unwrap().clone()
}

/// Whole records behind the end, each so many seconds after the one before; the last of them is this.
fn forge(files: &mut Lines, count: usize, seconds: i64, end: &str) {
    let before: usize = files.iter().map(|(_, lines)| lines.len()).sum();
    let (_, lines) = files.last_mut().unwrap();
    let from = lines.iter().rev().find_map(|line| Entry::parse(line.as_bytes())?.time()).unwrap();
    for number in 1..=count {
        let time = from + jiff::SignedDuration::from_secs(number as i64 * seconds);
        let event = if number == count { end } else { "\"event\":\"purpose\",\"login\":\"ann\"" };
        lines.push(format!("{{\"seq\":0,\"time\":\"{time:.6}\",{event},\"prev\":\"\",\"hash\":\"\"}}"));
    }
    reseal(files, before);
}

const STOP: &str = "\"event\":\"stop\",\"reason\":\"SIGTERM\"";

/// What is done to the folder; `false` where there is nothing to do it to.
type Done = fn(&Path) -> bool;

struct Manipulation {
    name: &'static str,
    done: Done,
}

const MANIPULATIONS: &[Manipulation] = &[
    Manipulation { name: "a signed record changed", done: |folder| edit(folder, |files| change(files, 10)) },
    Manipulation {
        name: "the same, and every later hash computed again",
        done: |folder| {
            edit(folder, |files| {
                change(files, 10);
                reseal(files, 10);
            })
        },
    },
    Manipulation { name: "the newest 40 records cut off", done: |folder| edit(folder, |files| cut(files, 40)) },
    Manipulation {
        name: "the newest 2 records cut off: the end of the log",
        done: |folder| edit(folder, |files| cut(files, 2)),
    },
    Manipulation {
        name: "cut back to a checkpoint, and `checkpoint.json` exchanged for that one",
        done: |folder| {
            let signed = folder.join("checkpoint.json").exists();
            edit(folder, |files| {
                cut(files, 40);
                while signed && !last(files).contains("\"event\":\"checkpoint\"") {
                    cut(files, 1);
                }
                if signed {
                    fs::write(folder.join("checkpoint.json"), format!("{}\n", last(files))).unwrap();
                }
            });
            signed
        },
    },
    Manipulation {
        name: "10 records and a `stop` forged behind the end",
        done: |folder| edit(folder, |files| forge(files, 11, 1, STOP)),
    },
    Manipulation {
        name: "30 records and a `stop` forged behind the end",
        done: |folder| edit(folder, |files| forge(files, 31, 1, STOP)),
    },
    Manipulation {
        name: "10 records over ten days and a `stop` forged behind the end",
        done: |folder| edit(folder, |files| forge(files, 11, 86_400, STOP)),
    },
    Manipulation {
        name: "10,901 records over ten days and a `stop` forged behind the end",
        done: |folder| edit(folder, |files| forge(files, 10_902, 79, STOP)),
    },
    Manipulation {
        name: "a `start`, 9 records and a `stop` forged behind the end",
        done: |folder| {
            edit(folder, |files| {
                forge(files, 1, 1, "\"event\":\"start\",\"version\":\"1\"");
                forge(files, 10, 1, STOP);
            })
        },
    },
    Manipulation {
        name: "the same, all of one moment",
        done: |folder| {
            edit(folder, |files| {
                forge(files, 1, 1, "\"event\":\"start\",\"version\":\"1\"");
                forge(files, 10, 0, STOP);
            })
        },
    },
    Manipulation {
        name: "10 records forged whose times go back",
        done: |folder| edit(folder, |files| forge(files, 11, -3_600, STOP)),
    },
    Manipulation {
        name: "all records deleted",
        done: |folder| {
            delete_records(folder);
            true
        },
    },
    Manipulation {
        name: "everything in the folder deleted",
        done: |folder| {
            delete_records(folder);
            delete_beside(folder);
            true
        },
    },
    Manipulation {
        name: "`checkpoint.json` deleted",
        done: |folder| fs::remove_file(folder.join("checkpoint.json")).is_ok(),
    },
    Manipulation {
        name: "`checkpoint.json` exchanged for an older one",
        done: |folder| {
            let path = folder.join("checkpoint.json");
            let files = read_lines(folder);
            let older =
                files.iter().flat_map(|(_, lines)| lines).find(|line| line.contains("\"event\":\"checkpoint\""));
            older.is_some_and(|older| fs::write(path, format!("{older}\n")).is_ok())
        },
    },
    Manipulation {
        name: "every checkpoint taken out, all hashes computed again, the files beside deleted",
        done: |folder| {
            let signed = delete_beside(folder);
            edit(folder, |files| {
                for (_, lines) in files.iter_mut() {
                    lines.retain(|line| !line.contains("\"event\":\"checkpoint\""));
                }
                reseal(files, 0);
                let mut first = 1;
                for (path, lines) in files.iter_mut() {
                    *path = path.with_file_name(format!("access-{first:012}-20261129.jsonl"));
                    first += lines.len();
                }
            });
            signed
        },
    },
    Manipulation {
        name: "exchanged for another log, signed with the same key",
        done: |folder| {
            let signed = folder.join("checkpoint.json").exists();
            delete_records(folder);
            delete_beside(folder);
            let other = Written::new(if signed { Against::Key } else { Against::Nothing });
            for entry in fs::read_dir(other.folder()).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
            }
            true
        },
    },
    Manipulation {
        name: "the first file deleted, and a record forged that it was destroyed by age",
        done: |folder| {
            edit(folder, |files| {
                let (path, lines) = files.remove(0);
                let last = Entry::parse(lines.last().unwrap().as_bytes()).unwrap();
                let destroyed = format!(
                    "\"event\":\"destroyed\",\"file\":\"{}\",\"from\":1,\"to\":{},\"last\":\"{}\",\"sha256\":\"00\",\"newest\":\"2020-01-01T00:00:00.000000Z\",\"retain_days\":1",
                    path.file_name().unwrap().to_string_lossy(),
                    last.seq().unwrap(),
                    last.text("hash").unwrap()
                );
                // With the file still there, so that numbers and hashes fit.
                files.insert(0, (path, lines));
                forge(files, 1, 1, &destroyed);
                files.remove(0);
            })
        },
    },
];

/// What a reader holds the log against, and what the proxy had to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    Key,
    Anchor,
    Kept,
    Sink,
    Nothing,
}

const AGAINST: [(Against, &str); 5] = [
    (Against::Key, "the public key"),
    (Against::Anchor, "and an anchor"),
    (Against::Kept, "and a kept checkpoint"),
    (Against::Sink, "and a sink"),
    (Against::Nothing, "nothing: no key"),
];

/// A place beside the files, as HTTP is one: where it stands is written down in the folder.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Vec<Entry>>>);

impl Deliver for Place {
    fn begin(&mut self) -> Result<Option<Position>, String> {
        Ok(None)
    }

    fn deliver(&mut self, entries: &[Entry]) -> Result<(), String> {
        self.0.lock().unwrap().extend_from_slice(entries);
        Ok(())
    }
}

/// A log that was closed in order, and what is elsewhere of it.
struct Written {
    parent: TempDir,
    against: Against,
    place: Place,
    kept: Option<Sent>,
}

fn signer() -> Arc<Signer> {
    Arc::new(Signer::new(&[7; 32]).unwrap())
}

impl Written {
    fn new(against: Against) -> Self {
        let mut written = Self { parent: TempDir::new().unwrap(), against, place: Place::default(), kept: None };
        written.run(120);
        let checkpoint = fs::read(written.folder().join("checkpoint.json")).ok();
        let checkpoint = checkpoint.map(|line| Checkpoint::of(&Entry::parse(line.trim_ascii_end()).unwrap()).unwrap());
        written.kept = checkpoint.map(|checkpoint| Sent { place: "`kept.jsonl:1`".to_owned(), checkpoint });
        written
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("log")
    }

    /// One run of the proxy.
    fn run(&self, records: usize) {
        let anchor = (self.against == Against::Anchor).then(|| self.parent.path().join("anchor.json"));
        let options = LogOptions {
            signer: (self.against != Against::Nothing).then(signer),
            rhythm: Rhythm { records: 25, seconds: 60 },
            rotate_bytes: 8 << 10,
            anchor,
            ..LogOptions::new(self.folder(), Sync::Written)
        };
        let log = AuditLog::open_with(options).unwrap();
        let sink = (self.against == Against::Sink)
            .then(|| Shipping::start(&log, "http", Wanted::All, Box::new(self.place.clone())).unwrap());
        for number in 0..records {
            let event = Event::Disconnect { session: &format!("support{number}"), reason: None };
            log.append_blocking(event.record().unwrap()).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stop = runtime.block_on(log.close("SIGTERM")).unwrap();
        if let Some(sink) = sink {
            // `stop` has its checkpoint behind it.
            sink.finish(stop + 1, Duration::from_secs(10));
            // Its thread ends within a pause, and writes nothing down after that.
            thread::sleep(Duration::from_millis(220));
        }
    }

    /// What `verify` says.
    fn told(&self) -> &'static str {
        let keys = if self.against == Against::Nothing { Vec::new() } else { vec![signer().public()] };
        let sent = match self.against {
            Against::Kept => self.kept.clone().into_iter().collect(),
            Against::Sink => {
                let checkpoints = self.place.0.lock().unwrap().iter().filter_map(Checkpoint::of).collect::<Vec<_>>();
                checkpoints.into_iter().map(|checkpoint| Sent { place: "`sink`".to_owned(), checkpoint }).collect()
            }
            Against::Key | Against::Anchor | Against::Nothing => Vec::new(),
        };
        let found = verify_with(&self.folder(), &Trust { keys, sent, ..Trust::default() }, |_| {}).unwrap();
        if !found.holds() {
            return "broken";
        }
        if !found.notices.is_empty() || found.ended != Ended::InOrder {
            return "told";
        }
        "fine"
    }
}

fn cell(done: Option<Done>, restarted: bool, against: Against) -> &'static str {
    let written = Written::new(against);
    assert_eq!(written.told(), "fine");
    if done.is_some_and(|done| !done(&written.folder())) {
        return "–";
    }
    if restarted {
        // It stays told, however often the proxy starts.
        written.run(3);
        written.run(3);
    }
    match (written.told(), done) {
        ("fine", Some(_)) => "cannot be told",
        (told, _) => told,
    }
}

/// A row for each manipulation, before and after a restart.
fn table() -> String {
    let unchanged = ("nothing changed", None);
    let rows: Vec<(&str, Option<Done>)> =
        std::iter::once(unchanged).chain(MANIPULATIONS.iter().map(|one| (one.name, Some(one.done)))).collect();
    let rows = &rows;
    let columns: Vec<Vec<&'static str>> = thread::scope(|scope| {
        let column = |against| {
            scope.spawn(move || {
                let cells = rows.iter().flat_map(|(_, done)| [(*done, false), (*done, true)]);
                cells.map(|(done, restarted)| cell(done, restarted, against)).collect::<Vec<_>>()
            })
        };
        let columns: Vec<_> = AGAINST.iter().map(|(against, _)| column(*against)).collect();
        columns.into_iter().map(|column| column.join().unwrap()).collect()
    });
    let mut table = String::from("| done to the folder | restart |");
    for (_, name) in AGAINST {
        write!(table, " {name} |").unwrap();
    }
    table.push_str("\n| --- | --- | --- | --- | --- | --- | --- |\n");
    for (at, (name, restart)) in rows.iter().flat_map(|(name, _)| [(name, "before"), (name, "after")]).enumerate() {
        write!(table, "| {name} | {restart} |").unwrap();
        for column in &columns {
            write!(table, " {} |", column[at]).unwrap();
        }
        table.push('\n');
    }
    table
}

#[test]
fn no_change_of_a_log_passes_for_fine_before_or_after_a_restart() {
    let table = table();
    let documented = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).unwrap();
    assert!(documented.contains(&table), "docs/audit.md holds another table; it should be\n{table}");
}
