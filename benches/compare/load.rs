//! One run of pgbench by one way, and what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::places::{CHECKED, PASSWORD, Places, Way};

/// What is run: by how many clients, in which of pgbench's protocols, from which script.
pub(crate) struct Load {
    pub(crate) clients: u32,
    pub(crate) protocol: &'static str,
    /// pgbench's own SELECT where there is none.
    pub(crate) script: Option<PathBuf>,
    /// A connection for each transaction, by the login that SCRAM checks.
    pub(crate) connecting: bool,
}

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Transactions a second: without the time to connect, but for a run that is about connecting.
    pub(crate) rate: f64,
    /// Microseconds that half of the transactions took at most.
    pub(crate) p50: f64,
    /// The same for 99 in 100.
    pub(crate) p99: f64,
    /// Microseconds of CPU a transaction in the process between client and database; 0 where there is none.
    pub(crate) cpu: f64,
}

/// Nanoseconds that all threads of a process have run.
fn cpu_of(process: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let ran = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    ran.sum()
}

/// Runs it for so many seconds.
pub(crate) fn run(places: &Places, way: &Way, load: &Load, seconds: u64, folder: &Path) -> Sample {
    let logs = folder.join("log");
    fs::create_dir(&logs).unwrap();
    let mut command = Command::new(places.cluster.bin().program("pgbench"));
    command
        .args(["-n", "-M", load.protocol, "-c", &load.clients.to_string(), "-j", "2", "-T", &seconds.to_string()])
        .args(["-h", "127.0.0.1", "-p", &way.port.to_string()])
        .arg("--log")
        .arg(format!("--log-prefix={}", logs.join("t").display()))
        .env("PGSSLMODE", "disable");
    match &load.script {
        Some(script) => command.arg("-f").arg(script),
        None => command.arg("-S"),
    };
    if load.connecting {
        command.args(["-C", "-U", CHECKED]).env("PGPASSWORD", PASSWORD);
    } else {
        command.args(["-U", "postgres"]);
    }
    let before = way.process.map(cpu_of);
    let output = command.arg(way.database).output().unwrap();
    let spent = way.process.zip(before).map_or(0.0, |(process, before)| cpu_of(process) - before);
    let said = String::from_utf8_lossy(&output.stdout);
    let told = |start: &str| -> f64 {
        let found =
            said.lines().find_map(|line| line.strip_prefix(start)?.trim().split([' ', '/']).next()?.parse().ok());
        found.unwrap_or_else(|| panic!("{}: {said}{}", way.name, String::from_utf8_lossy(&output.stderr)))
    };
    assert!(output.status.success(), "{}: {said}{}", way.name, String::from_utf8_lossy(&output.stderr));
    let mut took = latencies(&logs);
    fs::remove_dir_all(&logs).unwrap();
    took.sort_unstable();
    let at = |hundredths: usize| took.get(took.len() * hundredths / 100).map_or(f64::NAN, |micros| f64::from(*micros));
    let done = told("number of transactions actually processed: ");
    Sample { rate: told("tps = "), p50: at(50), p99: at(99), cpu: spent / 1000.0 / done }
}

/// The third column of pgbench's logs: microseconds of each transaction.
fn latencies(logs: &Path) -> Vec<u32> {
    let files = fs::read_dir(logs).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let numbers =
        |text: String| -> Vec<u32> { text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok()).collect() };
    files.flat_map(numbers).collect()
}

/// The middle one of each figure.
pub(crate) fn medians(samples: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
    Sample { rate: of(|s| s.rate), p50: of(|s| s.p50), p99: of(|s| s.p99), cpu: of(|s| s.cpu) }
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
