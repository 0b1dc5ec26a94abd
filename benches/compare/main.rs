//! What the proxy costs: the same load, alternating, straight to the database, through the smallest relay, through PgBouncer
//! and through the proxy with the access log on.
//!
//! `cargo bench --bench compare` prints tables in Markdown, all of them medians. It takes a quarter of an hour; with `-- --quick`
//! a fifth of that, in one round of a second. `-- --write README.md` writes the figures into README.md and docs/costs.md, and the
//! plot beside them. Times on a shared machine tell little: only what stands in one run may be compared. CPU is that of the
//! process between client and database alone, as the scheduler counted it.
//!
//! | variable | default | |
//! | --- | --- | --- |
//! | `PGPURPOSE_BENCH_SECONDS` | 2 | of one run |
//! | `PGPURPOSE_BENCH_ROUNDS` | 5 | how often each is run |
//! | `PGPURPOSE_BENCH_IDLE` | 1000 | idle sessions |
//! | `PGPURPOSE_BENCH_ONLY` | all | beginnings of the parts' names: `prepared/8,simple,new,login,bulk,idle` |
//! | `PGPURPOSE_BENCH_WAYS` | all | `direct,relay,pgbouncer,plain,masked,consent,always` |
//! | `PGPURPOSE_BENCH_SVG` | `target/compare.svg` | where the plot is written |
//!
//! What recording costs by itself, with subjects and without, is in `benches/recording.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    missing_docs
)]

mod bulk;
mod load;
mod places;
mod plot;
mod relay;
mod summary;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use bulk::Bulk;
use load::{Load, Sample};
use places::{Places, Way};
use plot::Bar;
use summary::Measured;

/// Ways that pgbench's loads go; the other one checks logins.
const ALL: [&str; 7] = ["direct", "relay", "pgbouncer", "plain", "masked", "consent", "always"];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Whether a comma-separated variable names this, or is not there.
fn asked(variable: &str, takes: impl Fn(&str) -> bool) -> bool {
    std::env::var(variable).map_or(true, |list| list.split(',').any(|item| takes(item.trim())))
}

struct Bench {
    places: Places,
    folder: tempfile::TempDir,
    seconds: u64,
    rounds: u64,
    groups: Vec<(String, Vec<Bar>)>,
    measured: Measured,
}

impl Bench {
    fn wants(&self, part: &str) -> bool {
        asked("PGPURPOSE_BENCH_ONLY", |item| part.starts_with(item))
    }

    fn ways(&self, keys: &[&str]) -> Vec<Way> {
        let wanted = |way: &&Way| keys.contains(&way.key) && asked("PGPURPOSE_BENCH_WAYS", |item| item == way.key);
        self.places.ways.iter().filter(wanted).cloned().collect()
    }

