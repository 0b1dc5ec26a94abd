//! No row goes to a client before the log says whose it is, whatever happens to the log or to the proxy.
//!
//! `PGPURPOSE_DISCLOSURE_ROUNDS` says how often the proxy is killed (20 in the suite):
//! `PGPURPOSE_DISCLOSURE_ROUNDS=200 cargo nextest run --test durable every_row_that --no-capture`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use pgpurpose::cluster::Cluster;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use super::faults::{ready, shim, until};
use super::support::own_shop;
use super::support::proxy::Proxy;

pub(super) const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.people"]
subject = "id"
record_subjects = "plain"
columns = { id = "reference", name = "contact" }
[purposes.support]
basis = "contract"
description = "Answer a customer's question"
[roles.agent]
logins = ["support_agent"]
purposes = ["support"]
recipient = "internal"
[[rules]]
name = "agent"
roles = ["agent"]
purposes = ["support"]
read = ["reference", "contact"]
write = ["contact"]
"#;

fn people(count: usize, width: usize) -> Cluster {
    let cluster = own_shop();
    let table = format!(
        "CREATE TABLE public.people (id int PRIMARY KEY, name text); GRANT SELECT, UPDATE ON people TO support_agent; \
         INSERT INTO people SELECT i, repeat('x', {width}) FROM generate_series(1, {count}) i; ANALYZE people"
    );
    cluster.run_statements("shop", &table).unwrap();
    cluster
}

