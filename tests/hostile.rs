//! No statement makes the proxy panic, hang, or grow by 64 MB for one session. Each case is sent to the built binary, in a session of its own,
//! and the highest resident memory that the kernel saw of the process meanwhile is held against what it had before.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::proxy::{Proxy, Upstream};

/// The most that one session may add.
const MOST: u64 = 64 * 1024;
/// Of that it keeps so much at most once the session has ended, in kB; decisions that are kept are among it.
const KEPT: u64 = 24 * 1024;
/// An answer that is not there by then never comes.
const LONGEST: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    CREATE ROLE pgpurpose LOGIN SUPERUSER; CREATE ROLE agent LOGIN;
    CREATE TABLE people (id int PRIMARY KEY, email text, secret text);
    INSERT INTO people SELECT i, 'mail' || i, 'canary' || i FROM generate_series(1, 10) i;
    CREATE TABLE things (k int, label text);
    GRANT SELECT, INSERT, UPDATE ON people, things TO agent;
";

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[tables."public.people"]
subject = "id"
columns = { id = "open", email = "contact", secret = "health" }
[tables."public.things"]
open = true
[purposes.support]
basis = "contract"
[roles.agent]
logins = ["agent"]
purposes = ["support"]
[[rules]]
name = "agents"
roles = ["agent"]
purposes = ["support"]
read = ["open"]
write = ["open"]
mask = { contact = "first(1)" }
"#;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

fn bind(portal: &str, name: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{name}\0\0\0\0\0\0\0").as_bytes())
}

const SYNC: &[u8] = b"S\0\0\0\x04";

fn connect(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LONGEST)).unwrap();
    stream.set_write_timeout(Some(LONGEST)).unwrap();
    // How long the database takes is its own affair.
    let body = b"\0\x03\0\0user\0agent\0database\0shop\0statement_timeout\x005s\0\0";
    stream.write_all(&(body.len() as u32 + 4).to_be_bytes()).unwrap();
    stream.write_all(body).unwrap();
    assert_eq!(until_ready(&mut stream, 1).0, 1);
    stream
}

/// Reads up to so many ReadyForQuery; gives how many came before the end of the connection, and the bytes of all messages.
fn until_ready(stream: &mut TcpStream, count: usize) -> (usize, u64) {
    let (mut ready, mut bytes) = (0, 0);
    let mut input = std::io::BufReader::new(stream);
    while ready < count {
        let mut header = [0; 5];
        match input.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                println!("no answer within {LONGEST:?}");
                return (ready, bytes);
            }
            Err(_) => break,
        }
        let length = u64::from(u32::from_be_bytes(header[1..].try_into().unwrap())) - 4;
        std::io::copy(&mut (&mut input).take(length), &mut std::io::sink()).unwrap();
        bytes += length;
        ready += usize::from(header[0] == b'Z');
    }
    (ready, bytes)
}

fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the proxy stands");
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends in pieces from a thread of its own, so that neither side waits for the other to read.
fn run(port: u16, parts: Vec<Vec<u8>>, ready: usize) -> (usize, u64) {
    let mut stream = connect(port);
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        for part in parts {
            // The proxy may have ended the session.
            if writer.write_all(&part).is_err() {
                return;
            }
        }
    });
    let answered = until_ready(&mut stream, ready);
    drop(stream);
    sender.join().unwrap();
    answered
}

fn repeated(part: &str, count: usize) -> String {
    part.repeat(count)
}

fn listed(count: usize, mut item: impl FnMut(usize) -> String) -> String {
    (1..=count).map(&mut item).collect::<Vec<_>>().join(", ")
}

struct Case {
    name: &'static str,
    parts: Vec<Vec<u8>>,
    /// ReadyForQuery that must come; none where the session may end instead.
    ready: usize,
}

fn case(name: &'static str, parts: Vec<Vec<u8>>, ready: usize) -> Case {
    Case { name, parts, ready }
}

fn text(name: &'static str, sql: String) -> Case {
    case(name, vec![query(&sql), query("SELECT 1")], 2)
}