    /// Runs the load by each of these ways in turn, and prints what each came to.
    fn compare(&mut self, part: &str, heading: &str, keys: &[&str], load: &Load, plotted: bool) {
        if !self.wants(part) {
            return;
        }
        let ways = self.ways(keys);
        let mut samples: Vec<Vec<Sample>> = ways.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.rounds {
            for (way, samples) in ways.iter().zip(&mut samples) {
                samples.push(load::run(&self.places, way, load, self.seconds, self.folder.path()));
            }
        }
        let results: Vec<(Way, Sample)> =
            ways.into_iter().zip(&samples).map(|(way, samples)| (way, load::medians(samples))).collect();
        let bars = results.iter().map(|(way, sample)| Bar { way: way.name, cpu: sample.cpu, rate: sample.rate });
        let bars: Vec<Bar> = bars.collect();
        let text = format!("\n### {heading}\n\n{}", table(&results));
        self.measured.add(part, &results);
        self.measured.say(&text);
        if plotted {
            self.groups.push((heading.to_owned(), bars));
        }
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn protocols(&mut self) {
        const SOME: &[&str] = &["direct", "relay", "pgbouncer", "plain", "masked"];
        let sizes: [(&str, &[u32], &[&str]); 3] =
            [("prepared", &[1, 8, 32], &ALL), ("simple", &[1, 8, 32], SOME), ("extended", &[8], SOME)];
        for (protocol, clients, ways) in sizes {
            for clients in clients {
                let part = format!("{protocol}/{clients}");
                let heading = format!("`pgbench -S -M {protocol} -c {clients}`");
                let load = Load { clients: *clients, protocol, script: None, connecting: false };
                self.compare(&part, &heading, ways, &load, protocol != "extended");
            }
        }
    }

    /// Texts that no cache has seen: each names its column anew.
    fn new_statements(&mut self) {
        let short = self.script(
            "short.sql",
            "\\set n random(1, 1000000000)\n\\set aid random(1, 200000)\n\
             SELECT abalance AS a:n FROM pgbench_accounts WHERE aid = :aid;\n",
        );
        let join = self.script("join.sql", &ten_tables());
        for (part, heading, script) in [
            ("new/short", "Every statement new: pgbench's SELECT", short),
            ("new/join", "Every statement new: a join of ten tables, 2 kB", join),
        ] {
            let load = Load { clients: 1, protocol: "simple", script: Some(script), connecting: false };
            self.compare(part, heading, &["direct", "relay", "pgbouncer", "plain", "masked"], &load, false);
        }
    }

    fn logins(&mut self) {
        let script = self.script("login.sql", "SELECT 1;\n");
        let load = Load { clients: 8, protocol: "simple", script: Some(script), connecting: true };
        let heading = "Log-in with SCRAM and one statement, 8 clients (PgBouncer keeps the database's sessions; `relay` is \
                       the row of plain columns)";
        self.compare("login", heading, &["direct", "relay", "pgbouncer", "plain", "passthrough"], &load, false);
    }

    fn bulks(&mut self) {
        let wide = "SELECT id, body FROM wide";
        let narrow = "SELECT aid, bid, abalance FROM pgbench_accounts";
        for (part, heading, bulk) in [
            ("bulk/wide", "Wide rows, 50,000 of 1 kB", Bulk::Rows(wide)),
            ("bulk/narrow", "Narrow rows, 200,000 of 3 columns", Bulk::Rows(narrow)),
            ("bulk/copy-out", "COPY (wide rows) TO STDOUT", Bulk::Rows("COPY (SELECT id, body FROM wide) TO STDOUT")),
            ("bulk/copy-in", "COPY FROM STDIN, 64 MB", Bulk::CopyIn),
        ] {
            if !self.wants(part) {
                continue;
            }
            let ways = self.ways(&["direct", "relay", "pgbouncer", "plain", "masked"]);
            let mut speeds: Vec<Vec<f64>> = ways.iter().map(|_| Vec::new()).collect();
            for _ in 0..self.rounds {
                for (way, speeds) in ways.iter().zip(&mut speeds) {
                    speeds.push(bulk::speed(way, bulk));
                    // Not by the way that is measured: it changes the structure, which the role may not.
                    if matches!(bulk, Bulk::CopyIn) {
                        self.places.cluster.run_statements("bench", "TRUNCATE filled").unwrap();
                    }
                }
            }
            let mut text = format!("\n### {heading}\n\n| way | MB/s |\n| --- | ---: |\n");
            for (way, speeds) in ways.iter().zip(speeds) {
                writeln!(text, "| {} | {:.0} |", way.name, load::median(speeds)).unwrap();
            }
            self.measured.say(&text);
        }
    }

    /// First of all, while nothing has run by any way.
    fn idle(&mut self) {
        if !self.wants("idle") {
            return;
        }
        let sessions = usize::try_from(number("PGPURPOSE_BENCH_IDLE", 1000)).unwrap();
        let mut text = format!("\n### Memory, {sessions} idle sessions that have run one statement\n\n");
        text.push_str("| way | MB at rest | kB more a session |\n| --- | ---: | ---: |\n");
        let mut figures = Vec::new();
        for way in self.ways(&["relay", "pgbouncer", "plain"]) {
            let (rest, each) = bulk::idle(&way, way.process.unwrap(), sessions);
            figures.push((way.key, rest / 1024.0, each));
            // A pooler keeps the database's sessions, and the next way needs the room.
            let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'postgres' AND datname = 'bench'";
            self.places.cluster.run_sql("postgres", ended).unwrap();
            // A busy machine takes a while to end a thousand of the database's processes.
            for _ in 0..600 {
                let left = self.places.cluster.run_sql("postgres", "SELECT count(*) FROM pg_stat_activity");
                if left.is_ok_and(|left| left.trim().parse().is_ok_and(|left: usize| left < 50)) {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            writeln!(text, "| {} | {:.1} | {each:.1} |", way.name, rest / 1024.0).unwrap();
        }
        self.measured.memory = figures;
        self.measured.say(&text);
    }
}

/// A join of ten tables, spelt so that it has two kilobytes, with another name in each.
fn ten_tables() -> String {
    let mut sql = "\\set n random(1, 1000000000)\n\\set aid random(1, 200000)\nSELECT ".to_owned();
    for table in 0..10 {
        write!(sql, "account_{table}.abalance AS balance_of_the_account_number_{table}_:n, ").unwrap();
    }
    sql.push_str("account_0.aid AS account_:n FROM pgbench_accounts AS account_0");
    for table in 1..10 {
        write!(
            sql,
            " JOIN pgbench_accounts AS account_{table} ON account_{table}.aid = account_{}.aid AND account_{table}.bid = \
             account_0.bid",
            table - 1
        )
        .unwrap();
    }
    sql.push_str(" WHERE account_0.aid = :aid AND account_0.bid > 0 ORDER BY account_0.aid LIMIT 10;\n");
    sql
}

/// Ratios are to the ways that say what is possible: PgBouncer's rate, the relay's CPU, direct's latency.
fn table(results: &[(Way, Sample)]) -> String {
    let of = |key: &str| results.iter().find(|(way, _)| way.key == key).map(|(_, sample)| *sample);
    let ratio = |figure: f64, base: Option<f64>| match base {
        Some(base) if base > 0.0 => format!("{:.2}", figure / base),
        Some(_) | None => "-".to_owned(),
    };
    let (relay, bouncer, direct) = (of("relay"), of("pgbouncer"), of("direct"));
    let mut out =
        "| way | a second | to PgBouncer's | CPU, µs | to the relay's | p50, µs | p99, µs | p50 more than direct |\n\
                   | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
            .to_owned();
    for (way, sample) in results {
        let Sample { rate, p50, p99, cpu } = *sample;
        let (rated, cost) = (ratio(rate, bouncer.map(|s| s.rate)), ratio(cpu, relay.map(|s| s.cpu)));
        let added = direct.map_or("-".to_owned(), |direct| format!("{:.0}", p50 - direct.p50));
        writeln!(out, "| {} | {rate:.0} | {rated} | {cpu:.1} | {cost} | {p50:.0} | {p99:.0} | {added} |", way.name)
            .unwrap();
    }
    out
}

fn main() {
    if let Ok(asked) = std::env::var(relay::ASKED) {
        return relay::run(&asked);
    }
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let readme =
        arguments.iter().position(|argument| argument == "--write").map(|at| PathBuf::from(&arguments[at + 1]));
    let places = Places::start();
    let seconds = number("PGPURPOSE_BENCH_SECONDS", if quick { 1 } else { 2 });
    let rounds = number("PGPURPOSE_BENCH_ROUNDS", if quick { 1 } else { 5 });
    let about = about(&places, seconds, rounds);
    println!("{about}");
    let mut bench = Bench {
        places,
        folder: tempfile::tempdir().unwrap(),
        seconds,
        rounds,
        groups: Vec::new(),
        measured: Measured::about(about),
    };
    bench.idle();
    bench.protocols();
    bench.new_statements();
    bench.logins();
    bench.bulks();
    bench.measured.tell();
    let plot = plot::svg(&bench.groups);
    if let Some(readme) = readme {
        bench.measured.write(&readme, &plot);
    } else if !bench.groups.is_empty() {
        let path = std::env::var_os("PGPURPOSE_BENCH_SVG")
            .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("compare.svg"), PathBuf::from);
        fs::write(&path, plot).unwrap();
        println!("\nThe plot is in {}.", path.display());
    }
}

/// On what, and how long.
fn about(places: &Places, seconds: u64, rounds: u64) -> String {
    let version = places.cluster.run_sql("bench", "SHOW server_version").unwrap();
    let version = version.trim().split(' ').next().unwrap_or_default().to_owned();
    let cores = std::thread::available_parallelism().unwrap();
    let busy = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let busy = busy.split(' ').next().unwrap_or_default().to_owned();
    format!(
        "PostgreSQL {version}, {cores} cores that the clients, the database and what is between share, load {busy} before the run; \
         {rounds} rounds of {seconds} s by each way in turn, medians."
    )
}
