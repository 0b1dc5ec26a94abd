//! Budgets that two proxies count together: what they let through in all, while the audit database is there and while it is not.

use std::process::Stdio;
use std::thread;
use std::time::Instant;

use pgpurpose::cluster::Cluster;

use super::fleet::{sink, with_audit};
use super::support::client::login;
use super::support::direct;
use super::support::proxy::Proxy;
use super::{POLICY, until};

const BUDGET: usize = 20;

fn policy() -> String {
    let policy = POLICY.replace("min_group = 10 ", &format!("queries_per_day = {BUDGET}\nmin_group = 10 "));
    let role = "[roles.support_agent]\n";
    assert!(policy != POLICY && policy.contains(role));
    policy.replace(role, &format!("{role}lookup_limit = 3\n"))
}

fn start(cluster: &Cluster) -> Proxy {
    let sections = format!("{}[fleet]\nbudgets = \"shared\"\nproxies = 2\n", sink(cluster));
    Proxy::start_in(cluster, &policy(), &sections, "", &[])
}

/// So many statements over groups, one session: how many were let through.
fn counted(proxy: &Proxy, cluster: &Cluster, times: usize) -> usize {
    let said = proxy.psql(cluster, &login("analyst"), &vec!["SELECT count(*) FROM customers"; times]);
    let refused = said.err.matches("42501").count();
    assert_eq!(said.out.lines().count() + refused, times, "{said:?}");
    said.out.lines().count()
}

