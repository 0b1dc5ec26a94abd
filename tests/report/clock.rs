//! A machine's clock that jumps, or is moved in steps, while the proxy runs or while it is away: nothing of the log is destroyed early, and
//! all of it is told. The clock is moved by libfaketime, for the one process.

#![allow(clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::mode::page;
use super::support::client::login;
use super::support::proxy::Proxy;
use super::support::shop;
use super::{folder, pgpurpose, policy, until};

/// The library, of Debian's package `libfaketime`.
fn library() -> Option<PathBuf> {
    let places =
        fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let found = places.into_iter().find(|path| path.exists());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "Debian's package libfaketime is missing");
    if found.is_none() {
        eprintln!("SKIPPED: Debian's package libfaketime is missing, so no clock is moved");
    }
    found
}

/// A proxy whose clock can be moved, with a signed log of which files are kept for a day.
struct Moved {
    proxy: Proxy,
    clock: PathBuf,
    public: String,
    _folder: tempfile::TempDir,
}

impl Moved {
    fn start(library: &Path) -> Self {
        let elsewhere = tempfile::tempdir().unwrap();
        let (key, clock) = (elsewhere.path().join("signing.key"), elsewhere.path().join("clock"));
        let (status, public, _) = pgpurpose(&["audit", "keygen", "--out", key.to_str().unwrap()]);
        assert_eq!(status, 0);
        set(&clock, "+0");
        let keys = format!("retain_days = 1\nsigning_key = \"file:{}\"\n", key.display());
        let environment = [
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let proxy = Proxy::start_in(shop(), &policy(), "", &keys, &environment);
        Self { proxy, clock, public: public.trim().to_owned(), _folder: elsewhere }
    }

    fn ask(&self) {
        let who = login("support_agent").application("clock");
        self.proxy.psql(shop(), &who, &["SELECT id FROM customers WHERE id = 1"]).fine();
    }

    fn records(&self, event: &str, about: Option<&str>) -> Vec<serde_json::Value> {
        let mut records = self.proxy.access_log();
        records.retain(|record| record["event"] == event && about.is_none_or(|about| record["about"] == about));
        records
    }

    fn told(&self, times: usize) {
        until("the jump is in the log", || self.records("incident", Some("clock")).len() >= times);
        assert_eq!(self.records("incident", Some("clock")).len(), times);
    }

    /// The first file is there, whichever form it has, and no other is missing.
    fn all_is_there(&self) {
        assert!(self.records("destroyed", None).is_empty());
        let log = self.proxy.access_log();
        assert!(log.iter().zip(1_u64..).all(|(record, seq)| record["seq"] == seq), "a record is missing");
        let dir = self.proxy.audit_dir();
        let (status, said, _) =
            pgpurpose(&["audit", "verify", "--dir", dir.to_str().unwrap(), "--public-key", &self.public]);
        assert_eq!(status, 0, "{said}");
    }

    fn in_doubt(&self) -> bool {
        let ready = || {
            let ready = page(&self.proxy, "/readyz");
            assert!(ready.starts_with("HTTP/1.1 200"), "statements are served: {ready}");
            ready.contains("confirm-clock")
        };
        loop {
            let doubt = ready();
            let metrics = page(&self.proxy, "/metrics");
            // The doubt may end between two pages.
            if ready() == doubt {
                assert_eq!(metrics.contains("pgpurpose_log_clock_in_doubt 1"), doubt);
                return doubt;
            }
        }
    }

    fn config(&self) -> String {
        folder(&self.proxy).join("pgpurpose.toml").display().to_string()
    }
}

/// Moves the clock.
fn set(clock: &Path, to: &str) {
    let unfinished = clock.with_extension("tmp");
    fs::write(&unfinished, format!("{to}\n")).unwrap();
    fs::rename(unfinished, clock).unwrap();
}

#[test]
fn a_clock_that_jumps_destroys_nothing_and_is_told_until_somebody_confirms_it() {
    let Some(library) = library() else { return };
    let moved = Moved::start(&library);
    moved.ask();
    assert!(!moved.in_doubt());
    // Small steps are set right every day; together they are a jump.
    set(&moved.clock, "+50m");
    thread::sleep(Duration::from_millis(2_500));
    moved.told(0);
    set(&moved.clock, "+100m");
    moved.told(1);
    assert!(moved.in_doubt());
    // A hundred days on: another day, so that the file of a minute ago is closed, and looked at.
    set(&moved.clock, "+100d");
    moved.told(2);
    moved.ask();
    until("the file of before is closed", || {
        fs::read_dir(moved.proxy.audit_dir())
            .unwrap()
            .any(|entry| entry.unwrap().path().extension().is_some_and(|end| end == "zst"))
    });
    thread::sleep(Duration::from_secs(2));
    moved.all_is_there();
    // Back, and far back.
    for (clock, times) in [("-100d", 3), ("+0", 4)] {
        set(&moved.clock, clock);
        moved.told(times);
        moved.ask();
    }
    moved.all_is_there();
    let (_, told, _) = pgpurpose(&["audit", "tail", "--config", &moved.config(), "-n", "200"]);
    assert!(told.contains("about=clock") && told.contains("the clock jumped"), "{told}");
    let report = pgpurpose(&["audit", "report", "--config", &moved.config(), "--format", "md"]).1;
    assert!(report.contains("of the clock: the clock jumped"), "{report}");

    // Who can write the folder, and has no key, confirms nothing.
    let dir = moved.proxy.audit_dir().display().to_string();
    let (status, said, err) = pgpurpose(&["audit", "confirm-clock", "--dir", &dir, "--reason", "it is fine"]);
    assert_eq!(status, 0, "{said}{err}");
    until("the word is refused", || moved.proxy.output().contains("a confirmation of the clock was not taken"));
    assert!(moved.in_doubt());
    let confirm = ["audit", "confirm-clock", "--config", &moved.config(), "--reason", "compared with a radio clock"];
    let (status, said, err) = pgpurpose(&confirm);
    assert_eq!(status, 0, "{said}{err}");
    until("the clock is confirmed", || !moved.in_doubt());
    let confirmed = moved.records("clock_confirmed", None);
    assert_eq!(confirmed.len(), 1);
    assert_eq!(confirmed[0]["reason"], "compared with a radio clock");
    assert_eq!(pgpurpose(&confirm).0, 1, "there is nothing left to confirm");
    moved.ask();
    thread::sleep(Duration::from_secs(2));
    moved.all_is_there();
}

#[test]
fn a_clock_that_was_moved_while_the_proxy_was_away_destroys_nothing_either() {
    let Some(library) = library() else { return };
    for clock in ["+100d", "-100d"] {
        let mut moved = Moved::start(&library);
        moved.ask();
        moved.proxy.kill();
        set(&moved.clock, clock);
        moved.proxy.restart();
        moved.told(1);
        assert!(moved.in_doubt());
        moved.ask();
        thread::sleep(Duration::from_secs(2));
        moved.all_is_there();
        // The doubt outlives the next start too, also where the clock is right again.
        moved.proxy.kill();
        set(&moved.clock, "+0");
        moved.proxy.restart();
        moved.told(2);
        assert!(moved.in_doubt());
        moved.all_is_there();
        let said = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
            .args([
                "audit",
                "verify",
                "--dir",
                moved.proxy.audit_dir().to_str().unwrap(),
                "--public-key",
                &moved.public,
            ])
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains("the clock jumped") && said.contains("had not been closed"), "{said}");
    }
}
