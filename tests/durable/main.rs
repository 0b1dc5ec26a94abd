//! The access log against the database's own: whatever happens to the log or to the proxy, no statement runs that has no
//! `access` record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod disclosures;
mod faults;
mod fill;
mod kill;
mod load;
mod slow;

use std::collections::BTreeSet;
use std::fs;

use pgpurpose::cluster::Cluster;
use support::own_shop;
use support::proxy::Proxy;

const POLICY: &str = include_str!("../../policies/shop.toml");
/// RFC 8032, section 7.1, test 1.
const PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const PRIVATE_KEY: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

/// The shop, with every statement in the database's own log.
fn logging_shop() -> Cluster {
    let cluster = own_shop();
    for sql in ["ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()"] {
        cluster.run_statements("postgres", sql).unwrap();
    }
    cluster
}

fn signed(cluster: &Cluster, audit_keys: &str, environment: &[(&str, &str)]) -> Proxy {
    let key = format!("signing_key = \"env:PGPURPOSE_TEST_SIGNING_KEY\"\ncheckpoint_records = 50\n{audit_keys}");
    let environment: Vec<(&str, &str)> =
        environment.iter().copied().chain([("PGPURPOSE_TEST_SIGNING_KEY", PRIVATE_KEY)]).collect();
    Proxy::start_in(cluster, POLICY, "", &key, &environment)
}

/// The marks (`m_1_2`) in a text.
fn marks(text: &str) -> BTreeSet<String> {
    text.match_indices("m_")
        .filter_map(|(at, _)| {
            let mark: String = text.get(at + 2..)?.chars().take_while(|c| c.is_ascii_digit() || *c == '_').collect();
            let (one, two) = mark.split_once('_')?;
            (!one.is_empty() && !two.is_empty()).then(|| format!("m_{mark}"))
        })
        .collect()
}

/// What the database's own log shows as run, and what the access log shows as logged before.
fn ran_and_logged(cluster: &Cluster, proxy: &Proxy) -> (BTreeSet<String>, BTreeSet<String>) {
    let ran = marks(&fs::read_to_string(cluster.root().join("postgres.log")).unwrap());
    let logged = proxy
        .access_log()
        .iter()
        .filter(|record| record["event"] == "access" && record["verdict"] != "deny")
        .flat_map(|record| marks(record["statement"].as_str().unwrap()))
        .collect();
    (ran, logged)
}

#[track_caller]
fn nothing_ran_unlogged(cluster: &Cluster, proxy: &Proxy) -> usize {
    let (ran, logged) = ran_and_logged(cluster, proxy);
    let unlogged: Vec<&String> = ran.difference(&logged).collect();
    assert!(unlogged.is_empty(), "{} of {} statements ran unlogged: {unlogged:?}", unlogged.len(), ran.len());
    ran.len()
}
