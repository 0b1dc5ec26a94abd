//! The built proxy between real clients and a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::zombie_processes,
    clippy::string_slice,
    clippy::print_stderr
)]

#[path = "../support/mod.rs"]
mod support;

mod actors;
mod clients;
mod failures;
mod log;
mod purposes;
mod sessions;
mod slips;
mod truths;

use std::sync::OnceLock;

use pgpurpose::cluster::Cluster;
use support::client::{As, Said};
use support::proxy::{Proxy, Upstream};

/// What most tests run under.
const POLICY: &str = include_str!("policy.toml");

/// The shared cluster and the shared proxy before it.
fn shared() -> (&'static Cluster, &'static Proxy) {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    let cluster = support::shop();
    (cluster, PROXY.get_or_init(|| Proxy::start_with(cluster, Upstream::Socket, POLICY, "")))
}

/// One psql session through the shared proxy.
fn psql(who: &As<'_>, commands: &[&str]) -> Said {
    let (cluster, proxy) = shared();
    proxy.psql(cluster, who, commands)
}

/// The same question straight to the database, as superuser.
fn truth(sql: &str) -> String {
    support::direct(support::shop(), "shop", sql)
}

/// A Python script through the shared proxy; `None` where psycopg is missing.
fn python(who: &As<'_>, script: &str) -> Option<Said> {
    let (cluster, proxy) = shared();
    proxy.python(cluster, who, script)
}
