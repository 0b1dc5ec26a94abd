//! A client that does not read: what it asked for waits at the database, not in the proxy's memory.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pgpurpose::cluster::Cluster;
use socket2::{Domain, Socket, Type};

use super::disclosures::POLICY;
use super::faults::until;
use super::support::proxy::Proxy;
use super::support::{direct, own_shop};

/// The bare protocol: nothing is read before it is asked for.
struct Bare(BufReader<TcpStream>);

impl Bare {
    fn login(port: u16) -> Self {
        // A small window: what the proxy writes goes in parts.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
        let mut stream = TcpStream::from(socket);
        let body = b"\0\x03\0\0user\0support_agent\0database\0shop\0\0";
        stream.write_all(&[&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()).unwrap();
        let mut bare = Self(BufReader::new(stream));
        while bare.message().0 != b'Z' {}
        bare
    }

    fn ask(&mut self, sql: &str) {
        self.say(b'Q', &[sql.as_bytes(), b"\0"].concat());
    }

    fn say(&mut self, tag: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        self.0.get_mut().write_all(&[&[tag], &length[..], body].concat()).unwrap();
    }

    fn asked(&mut self, sql: &str) {
        self.ask(sql);
        while self.message().0 != b'Z' {}
    }

    fn message(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 5];
        self.0.read_exact(&mut header).unwrap();
        let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
        self.0.read_exact(&mut body).unwrap();
        (header[0], body)
    }
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn shop() -> (Cluster, Proxy) {
    let cluster = own_shop();
    let tables = "CREATE TABLE people (id int PRIMARY KEY, name text); CREATE TABLE plain (id int, name text); \
        GRANT SELECT, INSERT ON people, plain TO support_agent; \
        INSERT INTO people SELECT i, repeat('x', 2000) FROM generate_series(1, 50) i; INSERT INTO plain SELECT * FROM people";
    cluster.run_statements("shop", tables).unwrap();
    let policy = format!("{POLICY}\n[tables.\"public.plain\"]\nopen = true\n");
    let proxy = Proxy::start_in(&cluster, &policy, "", "", &[]);
    (cluster, proxy)
}

#[test]
fn rows_for_a_client_that_does_not_read_wait_at_the_database() {
    let (cluster, proxy) = shop();
    // 100 MB of rows of 2 kB, and of 4 MB; those of people each behind its record.
    let small = |table: &str| format!("SELECT p.id, p.name FROM {table} p, generate_series(1, 1000)");
    let large = |table: &str| format!("SELECT p.id, pg_catalog.repeat(p.name, 2000) FROM {table} p LIMIT 25");
    let copy = |sql: String| format!("COPY ({sql}) TO STDOUT");
    Bare::login(proxy.port).asked("SELECT id, name FROM people");
    for (sql, count, most) in [
        (small("people"), 50_000, 8 << 10),
        (copy(small("people")), 50_000, 8 << 10),
        (large("people"), 25, 32 << 10),
        (copy(large("people")), 25, 32 << 10),
        (small("plain"), 50_000, 8 << 10),
        (large("plain"), 25, 8 << 10),
        (copy(large("plain")), 25, 8 << 10),
    ] {
        let before = resident(proxy.pid());
        let mut client = Bare::login(proxy.port);
        client.ask(&sql);
        // The database cannot go on, for nobody takes what it has.
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'support_agent' AND wait_event = 'ClientWrite'";
        until("the database waits", || direct(&cluster, "shop", waits) == "1");
        let grown = resident(proxy.pid()).saturating_sub(before);
        let (mut rows, mut most_grown) = (0, grown);
        loop {
            match client.message() {
                (b'D' | b'd', _) => rows += 1,
                (b'Z', _) => break,
                (b'E', body) => panic!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
            if rows % (count / 20).max(1) == 0 {
                most_grown = most_grown.max(resident(proxy.pid()).saturating_sub(before));
            }
        }
        eprintln!("{sql}: 100 MB, memory grew by {grown} kB while nobody read, by {most_grown} kB at most");
        assert_eq!(rows, count, "{sql}");
        assert!(most_grown < most, "{sql}: {most_grown} kB");
    }
}

#[test]
fn rows_for_a_database_that_does_not_read_wait_at_the_client() {
    let (cluster, proxy) = shop();
    let mut lock = cluster.client("psql");
    lock.args(["-X", "-q", "-d", "shop", "-U", "postgres"]).stdin(Stdio::piped());
    let mut lock = lock.spawn().unwrap();
    let mut commands = lock.stdin.take().unwrap();
    writeln!(commands, "BEGIN; LOCK TABLE plain IN ACCESS EXCLUSIVE MODE;").unwrap();
    let locked =
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'plain'::regclass";
    until("the table is locked", || direct(&cluster, "shop", locked) == "1");

    Bare::login(proxy.port).asked("SELECT id, name FROM people");
    let before = resident(proxy.pid());
    let mut client = Bare::login(proxy.port);
    client.ask("INSERT INTO plain VALUES (0, 'waits')");
    let said = Arc::new(AtomicUsize::new(0));
    let (counted, lines) = (Arc::clone(&said), format!("1\t{}\n", "y".repeat(60_000)));
    let client = thread::spawn(move || {
        // Behind a statement that waits, what is copied next waits too.
        client.ask("COPY plain FROM STDIN");
        for _ in 0..500 {
            client.say(b'd', lines.as_bytes());
            counted.fetch_add(1, Ordering::Relaxed);
        }
        client.say(b'c', b"");
        let mut done = Vec::new();
        while done.len() < 2 {
            match client.message() {
                (b'C', tag) => done.push(String::from_utf8(tag).unwrap()),
                (b'E', body) => panic!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
        done
    });
    // Until it cannot say more.
    let mut last = usize::MAX;
    until("the client waits", || {
        thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut last, said.load(Ordering::Relaxed)) == last
    });
    let grown = resident(proxy.pid()).saturating_sub(before);
    assert!(last < 500 && grown < 16 << 10, "{last} of 500 messages, {grown} kB");
    drop(commands);
    lock.wait().unwrap();
    assert_eq!(client.join().unwrap(), ["INSERT 0 1\0", "COPY 500\0"]);
    eprintln!("30 MB: {last} of 500 parts gone while the database did not read, memory grew by {grown} kB");
}
