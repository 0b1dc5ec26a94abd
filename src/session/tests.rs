//! Hostile peers over pipes in memory: the other side of each is the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;

use super::{Login, Parts, Session, Shared};
use crate::audit::{AuditLog, SessionFacts, Sync};
use crate::catalog::{CatalogBuilder, CatalogStore};
use crate::policy::PolicySet;
use crate::session::Catalogs;
use crate::telemetry::Metrics;
use crate::upstream::{Address, Upstream};
use crate::wire::{Link, Pool};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[purposes.support]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["support"]
[roles.migrator]
logins = ["migrator"]
unrestricted = "tests"
"#;

struct Wires {
    client: DuplexStream,
    database: DuplexStream,
    task: tokio::task::JoinHandle<()>,
    _stop: watch::Sender<crate::session::Stop>,
    _log: tempfile::TempDir,
}

/// A session whose peers are gone, and the folder of its log.
fn made(login: &str) -> (Session, tempfile::TempDir) {
    let wires = parts(login);
    (wires.0, wires.3)
}

fn session(login: &str) -> Wires {
    let (session, client, database, log) = parts(login);
    let (stop, stopped) = watch::channel(crate::session::Stop::No);
    let task = tokio::spawn(Box::new(session).run(stopped));
    Wires { client, database, task, _stop: stop, _log: log }
}

fn parts(login: &str) -> (Session, DuplexStream, DuplexStream, tempfile::TempDir) {
    let log = tempfile::tempdir().unwrap();
    let policies = Arc::new(PolicySet::from_sources(&[("test.toml".into(), POLICY.into())]).unwrap());
    let catalog = Arc::new(CatalogStore::fixed(CatalogBuilder::new().build()));
    let shared = Arc::new(
        Shared::new(Parts {
            policies: Arc::clone(&policies),
            catalogs: Catalogs::one(Arc::clone(&catalog)),
            audit: AuditLog::open(log.path(), Sync::Written).unwrap(),
            metrics: Arc::new(Metrics::default()),
            enforce: Box::new(crate::sql::enforce_form),
            observe: false,
            subject_key: None,
        })
        .unwrap(),
    );
    let (client, proxy_client) = duplex(4096);
    let (database, proxy_database) = duplex(4096);
    let pool = Pool::default();
    let address = Address::Tcp { host: "nowhere.invalid".into(), port: 1 };
    let upstream = Upstream::over(Link::new(Box::new(proxy_database), pool.clone()), address);
    let key = shared.cancels.register(upstream.cancel_target(1, &[0; 4]), false);
    let login = Login {
        catalog,
        client: Link::new(Box::new(proxy_client), pool),
        upstream,
        facts: SessionFacts { login: login.into(), ..SessionFacts::default() },
        role: policies.shared_role_of(login).unwrap(),
        policies,
        purpose: "support".into(),
        said: super::SaidAtStart::default(),
        search_path: "public".into(),
        unlike: None,
        encoding: None,
        key,
    };
    (Session::new(shared, login), client, database, log)
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend(body);
    out
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.expect("the session hangs") });
}

/// What reaches the client of a session whose database says this after a query.
async fn answer_to(login: &str, sql: &str, database_says: &[u8]) -> Vec<u8> {
    let mut wires = session(login);
    wires.client.write_all(&message(b'Q', format!("{sql}\0").as_bytes())).await.unwrap();
    let mut header = [0; 5];
    wires.database.read_exact(&mut header).await.unwrap();
    assert_eq!(header[0], b'Q');
    let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
    wires.database.read_exact(&mut body).await.unwrap();
    wires.database.write_all(database_says).await.unwrap();
    drop(wires.database);
    let mut answer = Vec::new();
    wires.client.read_to_end(&mut answer).await.unwrap();
    wires.task.await.unwrap();
    answer
}

/// Message tags.
fn tags(mut bytes: &[u8]) -> String {
    let mut tags = String::new();
    while let Some((header, _)) = bytes.split_first_chunk::<5>() {
        tags.push(char::from(header[0]));
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize + 1;
        bytes = bytes.get(length..).unwrap_or_default();
    }
    tags
}

fn described(table: u32, column: i16) -> Vec<u8> {
    let mut body = vec![0, 1, b'x', 0];
    body.extend(table.to_be_bytes());
    body.extend(column.to_be_bytes());
    body.extend([0; 12]);
    message(b'T', &body)
}

const ROW: &[u8] = b"D\0\0\0\x0e\0\x01\0\0\0\x04rows";

#[test]
fn a_session_that_waits_holds_little() {
    run(async {
        let (session, _log) = made("support");
        let (_stop, stopped) = watch::channel(crate::session::Stop::No);
        let itself = size_of_val(&session);
        let waiting = size_of_val(&Box::new(session).run(stopped));
        assert!(itself <= 1736 && waiting <= 4096, "{itself} bytes, and {waiting} while it waits");
    });
}

