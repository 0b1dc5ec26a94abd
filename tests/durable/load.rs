//! Clients that go on asking, whatever happens, each statement with a mark of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio_postgres::NoTls;

/// What the clients were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) answered: AtomicU64,
    /// With 58030, in a session that goes on.
    pub(super) refused: AtomicU64,
    pub(super) other: AtomicU64,
}

pub(super) struct Load {
    stop: Arc<AtomicBool>,
    pub(super) told: Arc<Told>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Four clients; of each the statements are numbered from `first`.
    pub(super) fn start(port: u16, first: u64) -> Self {
        let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(Told::default()));
        let threads = (0..4)
            .map(|client| {
                let (stop, told) = (Arc::clone(&stop), Arc::clone(&told));
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(ask(port, client, first, &stop, &told));
                })
            })
            .collect();
        Self { stop, told, threads }
    }

    pub(super) fn stop(self) -> Arc<Told> {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.told
    }
}

async fn ask(port: u16, client: u64, first: u64, stop: &AtomicBool, told: &Told) {
    let config = format!("host=127.0.0.1 port={port} user=support_agent dbname=shop connect_timeout=2");
    let mut number = first;
    while !stop.load(Ordering::Acquire) {
        let Ok((session, connection)) = tokio_postgres::connect(&config, NoTls).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let connection = tokio::spawn(connection);
        while !stop.load(Ordering::Acquire) {
            number += 1;
            let sql = format!("SELECT city AS m_{client}_{number} FROM customers WHERE id = 1");
            // Simple and extended in turn, and two in one message now and then.
            let asked = match number % 3 {
                0 => session.simple_query(&sql).await.map(drop),
                1 => session.query(&sql, &[]).await.map(drop),
                _ => {
                    number += 1;
                    let more = format!("{sql}; SELECT city AS m_{client}_{number} FROM customers WHERE id = 2");
                    session.simple_query(&more).await.map(drop)
                }
            };
            match asked {
                Ok(()) => told.answered.fetch_add(1, Ordering::Relaxed),
                Err(error) if error.code().is_some_and(|code| code.code() == "58030") => {
                    told.refused.fetch_add(1, Ordering::Relaxed)
                }
                Err(error) => {
                    told.other.fetch_add(1, Ordering::Relaxed);
                    if error.code().is_none() {
                        break;
                    }
                    0
                }
            };
        }
        connection.abort();
    }
}