fn cases() -> Vec<Case> {
    let pairs = |open: &str, close: &str, count| format!("SELECT {}1{}", repeated(open, count), repeated(close, count));
    let mut parameters = String::new();
    for number in 1..=65_535 {
        write!(parameters, "{}${number}", if number > 1 { ", " } else { "" }).unwrap();
    }
    let values = {
        let mut body = b"\0\0\0\0\xff\xff".to_vec();
        body.extend([0, 0, 0, 1, b'1'].repeat(65_535));
        body.extend([0, 0]);
        message(b'B', &body)
    };
    let long = |megabytes: usize| {
        let value = megabytes * 1024 * 1024;
        let mut head = b"\0\0\0\0\0\x01".to_vec();
        head.extend((value as u32).to_be_bytes());
        let mut bytes = vec![b'B'];
        bytes.extend((head.len() as u32 + value as u32 + 2 + 4).to_be_bytes());
        bytes.extend(head);
        let mut parts = vec![parse("", "SELECT length($1::text)"), bytes];
        parts.extend(std::iter::repeat_n(vec![b'x'; 1024 * 1024], megabytes));
        parts.push([&b"\0\0"[..], &message(b'E', b"\0\0\0\0\0"), SYNC].concat());
        parts
    };
    let statements = |count: usize, sql: &dyn Fn(usize) -> String| {
        let mut parts: Vec<Vec<u8>> = (0..count).map(|n| parse(&format!("s{n}"), &sql(n))).collect();
        parts.push(SYNC.to_vec());
        parts
    };
    vec![
        text("parentheses", pairs("(", ")", 100_000)),
        text("parentheses that do not close", format!("SELECT {}", repeated("(", 500_000))),
        text("subqueries", pairs("(SELECT ", ")", 20_000)),
        text("subqueries in FROM", format!("{}people{}", repeated("SELECT * FROM (", 10_000), repeated(") x", 10_000))),
        text("CASE in CASE", pairs("CASE WHEN true THEN ", " END", 20_000)),
        text("NOT NOT", pairs("NOT ", "", 100_000)),
        text("minus minus", pairs("- ", "", 100_000)),
        text("casts", pairs("", "::int", 100_000)),
        text("subscripts", pairs("", "[1]", 100_000)),
        text("functions in functions", pairs("abs(", ")", 50_000)),
        text("arrays in arrays", pairs("ARRAY[", "]", 50_000)),
        text("100,000 ORs", format!("SELECT id FROM people WHERE {}id = 1", repeated("id = 1 OR ", 100_000))),
        text("100,000 ANDs", format!("SELECT id FROM people WHERE {}true", repeated("true AND ", 100_000))),
        text("a sum of 200,000", format!("SELECT 1{}", repeated("+1", 200_000))),
        text("a concatenation of 100,000", format!("SELECT ''{}", repeated("||'a'", 100_000))),
        text(
            "an IN list of 100,000 items",
            format!("SELECT id FROM people WHERE id IN ({})", listed(100_000, |n| n.to_string())),
        ),
        text("an array of 100,000", format!("SELECT ARRAY[{}]", listed(100_000, |n| n.to_string()))),
        text(
            "100,000 rows of VALUES",
            format!("INSERT INTO things VALUES {}", listed(60_000, |n| format!("({n}, 'x')"))),
        ),
        text("100,000 columns", format!("SELECT {}", listed(100_000, |_| "1".to_owned()))),
        text(
            "1,600 columns of a table, in a star",
            format!("SELECT {} FROM people x", listed(1_600, |_| "x.*".to_owned())),
        ),
        text("1,600 masked columns", format!("SELECT {} FROM people", listed(1_600, |n| format!("email AS c{n}")))),
        text("1,660 definitions", format!("SELECT {}", listed(1_660, |n| format!("pg_get_constraintdef({n}::oid)")))),
        text(
            "1,600 definitions in an expression",
            format!("SELECT concat({})", listed(1_600, |n| format!("pg_get_indexdef({n}::oid)"))),
        ),
        text("1,600 sizes", format!("SELECT {}", listed(1_600, |n| format!("pg_relation_size({n}::oid)")))),
        text("240 system catalogs", format!("SELECT 1 FROM {}", listed(240, |n| format!("pg_class c{n}")))),
        text("a UNION of 20,000", format!("SELECT 1{}", repeated(" UNION SELECT 1", 20_000))),
        text(
            "a UNION of 1,500 over a governed table",
            format!("SELECT email FROM people{}", repeated(" UNION ALL SELECT email FROM people", 1_500)),
        ),
        text("a join of 20,000", format!("SELECT 1 FROM people{}", repeated(" CROSS JOIN people", 20_000))),
        text("5,000 relations", format!("SELECT 1 FROM {}", listed(5_000, |n| format!("people p{n}")))),
        text(
            "5,000 WITH queries",
            format!("WITH {} SELECT 1", listed(5_000, |n| format!("c{n} AS (SELECT email FROM people)"))),
        ),
        text(
            "WITH queries that double",
            format!(
                "WITH c0 AS (SELECT 1 AS a), {} SELECT 1",
                listed(60, |n| format!("c{n} AS (SELECT x.a FROM c{0} x, c{0} y)", n - 1))
            ),
        ),
        text("nested comments", format!("{}SELECT 1{}", repeated("/*", 200_000), repeated("*/", 200_000))),
        text("nested comments that do not close", format!("SELECT 1 {}", repeated("/*", 400_000))),
        text("100,000 comments", format!("SELECT 1 {}", repeated("/**/", 100_000))),
        text("a comment of a megabyte of stars", format!("SELECT 1 /*{}*/", repeated("* /", 300_000))),
        text("comments of one line", format!("SELECT 1 {}", repeated("--\n", 100_000))),
        text("100,000 semicolons and comments", repeated(";/**/", 100_000)),
        text(
            "an IN list of 19,500 items",
            format!("SELECT id FROM people WHERE id IN ({})", listed(17_900, |n| n.to_string())),
        ),
        text("6,600 rows of VALUES", format!("INSERT INTO things VALUES {}", listed(6_600, |n| format!("({n}, 'x')")))),
        text("1,600 columns", format!("SELECT {}", listed(1_600, |n| n.to_string()))),
        text(
            "250 relations with a mask",
            format!("SELECT email FROM people{}", repeated(" UNION ALL SELECT email FROM people", 249)),
        ),
        text(
            "different columns in falling order",
            format!("SELECT id FROM people WHERE id IN ({})", listed(7_900, |n| format!("c{}", 100_000 - n))),
        ),
        text(
            "different functions in falling order",
            format!("SELECT id FROM people WHERE id IN ({})", listed(5_600, |n| format!("f{}()", 100_000 - n))),
        ),
        text("a literal of a megabyte", format!("SELECT '{}'", repeated("x", 1_000_000))),
        text("a literal of 30 megabytes", format!("SELECT '{}'", repeated("x", 30_000_000))),
        text("a dollar quote that does not close", format!("SELECT $a$ {}", repeated("$b$ ", 200_000))),
        text("an identifier of a megabyte", format!("SELECT \"{}\"", repeated("x", 1_000_000))),
        text("semicolons", repeated(";", 1_000_000)),
        text("50,000 statements in one message", repeated("SELECT 1;", 50_000)),
        text("2,000 statements over a governed table in one message", repeated("SELECT email FROM people;", 2_000)),
        text("a number of a megabyte", format!("SELECT {}", repeated("9", 1_000_000))),
        text(
            "a window over windows",
            format!("SELECT {} FROM people", listed(2_000, |n| format!("sum(id) OVER (PARTITION BY id + {n})"))),
        ),
        text(
            "GROUPING SETS",
            format!("SELECT 1 FROM people GROUP BY {}", listed(12, |_| "CUBE (id, email)".to_owned())),
        ),
        text("a purpose in a long comment", format!("/*{}purpose='support'*/ SELECT 1", repeated("a='b',", 100_000))),
        text("EXPLAIN EXPLAIN", format!("{}SELECT 1", repeated("EXPLAIN ", 50_000))),
        text("a megabyte that is not SQL", repeated("\u{fffd}", 300_000)),
        text("a search path of 10,000", format!("SET search_path = {}", listed(10_000, |n| format!("s{n}")))),
        text(
            "a row description of 1,664 columns, 300 times",
            repeated(&format!("SELECT {};", listed(1_600, |_| "1".to_owned())), 300),
        ),
        case(
            "65,535 parameters",
            vec![parse("", &format!("SELECT 1 WHERE 1 IN ({parameters})")), values, SYNC.to_vec(), query("SELECT 1")],
            2,
        ),
        case("a value of 200 MB", long(200), 1),
        case(
            "20,000 prepared statements",
            statements(20_000, &|_| "SELECT id FROM people WHERE id = $1".to_owned()),
            1,
        ),
        case(
            "5,000 different prepared statements",
            statements(5_000, &|n| format!("SELECT email FROM people WHERE id = {n}")),
            1,
        ),
        case(
            "long prepared statements",
            statements(300, &|n| format!("SELECT {n} WHERE '{}' = ''", repeated("y", 200_000))),
            1,
        ),
        case(
            "wide prepared statements",
            statements(300, &|n| format!("SELECT {n} IN ({}) FROM people", listed(19_500, |n| n.to_string()))),
            1,
        ),
        case(
            "names of 60 bytes, prepared and closed",
            {
                let one = |n: usize| {
                    [parse(&format!("{n:060}"), "SELECT 1"), message(b'C', format!("S{n:060}\0").as_bytes())].concat()
                };
                let mut parts: Vec<Vec<u8>> = (0..20_000).map(one).collect();
                parts.push(SYNC.to_vec());
                parts
            },
            1,
        ),
        case(
            "20,000 portals",
            {
                let mut parts = vec![query("BEGIN"), parse("s", "SELECT id FROM people")];
                parts.extend((0..20_000).map(|n| bind(&format!("p{n}"), "s")));
                parts.push(SYNC.to_vec());
                parts
            },
            2,
        ),
        case(
            "1,000 cursors",
            {
                let mut parts = vec![query("BEGIN")];
                parts.extend((0..1_000).map(|n| query(&format!("DECLARE c{n} CURSOR FOR SELECT email FROM people"))));
                parts
            },
            1_001,
        ),
        case(
            "90,000 messages without a Sync",
            {
                let one = [parse("", "SELECT 1"), bind("", ""), message(b'E', b"\0\0\0\0\0")].concat();
                vec![one.repeat(30_000), SYNC.to_vec()]
            },
            1,
        ),
        case("4,000 refusals in a row", vec![query("SELECT secret FROM people").repeat(4_000)], 4_000),
        case("100,000 Flushes", vec![message(b'H', b"").repeat(100_000), SYNC.to_vec()], 1),
        case(
            "rows of 200 MB that are read",
            vec![query("SELECT repeat('x', 1000000) FROM generate_series(1, 200)")],
            1,
        ),
        case("one row of 200 MB", vec![query("SELECT repeat('x', 200000000)")], 1),
        case(
            "a COPY of 200 MB",
            {
                let row = message(b'd', format!("1\t{}\n", repeated("x", 1_000_000)).as_bytes());
                let mut parts =
                    vec![query("BEGIN; TRUNCATE things; ROLLBACK"), query("BEGIN"), query("COPY things FROM STDIN")];
                parts.extend(std::iter::repeat_n(row, 200));
                parts.extend([message(b'c', b""), query("ROLLBACK")]);
                parts
            },
            4,
        ),
    ]
}