#[test]
fn rows_pass_after_a_description_that_is_in_order() {
    run(async {
        let said = [described(0, 0), ROW.to_vec(), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
        // The database's end after it is told as an error.
        assert_eq!(tags(&answer_to("support", "SELECT 1", &said).await), "TDCZE");
    });
}

#[test]
fn rows_of_a_column_that_was_not_opened_never_reach_the_client() {
    run(async {
        let said = [described(16384, 3), ROW.to_vec()].concat();
        let answer = answer_to("support", "SELECT 1", &said).await;
        assert_eq!(tags(&answer), "E");
        assert!(String::from_utf8_lossy(&answer).contains("42501"));
    });
}

#[test]
fn rows_without_a_description_or_a_copy_nobody_asked_for_end_the_session() {
    run(async {
        for said in [ROW.to_vec(), message(b'G', &[0, 0, 0]), message(b'H', &[0, 0, 0]), message(b'd', b"canary")] {
            let answer = answer_to("support", "SELECT 1", &said).await;
            assert_eq!(tags(&answer), "E");
            assert!(!answer.windows(4).any(|part| part == b"rows" || part == b"cana"));
        }
    });
}

#[test]
fn answers_out_of_order_end_the_session() {
    run(async {
        for tag in *b"123ntsKRWVv\0\xff" {
            assert_eq!(tags(&answer_to("support", "SELECT 1", &message(tag, &[0; 8])).await), "E");
        }
        assert_eq!(tags(&answer_to("support", "SELECT 1", &message(b'Z', b"X")).await), "E");
        assert_eq!(tags(&answer_to("support", "SELECT 1", b"T\0\0\0\x03").await), "E");
        assert_eq!(tags(&answer_to("support", "SELECT 1", b"C\x3f\xff\xff\xff").await), "E");
    });
}

#[test]
fn an_error_too_long_to_hold_is_cleaned_all_the_same() {
    run(async {
        let mut body = b"SERROR\0VERROR\0C22P02\0Mcanary ".to_vec();
        body.extend(vec![b'x'; 1_000_000]);
        body.extend(b"\0\0");
        let said = [message(b'E', &body), message(b'Z', b"I")].concat();
        let answer = answer_to("support", "SELECT 1", &said).await;
        assert_eq!(tags(&answer), "EZE");
        assert!(!String::from_utf8_lossy(&answer).contains("canary"));
    });
}

#[test]
fn another_encoding_ends_the_session() {
    run(async {
        for login in ["support", "migrator"] {
            let said = message(b'S', b"client_encoding\0SJIS\0");
            assert_eq!(tags(&answer_to(login, "SELECT 1", &said).await), "E");
        }
    });
}

#[test]
fn a_database_that_goes_away_is_told_at_once() {
    run(async {
        let answer = answer_to("support", "SELECT 1", b"T\0\0").await;
        assert!(String::from_utf8_lossy(&answer).contains("08006"));
    });
}

/// Small numbers that look random; another run gives the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.roll(most)).map(|_| u8::try_from(self.roll(256)).unwrap()).collect()
    }

    /// A message whose tag is likely, whose length may lie, and which may be cut.
    fn message(&mut self, likely: &[u8]) -> Vec<u8> {
        let tag =
            if self.roll(8) == 0 { u8::try_from(self.roll(256)).unwrap() } else { likely[self.roll(likely.len())] };
        let mut out = message(tag, &self.bytes(40));
        if self.roll(10) == 0 {
            out[4] = u8::try_from(self.roll(256)).unwrap();
        }
        if self.roll(20) == 0 {
            out.truncate(self.roll(out.len()));
        }
        out
    }
}

#[test]
fn random_messages_from_either_side_never_hang_or_panic() {
    run(async {
        let mut dice = Dice(20_261_122);
        for round in 0..300 {
            let mut wires = session(if round % 2 == 0 { "support" } else { "migrator" });
            for _ in 0..30 {
                let client: Vec<u8> = dice.message(b"QPBDECSHdcfFX");
                let database = dice.message(b"123ntTDCIsZENASGHdc");
                // A session that has ended takes no more.
                let _ = wires.client.write_all(&client).await;
                if round % 3 != 0 {
                    let _ = wires.database.write_all(&database).await;
                }
                let mut taken = [0; 4096];
                for peer in [&mut wires.client, &mut wires.database] {
                    let _ = tokio::time::timeout(Duration::from_micros(300), peer.read(&mut taken)).await;
                }
            }
            drop(wires.client);
            drop(wires.database);
            wires.task.await.expect("the session panicked");
        }
    });
}
