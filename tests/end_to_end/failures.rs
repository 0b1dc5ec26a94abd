//! `kill -9`: the client gets an error or a closed connection within a second, and nothing hangs.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use pgpurpose::cluster::Cluster;

use super::POLICY;
use super::support::client::{Said, login, wait};
use super::support::proxy::{Proxy, Upstream, kill_9};
use super::support::{direct, own_shop};

/// Runs for minutes.
const LONG: &str = "SELECT count(*) FROM orders a, orders b, orders c";
/// Finds it among the database's processes.
const RUNNING: &str = "SELECT pid FROM pg_stat_activity WHERE usename = 'support_agent' AND state = 'active'";

fn start() -> (Cluster, Proxy) {
    let cluster = own_shop();
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    (cluster, proxy)
}

/// A client whose long statement is running; with the number of its process at the database.
fn running(cluster: &Cluster, proxy: &Proxy) -> (Child, u32) {
    let client = proxy.spawn_psql(cluster, &login("support_agent"), LONG);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        if let Ok(pid) = direct(cluster, "shop", RUNNING).parse() {
            return (client, pid);
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("the statement does not run:\n{}", proxy.output());
}

#[track_caller]
fn told_within_a_second(client: Child, what: &str) -> Said {
    let said = wait(client, Duration::from_secs(1)).unwrap_or_else(|| panic!("{what}: the client hangs"));
    assert!(!said.ok && !said.err.is_empty(), "{what}: {said:?}");
    said
}

#[test]
fn a_killed_backend_is_told_at_once_and_the_proxy_goes_on() {
    let (cluster, proxy) = start();
    let (client, pid) = running(&cluster, &proxy);
    kill_9(pid);
    told_within_a_second(client, "kill -9 of the backend");
    // The postmaster restarts everything after such a death; the proxy needs no restart.
    let begun = Instant::now();
    loop {
        let said = proxy.psql(&cluster, &login("support_agent"), &["SELECT id FROM customers WHERE id = 1"]);
        if said.ok {
            assert_eq!(said.out, "1");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{said:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_killed_postmaster_is_told_at_once() {
    let (cluster, proxy) = start();
    let (client, pid) = running(&cluster, &proxy);
    kill_9(cluster.postmaster_pid().unwrap());
    kill_9(pid);
    told_within_a_second(client, "kill -9 of the postmaster");
    let begun = Instant::now();
    let said = proxy.psql(&cluster, &login("support_agent"), &["SELECT 1"]);
    assert!(!said.ok && !said.err.is_empty(), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "a new connection is refused soon, not kept waiting");
}

#[test]
fn a_killed_proxy_is_told_at_once_and_leaves_a_log_that_can_be_gone_on_with() {
    let (cluster, mut proxy) = start();
    let (client, _) = running(&cluster, &proxy);
    proxy.kill();
    told_within_a_second(client, "kill -9 of the proxy");
    let log = proxy.access_log();
    assert!(log.iter().any(|record| record["event"] == "access"), "the statement was logged before it ran");
}

#[test]
fn a_client_that_goes_away_leaves_no_session_behind() {
    let (cluster, proxy) = start();
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'support_agent'";
    let mut client = proxy.spawn_psql(&cluster, &login("support_agent"), "SELECT 1 \\; SELECT pg_sleep(0)");
    client.kill().unwrap();
    client.wait().unwrap();
    let (mut client, _) = running(&cluster, &proxy);
    client.kill().unwrap();
    client.wait().unwrap();
    let begun = Instant::now();
    while direct(&cluster, "shop", idle) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(5), "a statement whose client has gone still runs");
        thread::sleep(Duration::from_millis(50));
    }
}
