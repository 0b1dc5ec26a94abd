//! A login that writes as much as it can on a small disk: it alone is refused, and what is kept back stays.
#![allow(clippy::print_stdout)]

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::POLICY;
use super::support::own_shop;
use super::support::proxy::Proxy;

const DISK_MB: u64 = 40;

/// A small disk, unmounted with the test. `None`, with a loud message, where none can be mounted.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let size = format!("size={DISK_MB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "a small tmpfs cannot be mounted here, so that a full disk is not tested: run as root, or with `unshare -rm`"
        );
        eprintln!("SKIPPED: a small tmpfs can be mounted by root only, so a full disk is not tested");
        None
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.0.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

async fn login(port: u16, user: &str) -> Client {
    let config = format!("host=127.0.0.1 port={port} user={user} dbname=shop");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// SQLSTATE of a refusal.
fn state(error: &tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_owned()).unwrap_or_default()
}

/// Long texts, one after the other and again and again, and short ones as fast as they go.
async fn fill(port: u16, until: Instant) -> (u64, u64) {
    let (mut ran, mut refused) = (0, 0);
    let mut number = 0;
    let client = login(port, "support_agent").await;
    while Instant::now() < until {
        number += 1;
        let controls = "\u{1}".repeat(if number % 3 == 0 { 900_000 } else { 20_000 });
        let text = format!("SELECT id FROM customers WHERE id = $1::bigint /* {number} {controls} */");
        let prepared = match client.prepare(&text).await {
            Ok(prepared) => prepared,
            Err(error) => {
                assert!(["53400", "53100", "54000"].contains(&state(&error).as_str()), "{error}");
                refused += 1;
                let _ = client.simple_query("SELECT 1").await;
                continue;
            }
        };
        for _ in 0..200 {
            match client.query(&prepared, &[&1_i64]).await {
                Ok(_) => ran += 1,
                Err(error) => {
                    assert!(["53400", "53100"].contains(&state(&error).as_str()), "{error}");
                    refused += 1;
                }
            }
        }
    }
    (ran, refused)
}

#[test]
fn a_login_that_fills_a_small_disk_is_refused_alone_and_the_reserve_stays() {
    let Some(disk) = Disk::mount() else { return };
    let cluster = own_shop();
    let proxy = Proxy::start_logging_to(&cluster, POLICY, disk.0.path(), "sync = \"written\"");
    let port = proxy.port;
    let until = Instant::now() + Duration::from_secs(10);
    let greedy: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(fill(port, until))
            })
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut asked = 0;
    runtime.block_on(async {
        let client = login(port, "migrator").await;
        while Instant::now() < until {
            client.query("SELECT count(*) FROM customers", &[]).await.expect("nobody else is refused");
            asked += 1;
            // Whoever comes while it is being filled is let in too.
            if asked % 20 == 0 {
                let other = login(port, "migrator").await;
                other.simple_query("SELECT 1").await.expect("nobody else is refused");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (mut ran, mut refused) = (0, 0);
    for thread in greedy {
        let (more, less) = thread.join().unwrap();
        (ran, refused) = (ran + more, refused + less);
    }
    let (free, reserve) = (disk.free(), (DISK_MB << 20) / 16);
    eprintln!(
        "{ran} statements of the greedy login ran, {refused} were refused; {asked} of the other; {free} bytes are free"
    );
    assert!(refused > 0 && asked > 20, "{refused} refused, {asked} asked");
    assert!(free > (DISK_MB << 20) / 2 && free > reserve, "{free} bytes are free, {reserve} are kept back");
    let said = proxy.output().lines().count();
    assert!(said < 100, "the operator's log has {said} lines: it is no disk to fill either");
    let refusals = |record: &serde_json::Value| record["event"] == "folded" && record["what"] == "access";
    let folded: Vec<_> = proxy.access_log().into_iter().filter(refusals).collect();
    assert!(folded.iter().all(|record| record["login"] == "support_agent"), "{folded:?}");
    drop(proxy);
}

/// Milliseconds that half and 99 in a hundred of somebody's small statements took.
async fn latency(port: u16, until: Instant) -> (f64, f64, usize) {
    let client = login(port, "migrator").await;
    let mut took = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        client.query("SELECT count(*) FROM customers", &[]).await.expect("nobody else is refused");
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took.sort_by(f64::total_cmp);
    (took[took.len() / 2], took[took.len() * 99 / 100], took.len())
}

/// `benches/full_disk.sh`: what others wait while one login fills the log's disk.
#[test]
#[ignore = "a measurement: run by benches/full_disk.sh"]
fn others_while_a_login_fills_the_disk() {
    let disk = Disk::mount().expect("a small disk can be mounted");
    let cluster = own_shop();
    let proxy = Proxy::start_logging_to(&cluster, POLICY, disk.0.path(), "sync = \"written\"");
    let port = proxy.port;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, greedy) in [("nobody else", false), ("a login that fills the disk", true)] {
        let until = Instant::now() + Duration::from_secs(10);
        let other = greedy.then(|| thread::spawn(move || runtime().block_on(fill(port, until))));
        let (half, most, count) = runtime().block_on(latency(port, until));
        println!(
            "beside {name}: {half:.2} ms for half, {most:.2} ms for 99 in 100 of {count} statements; {} MB free",
            disk.free() >> 20
        );
        if let Some(other) = other {
            let (ran, refused) = other.join().unwrap();
            println!("{ran} of its statements ran, {refused} were refused");
        }
    }
}