async fn connect(port: u16) -> Result<Client, Error> {
    let config = format!("host=127.0.0.1 port={port} user=support_agent dbname=shop connect_timeout=10");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The ways to ask; each takes what it got before it failed.
#[derive(Debug, Clone, Copy)]
enum Way {
    Simple,
    Extended,
    Copy,
    CopyBinary,
    Cursor,
    Portal,
    Returning,
    /// What is counted is no row, and waits for its record all the same.
    Count,
}

const WAYS: [Way; 8] =
    [Way::Simple, Way::Extended, Way::Copy, Way::CopyBinary, Way::Cursor, Way::Portal, Way::Returning, Way::Count];

async fn simple(client: &Client, sql: &str, got: &mut Vec<i32>) -> Result<(), Error> {
    let stream = client.simple_query_raw(sql).await?;
    let mut stream = std::pin::pin!(stream);
    while let Some(message) = stream.try_next().await? {
        if let SimpleQueryMessage::Row(row) = message {
            got.push(row.get(0).unwrap().parse().unwrap());
        }
    }
    Ok(())
}

impl Way {
    async fn ask(self, client: &mut Client, from: i32, to: i32, got: &mut Vec<i32>) -> Result<(), Error> {
        let select = format!("SELECT id, name FROM people WHERE id BETWEEN {from} AND {to}");
        match self {
            Self::Simple => simple(client, &select, got).await,
            Self::Returning => {
                let update = "UPDATE people SET name = 'y' WHERE id";
                simple(client, &format!("{update} BETWEEN {from} AND {to} RETURNING id"), got).await
            }
            Self::Count => {
                let count = format!("SELECT count(*) FROM people WHERE id BETWEEN {from} AND {to}");
                simple(client, &count, got).await
            }
            Self::Cursor => {
                client.batch_execute(&format!("BEGIN; DECLARE c CURSOR FOR {select}")).await?;
                for _ in 0..4 {
                    let count = (to - from) / 4 + 1;
                    simple(client, &format!("FETCH {count} FROM c"), got).await?;
                }
                client.batch_execute("COMMIT").await
            }
            Self::Extended => {
                let stream = client.query_raw(&select, Vec::<i32>::new()).await?;
                let mut stream = std::pin::pin!(stream);
                while let Some(row) = stream.try_next().await? {
                    got.push(row.get(0));
                }
                Ok(())
            }
            Self::Portal => {
                let transaction = client.transaction().await?;
                let portal = transaction.bind(&select, &[]).await?;
                for _ in 0..4 {
                    let stream = transaction.query_portal_raw(&portal, (to - from) / 4 + 1).await?;
                    let mut stream = std::pin::pin!(stream);
                    while let Some(row) = stream.try_next().await? {
                        got.push(row.get(0));
                    }
                }
                transaction.commit().await
            }
            Self::Copy => {
                let stream = client.copy_out(&format!("COPY ({select}) TO STDOUT")).await?;
                let mut stream = std::pin::pin!(stream);
                while let Some(bytes) = stream.try_next().await? {
                    let line = std::str::from_utf8(&bytes).unwrap();
                    got.push(line.split_once('\t').unwrap().0.parse().unwrap());
                }
                Ok(())
            }
            Self::CopyBinary => {
                let stream = client.copy_out(&format!("COPY ({select}) TO STDOUT (FORMAT binary)")).await?;
                let mut stream = std::pin::pin!(stream);
                while let Some(bytes) = stream.try_next().await? {
                    // The header comes alone or before the first row, the end alone.
                    let row = bytes.strip_prefix(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0").unwrap_or(&bytes);
                    if row.len() > 10 {
                        assert_eq!(row[..6], [0, 2, 0, 0, 0, 4]);
                        got.push(i32::from_be_bytes(row[6..10].try_into().unwrap()));
                    }
                }
                Ok(())
            }
        }
    }
}

/// Whose rows the log says were seen.
fn seen(proxy: &Proxy) -> BTreeSet<i32> {
    let mut seen = BTreeSet::new();
    for record in proxy.access_log().iter().filter(|record| record["event"] == "disclosure") {
        for relation in record["relations"].as_array().unwrap() {
            seen.extend(
                relation["subjects"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().parse::<i32>().unwrap()),
            );
        }
    }
    seen
}

/// A log that fails with the record of whose rows come.
struct Failing {
    proxy: Proxy,
    fault: std::path::PathBuf,
    _folder: tempfile::TempDir,
    shim: std::path::PathBuf,
}

impl Failing {
    fn start(cluster: &Cluster) -> Option<Self> {
        let shim = shim()?;
        let folder = tempfile::tempdir().unwrap();
        let fault = folder.path().join("fault");
        let preload = [("LD_PRELOAD", shim.to_str().unwrap()), ("PGPURPOSE_TEST_FAULT", fault.to_str().unwrap())];
        let proxy = Proxy::start_in(cluster, POLICY, "", "", &preload);
        Some(Self { proxy, fault, _folder: folder, shim })
    }

    fn begin(&self, what: &str) {
        // Whole at once.
        let unfinished = self.fault.with_extension("new");
        fs::write(&unfinished, what).unwrap();
        fs::rename(unfinished, &self.fault).unwrap();
    }

    fn end(&self) {
        fs::remove_file(&self.fault).unwrap();
        let away = self.proxy.audit_dir().with_file_name("audit.away");
        if away.exists() {
            fs::rename(away, self.proxy.audit_dir()).unwrap();
        }
        until("service returns", || ready(&self.proxy) == 200);
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        let _ = fs::remove_file(Path::new(&self.shim));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn where_the_log_fails_with_the_subjects_no_row_goes_to_the_client_and_service_returns() {
    let cluster = people(1000, 10);
    let Some(failing) = Failing::start(&cluster) else { return };
    let (mut from, mut refused) = (1, 0);
    for what in ["write", "full", "sync", "folder"] {
        for way in WAYS {
            runtime().block_on(async {
                failing.begin(&format!("disclosure {what}"));
                let mut client = connect(failing.proxy.port).await.unwrap();
                let mut got = Vec::new();
                let error = way.ask(&mut client, from, from + 7, &mut got).await.expect_err("rows without a record");
                let code = error.code().map(|code| code.code().to_owned());
                assert_eq!((code.as_deref(), &got), (Some("58030"), &Vec::new()), "{what}, {way:?}: {error}");
                failing.end();
                refused += 1;
                // The next session is served, by the same way.
                let mut client = connect(failing.proxy.port).await.unwrap();
                way.ask(&mut client, from + 8, from + 15, &mut got).await.unwrap();
                let wanted: Vec<i32> =
                    if matches!(way, Way::Count) { vec![8] } else { (from + 8..from + 16).collect() };
                assert_eq!(got, wanted, "{what}, {way:?}");
                if !matches!(way, Way::Count) {
                    let seen = seen(&failing.proxy);
                    assert!(got.iter().all(|id| seen.contains(id)), "{what}, {way:?}");
                }
                from += 16;
            });
        }
    }
    // Each stood in the log as asked for before the log failed.
    let asked = failing.proxy.access_log();
    let asked = asked.iter().filter(|record| record["event"] == "access" && record["verdict"] == "allow").count();
    assert!(asked >= 2 * refused, "{asked} of {refused}");
}

#[test]
fn where_the_log_fails_in_the_midst_of_rows_only_those_it_tells_of_went_out() {
    let cluster = people(3000, 2000);
    let Some(failing) = Failing::start(&cluster) else { return };
    for (what, way) in [
        ("write", Way::Simple),
        ("full", Way::Extended),
        ("sync", Way::Copy),
        ("folder", Way::CopyBinary),
        ("sync", Way::Cursor),
        ("full", Way::Portal),
    ] {
        let mut got = Vec::new();
        runtime().block_on(async {
            let mut client = connect(failing.proxy.port).await.unwrap();
            failing.begin(&format!("later {what}"));
            let error = way.ask(&mut client, 1, 3000, &mut got).await.expect_err("rows without a record");
            let code = error.code().map(tokio_postgres::error::SqlState::code);
            assert_eq!(code, Some("58030"), "{what}, {way:?}: {error}");
        });
        failing.end();
        let seen = seen(&failing.proxy);
        assert!(got.iter().all(|id| seen.contains(id)), "{what}, {way:?}: {} rows", got.len());
        assert!(!got.is_empty() && got.len() < 3000, "{what}, {way:?}: {} rows", got.len());
        eprintln!("{what}, {way:?}: {} rows of 3000 before the log failed, each with its record", got.len());
    }
}

fn rounds() -> u64 {
    std::env::var("PGPURPOSE_DISCLOSURE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20)
}

/// Clients that ask in every way for rows that nobody asked for before, until the proxy is gone; what they got.
fn ask_until_killed(port: u16, next: &Arc<AtomicU64>, rows: &Arc<AtomicU64>) -> Vec<thread::JoinHandle<Vec<i32>>> {
    let client = |first: usize| {
        let (next, rows) = (Arc::clone(next), Arc::clone(rows));
        thread::spawn(move || {
            let mut got = Vec::new();
            runtime().block_on(async {
                let Ok(mut client) = connect(port).await else { return };
                let ways = WAYS.iter().filter(|way| !matches!(way, Way::Count | Way::Returning));
                for (number, way) in ways.cycle().skip(first).enumerate() {
                    let count = [1, 40, 300][number % 3];
                    let from = i32::try_from(next.fetch_add(count, Ordering::Relaxed)).unwrap();
                    let before = got.len();
                    let asked = way.ask(&mut client, from, from + i32::try_from(count).unwrap() - 1, &mut got).await;
                    rows.fetch_add((got.len() - before) as u64, Ordering::Relaxed);
                    if asked.is_err() {
                        return;
                    }
                }
            });
            got
        })
    };
    (0..4).map(client).collect()
}

#[test]
fn every_row_that_a_client_got_before_a_kill_has_its_subject_in_the_log() {
    let cluster = people(400_000, 20);
    let mut proxy = Proxy::start_in(&cluster, POLICY, "", "rotate_mb = 1", &[]);
    let (next, mut got, mut ended) = (Arc::new(AtomicU64::new(1)), BTreeSet::new(), 0);
    for round in 1..=rounds() {
        let rows = Arc::new(AtomicU64::new(0));
        let clients = ask_until_killed(proxy.port, &next, &rows);
        // Another moment each time, in the midst of what the clients ask for.
        let (begun, wanted) = (Instant::now(), 100 + round * 137 % 900);
        while rows.load(Ordering::Relaxed) < wanted {
            assert!(begun.elapsed() < Duration::from_secs(60), "no rows come:\n{}", proxy.output());
            thread::yield_now();
        }
        proxy.kill();
        got.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
        proxy.restart();
        ended = round;
        if next.load(Ordering::Relaxed) > 390_000 {
            break;
        }
    }
    let seen = seen(&proxy);
    let unseen: Vec<&i32> = got.difference(&seen).collect();
    assert!(unseen.is_empty(), "{} of {} rows went out without a record: {unseen:?}", unseen.len(), got.len());
    eprintln!(
        "{ended} kills: {} rows at the clients, 0 without their subject in the log, which has {}",
        got.len(),
        seen.len()
    );
    assert!(got.len() as u64 >= ended * 100);
}
