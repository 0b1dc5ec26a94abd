//! What the access log holds of everything that a client can do: contract, section 6.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

#[path = "../raw/mod.rs"]
mod raw;
#[path = "../support/mod.rs"]
mod support;

mod coverage;
mod forgery;
mod lookups;
mod secrets;
mod sessions;
mod stages;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgpurpose::server::Options;
use raw::{Client, Proxy, servers, socket};
use serde_json::Value;

const POLICY: &str = include_str!("policy.toml");

const TABLES: &str = "
    CREATE TABLE people (id int PRIMARY KEY, email text, id_number text, member int, secret text, born date);
    INSERT INTO people SELECT i, 'p' || i || '@x.org', '800101500908' || i, i * 11, 's', '1980-01-01' FROM generate_series(1, 5) i;
    CREATE TABLE notes (id int, note text);
    CREATE TABLE things (id int, thing text);
    INSERT INTO things SELECT i, 'thing ' || i FROM generate_series(1, 3) i;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO support, other";

/// The database `log` behind a proxy.
fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        set_up();
        raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("log"))
    })
}

fn set_up() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        raw::cluster().run_statements("postgres", "CREATE ROLE other LOGIN; CREATE DATABASE log").unwrap();
        raw::cluster().run_sql("log", TABLES).unwrap();
    });
}

fn login(proxy: &Proxy, user: &str, application: &str) -> Client {
    proxy.login(user, &[("database", "log"), ("application_name", application)])
}

/// Everything that one session left in the log, once it has ended.
fn records_of(proxy: &Proxy, application: &str) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let records = proxy.records();
        let connect =
            records.iter().find(|record| record["event"] == "connect" && record["application"] == application);
        let session = connect.expect("a session of this name")["session"].clone();
        let ended = records.iter().any(|record| record["event"] == "disconnect" && record["session"] == session);
        if ended {
            let own: Vec<u64> =
                records.iter().filter(|r| r["session"] == session).map(|r| r["seq"].as_u64().unwrap()).collect();
            let of_it = |record: &Value| match &record["of"] {
                Value::Null => record["session"] == session,
                of => own.contains(&of.as_u64().unwrap()),
            };
            return records.into_iter().filter(of_it).collect();
        }
        assert!(started.elapsed() < Duration::from_secs(20), "the session of `{application}` does not end");
    }
}
