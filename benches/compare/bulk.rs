//! What pgbench does not measure: bytes a second of wide results and COPY, and memory of idle sessions. The client looks at
//! nothing but the headers of messages, so that its own work does not hide the way's.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use super::places::Way;

/// A session over raw messages, of the login `postgres`.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(way: &Way) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, way.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        for text in ["user", "postgres", "database", way.database, ""] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        let length = u32::try_from(body.len() + 4).unwrap();
        stream.write_all(&[&length.to_be_bytes()[..], &body].concat()).unwrap();
        let mut client = Self { stream, buffer: vec![0; 1 << 18] };
        client.until(b'Z');
        client
    }

    fn send(&mut self, tag: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap();
        self.stream.write_all(&[&[tag], &length.to_be_bytes()[..], body].concat()).unwrap();
    }

    /// Reads up to the message of this type, which must be the last that came; gives the bytes of all.
    fn until(&mut self, wanted: u8) -> u64 {
        let (mut all, mut held) = (0_u64, 0_usize);
        loop {
            let count = self.stream.read(&mut self.buffer[held..]).unwrap();
            assert!(count > 0, "the connection was closed");
            all += count as u64;
            held += count;
            let mut at = 0;
            while held - at >= 5 {
                let tag = self.buffer[at];
                let length = u32::from_be_bytes(self.buffer[at + 1..at + 5].try_into().unwrap());
                let end = at + 1 + usize::try_from(length).unwrap();
                assert!(tag != b'E', "{}", String::from_utf8_lossy(&self.buffer[at..held.min(end)]));
                if end > held {
                    break;
                }
                if tag == wanted {
                    assert_eq!(end, held);
                    return all;
                }
                at = end;
            }
            self.buffer.copy_within(at..held, 0);
            held -= at;
        }
    }

    /// Bytes that a query answers with.
    pub(crate) fn query(&mut self, sql: &str) -> u64 {
        self.send(b'Q', &[sql.as_bytes(), b"\0"].concat());
        self.until(b'Z')
    }

    /// Sends so many bytes of rows into the table `filled`, and gives their number.
    fn copy_in(&mut self, megabytes: u64) -> u64 {
        self.send(b'Q', b"COPY filled FROM STDIN\0");
        self.until(b'G');
        let row = format!("42\t{}\n", "0123456789abcdef".repeat(64));
        let chunk = row.repeat(60);
        let mut sent = 0;
        while sent < megabytes << 20 {
            self.send(b'd', chunk.as_bytes());
            sent += chunk.len() as u64;
        }
        self.send(b'c', &[]);
        self.until(b'Z');
        sent
    }
}

/// What is moved.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bulk {
    /// A query's rows.
    Rows(&'static str),
    /// A file's worth of rows into a table.
    CopyIn,
}

/// Megabytes a second of one session.
pub(crate) fn speed(way: &Way, bulk: Bulk) -> f64 {
    let mut client = Client::connect(way);
    let from = Instant::now();
    let bytes = match bulk {
        Bulk::Rows(sql) => client.query(sql),
        Bulk::CopyIn => client.copy_in(64),
    };
    let took = from.elapsed().as_secs_f64();
    bytes as f64 / 1e6 / took
}

/// Resident kilobytes of a process.
pub(crate) fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits until an allocator has given back what only the start or the log-ins needed.
fn settle() {
    std::thread::sleep(std::time::Duration::from_secs(12));
}

/// Kilobytes that a process holds at rest, and more for each of so many sessions that have run one statement and idle.
pub(crate) fn idle(way: &Way, process: u32, sessions: usize) -> (f64, f64) {
    settle();
    let rest = resident(process);
    let clients: Vec<Client> = (0..sessions)
        .map(|number| {
            let mut client = Client::connect(way);
            client.query(&format!("SELECT abalance FROM pgbench_accounts WHERE aid = {}", number % 1000));
            client
        })
        .collect();
    settle();
    let full = resident(process);
    drop(clients);
    (rest, (full - rest) / sessions as f64)
}