fn audit(cluster: &Cluster, there: bool) {
    cluster.run_statements("postgres", &format!("ALTER DATABASE audit ALLOW_CONNECTIONS {there}")).unwrap();
    if !there {
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'audit'";
        direct(cluster, "postgres", end);
        until("nobody is connected to it", || {
            direct(cluster, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = 'audit'") == "0"
        });
    }
}

#[test]
fn two_proxies_let_through_one_budget_of_queries_and_no_more() {
    let cluster = with_audit();
    let (one, two) = (start(&cluster), start(&cluster));
    let at_once = |times: usize| -> usize {
        thread::scope(|scope| {
            let sessions: Vec<_> = [&one, &two, &one, &two]
                .into_iter()
                .map(|proxy| scope.spawn(|| counted(proxy, &cluster, times)))
                .collect();
            sessions.into_iter().map(|session| session.join().unwrap()).sum()
        })
    };
    assert_eq!(at_once(4), 16);
    assert_eq!(counted(&one, &cluster, 3), 3);
    // A batch is counted whole or not at all: what its first statement had taken is given back to all.
    let count = "SELECT count(*) FROM customers";
    let said = two.psql(&cluster, &login("analyst"), &[&format!("{count}; {count}")]);
    assert!(said.out.is_empty() && said.err.contains("has used its budget of 20 queries a day"), "{said:?}");
    let used = "SELECT sum(used) FROM audit.spent WHERE purpose = 'analytics'";
    assert_eq!(direct(&cluster, "audit", used), "19");
    assert_eq!(at_once(8), 1, "one is left, whoever asks first");
    // Each record says how many all proxies have counted.
    let numbers = |proxy: &Proxy| -> Vec<u64> {
        let records = proxy.access_log();
        records
            .iter()
            .filter(|record| record["event"] == "groups")
            .map(|record| record["asked"].as_u64().unwrap())
            .collect()
    };
    let mut all = [numbers(&one), numbers(&two)].concat();
    all.sort_unstable();
    assert_eq!(all, (1..=BUDGET as u64).collect::<Vec<_>>());
    // Neither a restart gives anything back, nor another proxy.
    let mut one = one;
    one.kill();
    one.restart();
    assert_eq!(counted(&one, &cluster, 1) + counted(&two, &cluster, 1), 0);
}

#[test]
fn while_the_audit_database_is_away_each_proxy_has_its_part_and_it_counts_afterwards() {
    let cluster = with_audit();
    let (one, two) = (start(&cluster), start(&cluster));
    assert_eq!(counted(&one, &cluster, 3), 3);
    audit(&cluster, false);
    // 3 of its 10 are gone; the other one's are whole.
    let said = one.psql(&cluster, &login("analyst"), &["SELECT count(*) FROM customers"; 12]);
    assert_eq!(said.out.lines().count(), 7, "{said:?}");
    assert!(said.err.contains("has used this proxy's part of its budget of 20 queries a day"), "{}", said.err);
    assert!(said.err.contains("cannot be asked now"), "{}", said.err);
    assert_eq!(counted(&two, &cluster, 5), 5);
    audit(&cluster, true);
    // 15 are gone, wherever they were counted.
    thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(counted(&two, &cluster, 1) + counted(&one, &cluster, 1), 2);
    assert_eq!(counted(&one, &cluster, 9), 3);
    assert_eq!(direct(&cluster, "audit", "SELECT sum(used) FROM audit.spent WHERE purpose = 'analytics'"), "20");

    // The worst that may be: all of it through one proxy, and then the other alone.
    let other = with_audit();
    let (one, two) = (start(&other), start(&other));
    assert_eq!(counted(&one, &other, BUDGET + 2), BUDGET);
    audit(&other, false);
    assert_eq!(counted(&one, &other, 2), 0);
    assert_eq!(counted(&two, &other, BUDGET), BUDGET / 2, "exceeded by its part, and no more");
}

#[test]
fn two_proxies_let_through_the_lookups_of_one_login_and_no_more() {
    let cluster = with_audit();
    let proxies = [start(&cluster), start(&cluster)];
    let begun = Instant::now();
    let sessions = |each: usize| -> usize {
        thread::scope(|scope| {
            let sessions: Vec<_> = (0..2 * each)
                .map(|number| {
                    let (proxy, cluster) = (&proxies[number % 2], &cluster);
                    scope.spawn(move || {
                        let find = "SELECT 'asked' FROM customers WHERE id_number = '0'";
                        let said = proxy.psql(cluster, &login("support_agent"), &[find; 3]);
                        3 - said.err.matches("53400").count()
                    })
                })
                .collect();
            sessions.into_iter().map(|session| session.join().unwrap()).sum()
        })
    };
    // A session may make 3, and all of a login ten times as many.
    let let_through = sessions(8);
    if begun.elapsed().as_secs() < 55 {
        assert_eq!(let_through, 30);
        let made = direct(&cluster, "audit", "SELECT sum(made), count(DISTINCT log) FROM audit.looked_up");
        assert_eq!(made, "30|2");
    }
    audit(&cluster, false);
    // What each has counted itself fills its part of 15.
    let before: Vec<usize> = proxies
        .iter()
        .map(|proxy| {
            proxy
                .access_log()
                .iter()
                .filter(|record| record["lookups"].is_array() && record["verdict"] != "deny")
                .count()
        })
        .collect();
    let now = sessions(8);
    if begun.elapsed().as_secs() < 55 {
        let part: usize = before.iter().map(|made| 15_usize.saturating_sub(*made)).sum();
        assert_eq!(now, part, "{before:?}");
    }
}

#[test]
fn an_audit_database_that_does_not_answer_leaves_each_proxy_its_part() {
    let cluster = with_audit();
    let proxy = start(&cluster);
    // Somebody else holds what the count waits for.
    let lock = "SELECT pg_advisory_lock(hashtextextended('audit.spend ' || (now() AT TIME ZONE 'Africa/Johannesburg')::date || ' analyst', 0)), pg_sleep(600)";
    let mut holder = cluster.client("psql");
    holder.args(["-X", "-q", "-d", "audit", "-U", "postgres", "-c", lock]);
    let mut holder = holder.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    until("it is held", || direct(&cluster, "audit", held) != "0");
    assert_eq!(counted(&proxy, &cluster, 12), BUDGET / 2);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    direct(&cluster, "postgres", end);
    holder.wait().unwrap();
    // It is asked again, and has what was counted meanwhile.
    until("it is asked again", || {
        counted(&proxy, &cluster, 1);
        let used = "SELECT coalesce(sum(used), 0) FROM audit.spent WHERE purpose = 'analytics'";
        direct(&cluster, "audit", used).parse::<u32>().unwrap() > 10
    });
}