/// Rows that nobody reads: the database has to wait.
fn unread(port: u16) {
    let mut stream = connect(port);
    stream.write_all(&query("SELECT repeat('x', 100000) FROM generate_series(1, 20000)")).unwrap();
    thread::sleep(Duration::from_secs(2));
}

#[test]
fn no_statement_makes_the_proxy_panic_hang_or_grow_by_64_megabytes() {
    let cluster = support::own_cluster();
    cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
    cluster.run_statements("shop", SCHEMA).unwrap();
    let cases = cases();
    let count = cases.len();
    let (mut worst, mut faults) = ((0, ""), Vec::new());
    let only = std::env::var("PGPURPOSE_HOSTILE_ONE").unwrap_or_default();
    let mut measure = |name: &'static str, case: &dyn Fn(u16)| {
        if !name.contains(&only) {
            return;
        }
        // A process of its own: what one case left behind would hide what the next takes.
        let proxy = Proxy::start_logging(&cluster, Upstream::Socket, POLICY, "", "sync = \"written\"");
        // What the process takes once, for whichever session comes first, is not a session's.
        for _ in 0..4 {
            run(proxy.port, vec![query("SELECT email FROM people")], 1);
        }
        let before = status(proxy.pid(), "VmRSS:");
        fs::write(format!("/proc/{}/clear_refs", proxy.pid()), "5").unwrap();
        let started = Instant::now();
        case(proxy.port);
        let took = started.elapsed();
        let grown = status(proxy.pid(), "VmHWM:").saturating_sub(before);
        let kept = || status(proxy.pid(), "VmRSS:").saturating_sub(before);
        // The session ends, and what was freed goes back, within a moment.
        let back = (0..50).any(|_| {
            kept() < KEPT || {
                thread::sleep(Duration::from_millis(100));
                false
            }
        });
        if std::env::var_os("PGPURPOSE_HOSTILE_NOTES").is_some() {
            println!("{grown:>8} kB  {:>8} kB kept  {:>6} ms  {name}", kept(), took.as_millis());
        }
        if !back {
            faults.push(format!("{name}: the proxy keeps {} kB", kept()));
        }
        if grown > worst.0 {
            worst = (grown, name);
        }
        if grown >= MOST {
            faults.push(format!("{name}: the proxy grows by {grown} kB"));
        }
        if took > LONGEST {
            faults.push(format!("{name}: it takes {took:?}"));
        }
        if proxy.output().contains("panicked") {
            faults.push(format!("{name}: {}", proxy.output()));
        }
    };
    for Case { name, parts, ready } in cases {
        measure(name, &|port| {
            let (came, _) = run(port, parts.clone(), ready);
            assert_eq!(came, ready, "{name}: not all is answered");
        });
    }
    measure("rows that nobody reads", &unread);
    println!("{count} hostile sessions; the most that one added: {} kB ({})", worst.0, worst.1);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
