//! `kill -9` of the proxy under load.
//!
//! `PGPURPOSE_KILL_ROUNDS` says how often (3 in the suite):
//! `PGPURPOSE_KILL_ROUNDS=200 cargo nextest run --test durable killed --no-capture`.

use std::thread;
use std::time::{Duration, Instant};

use pgpurpose::audit::checkpoint::PublicKey;
use pgpurpose::audit::{Trust, verify_with};

use super::load::Load;
use super::support::direct;
use super::{PUBLIC_KEY, logging_shop, nothing_ran_unlogged, signed};

fn rounds() -> u64 {
    std::env::var("PGPURPOSE_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

fn kill_under_load(sync: &str) {
    let cluster = logging_shop();
    let mut proxy = signed(&cluster, &format!("sync = \"{sync}\"\nrotate_mb = 1"), &[]);
    let trust = Trust { keys: vec![PublicKey::from_hex(PUBLIC_KEY).unwrap()], ..Trust::default() };
    let (mut answered, mut torn) = (0, 0);
    for round in 1..=rounds() {
        let load = Load::start(proxy.port, round * 1_000_000);
        let begun = Instant::now();
        // Another moment each time; at least something ran.
        let moment = Duration::from_millis(30 + round * 37 % 170);
        while begun.elapsed() < moment || load.told.answered.load(std::sync::atomic::Ordering::Relaxed) < 5 {
            assert!(begun.elapsed() < Duration::from_secs(30), "nothing is answered:\n{}", proxy.output());
            thread::sleep(Duration::from_millis(2));
        }
        proxy.kill();
        answered += load.stop().answered.load(std::sync::atomic::Ordering::Relaxed);
        proxy.restart();
        let found = verify_with(&proxy.audit_dir(), &trust, |_| {}).unwrap();
        assert!(found.holds(), "round {round}: {:?}", found.breaks);
        torn = found.notices.len();
    }
    // What was in flight when the proxy died may run after it.
    while direct(&cluster, "shop", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'support_agent'") != "0" {
        thread::sleep(Duration::from_millis(20));
    }
    let ran = nothing_ran_unlogged(&cluster, &proxy);
    let records = verify_with(&proxy.audit_dir(), &trust, |_| {}).unwrap();
    eprintln!(
        "sync = {sync}: {} kills, {answered} answers, {ran} marked statements in the database's log, 0 without their record; \
         {} records in {} files, {torn} torn ends",
        rounds(),
        records.records,
        records.files
    );
    assert!(ran as u64 >= answered);
}

#[test]
fn a_killed_proxy_leaves_no_statement_unlogged_with_always() {
    kill_under_load("always");
}

#[test]
fn a_killed_proxy_leaves_no_statement_unlogged_with_written() {
    kill_under_load("written");
}
