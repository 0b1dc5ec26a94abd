//! A real PostgreSQL, the built proxy before it, and the clients that go through it. A test binary shares one cluster; it
//! ends with the process, however that ends.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::zombie_processes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

pub mod browser;
pub mod certs;
pub mod chain;
pub mod client;
pub mod counted;
pub mod operators;
pub mod proxy;
pub mod visitor;

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pgpurpose::cli::demo;
use pgpurpose::cluster::{Cluster, ClusterOptions, find_postgres};

/// The shared cluster, with the sample shop in the database `shop`, on a Unix socket and a TCP port.
pub fn shop() -> &'static Cluster {
    static SHOP: OnceLock<Cluster> = OnceLock::new();
    SHOP.get_or_init(own_shop)
}

/// The same for one test alone, such as one that kills it.
pub fn own_shop() -> Cluster {
    start(&ClusterOptions { template: Some(template(None)), ..options() })
}

/// An empty cluster for one test alone.
pub fn own_cluster() -> Cluster {
    start(&options())
}

fn start(options: &ClusterOptions) -> Cluster {
    Cluster::start(options).expect("a cluster starts")
}

fn options() -> ClusterOptions {
    // Parallel workers would outlive a postmaster that a test kills, until their statement ends.
    let settings = [("max_connections", "200"), ("timezone", "UTC"), ("max_parallel_workers_per_gather", "0")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    ClusterOptions { tcp: true, settings, ..ClusterOptions::default() }
}

/// The data of a cluster that holds the shop. It is made once for each version of PostgreSQL and of the shop, whichever
/// test process comes first, and copied from then on: that takes a tenth of the time. `bin`: another PostgreSQL than the one
/// that is found.
pub fn template(bin: Option<&Path>) -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut hasher = DefaultHasher::new();
    find_postgres(bin).expect("PostgreSQL is installed").version().hash(&mut hasher);
    demo::SHOP_SQL.hash(&mut hasher);
    let data = tmp.join(format!("shop-{:016x}", hasher.finish()));
    let lock = File::create(tmp.join("shop.lock")).unwrap();
    lock.lock().unwrap();
    if !data.exists() {
        let cluster = start(&ClusterOptions { pg_bin: bin.map(Path::to_owned), ..options() });
        demo::load_shop(&cluster).expect("the shop loads");
        // Named once it is whole.
        let unfinished = tmp.join("shop.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).unwrap();
        }
        cluster.save(&unfinished).expect("the shop is saved");
        fs::rename(&unfinished, &data).unwrap();
    }
    data
}

/// Runs SQL straight on the database, as superuser; what it prints without headings, trimmed.
pub fn direct(cluster: &Cluster, database: &str, sql: &str) -> String {
    cluster.run_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}")).trim().to_owned()
}
