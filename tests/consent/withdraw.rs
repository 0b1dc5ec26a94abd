//! A withdrawal while fifty sessions read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use tokio_postgres::{Client, Config, NoTls};

use super::stand;

const SESSIONS: usize = 50;
/// Customers that consent at first, all of them withdrawn one after the other but for the last ten.
const FIRST: i64 = 101;
const LAST: i64 = 150;
const KEPT: i64 = 10;
/// Statements that all sessions together begin between two withdrawals.
const BETWEEN: u64 = 100;

struct Shared {
    /// Everybody up to this one has withdrawn, committed.
    withdrawn: AtomicI64,
    begun: AtomicU64,
    rows: AtomicU64,
    stop: AtomicBool,
}

/// One session's way of reading, prepared once; gives the ids that a run shows.
enum Reader {
    Scan(tokio_postgres::Statement),
    Point(tokio_postgres::Statement, i64),
    Joined(tokio_postgres::Statement),
    /// Prepared in SQL.
    Execute,
}

impl Reader {
    async fn prepare(client: &Client, number: usize) -> Self {
        let scan = "SELECT id, email FROM customers WHERE id BETWEEN 101 AND 150";
        match number % 4 {
            0 => Self::Scan(client.prepare(scan).await.unwrap()),
            1 => {
                let statement = client.prepare("SELECT id, email FROM customers WHERE id = $1").await.unwrap();
                Self::Point(statement, FIRST + i64::try_from(number).unwrap())
            }
            2 => Self::Joined(
                client
                    .prepare("SELECT o.customer_id, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.id BETWEEN 101 AND 150")
                    .await
                    .unwrap(),
            ),
            _ => {
                client.simple_query(&format!("PREPARE live AS {scan}")).await.unwrap();
                Self::Execute
            }
        }
    }

    async fn ids(&self, client: &Client) -> Vec<i64> {
        let rows = match self {
            Self::Scan(statement) | Self::Joined(statement) => client.query(statement, &[]).await.unwrap(),
            Self::Point(statement, id) => client.query(statement, &[id]).await.unwrap(),
            Self::Execute => {
                let messages = client.simple_query("EXECUTE live").await.unwrap();
                return messages
                    .iter()
                    .filter_map(|message| match message {
                        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().parse().unwrap()),
                        _ => None,
                    })
                    .collect();
            }
        };
        rows.iter().map(|row| row.get(0)).collect()
    }
}

async fn read(client: Client, number: usize, shared: Arc<Shared>) {
    let reader = Reader::prepare(&client, number).await;
    // Every fifth reads within a transaction that stays open: at READ COMMITTED each statement has its own snapshot.
    let in_transaction = number.is_multiple_of(5);
    if in_transaction {
        client.simple_query("BEGIN").await.unwrap();
    }
    while !shared.stop.load(Ordering::SeqCst) {
        let withdrawn = shared.withdrawn.load(Ordering::SeqCst);
        let ids = reader.ids(&client).await;
        if let Some(id) = ids.iter().find(|id| **id <= withdrawn) {
            panic!("session {number} saw {id} in a statement that began after {withdrawn} had withdrawn");
        }
        shared.begun.fetch_add(1, Ordering::SeqCst);
        shared.rows.fetch_add(ids.len() as u64, Ordering::SeqCst);
    }
    if in_transaction {
        client.simple_query("COMMIT").await.unwrap();
    }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[test]
fn no_statement_begun_after_a_withdrawal_committed_shows_the_person() {
    let stand = stand();
    stand.direct(&format!(
        "INSERT INTO privacy.consents (subject_id, purpose, evidence)
         SELECT i, 'marketing', 'web form' FROM generate_series({FIRST}, {LAST}) i"
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let shared = Arc::new(Shared {
            withdrawn: AtomicI64::new(FIRST - 1),
            begun: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let mut config = Config::new();
        config.host("127.0.0.1").port(stand.proxy.port).user("marketing").dbname("shop");
        let mut readers = Vec::new();
        for number in 0..SESSIONS {
            let client = connect(&config).await;
            readers.push(tokio::spawn(read(client, number, Arc::clone(&shared))));
        }
        let mut straight = Config::new();
        straight.host_path(stand.cluster.socket_dir()).port(stand.cluster.port()).user("web").dbname("shop");
        let application = connect(&straight).await;
        let withdraw = super::statement("withdraw", &[]).replace(['\n'], " ");
        let withdraw = application.prepare(&withdraw).await.unwrap();
        for id in FIRST..=LAST - KEPT {
            let before = shared.begun.load(Ordering::SeqCst);
            while shared.begun.load(Ordering::SeqCst) < before + BETWEEN {
                assert!(!readers.iter().any(tokio::task::JoinHandle::is_finished), "a reader ended");
                tokio::task::yield_now().await;
            }
            let changed = application.execute(&withdraw, &[&id, &"marketing", &"STOP"]).await.unwrap();
            assert_eq!(changed, 1);
            shared.withdrawn.store(id, Ordering::SeqCst);
        }
        let before = shared.begun.load(Ordering::SeqCst);
        while shared.begun.load(Ordering::SeqCst) < before + BETWEEN {
            tokio::task::yield_now().await;
        }
        shared.stop.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.unwrap();
        }
        assert!(shared.rows.load(Ordering::SeqCst) > shared.begun.load(Ordering::SeqCst), "those who agree are seen");
        let left =
            connect(&config).await.query("SELECT id FROM customers WHERE id >= 101 AND id <= 150", &[]).await.unwrap();
        assert_eq!(left.len(), usize::try_from(KEPT).unwrap());
    });
}
