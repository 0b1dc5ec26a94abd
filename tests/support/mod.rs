//! A real PostgreSQL, the built proxy before it, and the clients that go through it. A test binary shares one cluster; it
//! ends with the process, however that ends.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod client;
pub mod proxy;

use std::sync::OnceLock;

use pgpurpose::cli::cluster::{Cluster, ClusterOptions};
use pgpurpose::cli::demo;

/// The shared cluster, with the sample shop in the database `shop`, on a Unix socket and a TCP port.
pub fn shop() -> &'static Cluster {
    static SHOP: OnceLock<Cluster> = OnceLock::new();
    SHOP.get_or_init(|| {
        let cluster = own_cluster();
        demo::load_shop(&cluster).expect("the shop loads");
        cluster
    })
}

/// An empty cluster for one test alone, such as one that kills it.
pub fn own_cluster() -> Cluster {
    let settings = vec![("max_connections".to_owned(), "200".to_owned())];
    Cluster::start(&ClusterOptions { tcp: true, settings, ..ClusterOptions::default() }).expect("a cluster starts")
}

/// Runs SQL straight on the database, as superuser; what it prints without headings, trimmed.
pub fn direct(cluster: &Cluster, database: &str, sql: &str) -> String {
    cluster.run_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}")).trim().to_owned()
}
