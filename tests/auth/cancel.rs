//! Cancelling what runs, over TLS and with keys of both lengths; with a key that is guessed, nothing.

use std::io::{Read, Write};

use pgpurpose::wire::startup::cancel_request;

use crate::raw::{connect, over_tls};
use crate::setup::{PASSWORD, conninfo, guarded, missing, proxy};

/// psycopg 3.3 with libpq 18: PQcancelBlocking over TLS. What is printed first is the length of the key that libpq was given.
const SCRIPT: &str = r#"
import os, sys, threading, time, psycopg, socket
from psycopg import pq
assert pq.version() >= 170000, pq.version()
c = psycopg.connect(os.environ["TEST_CONNINFO"], password=os.environ["TEST_PASSWORD"], autocommit=True)
print(c.pgconn.full_protocol_version if hasattr(c.pgconn, "full_protocol_version") else "?", flush=True)
def cancel():
    while not c.pgconn.transaction_status == pq.TransactionStatus.ACTIVE: time.sleep(0.01)
    time.sleep(0.3)
    c.cancel_safe(timeout=10)
t = threading.Thread(target=cancel)
began = time.monotonic()
t.start()
try:
    c.execute("SELECT pg_sleep(30)")
    print("slept")
except psycopg.errors.QueryCanceled:
    print("cancelled", time.monotonic() - began < 15)
t.join()
print(c.execute("SELECT count(*) > 0 FROM customers").fetchone()[0])
print("ready", c.info.backend_pid, flush=True)
sys.stdin.readline()
try:
    print(c.execute("SELECT 1").fetchone()[0])
except psycopg.Error as e:
    print(type(e).__name__)
"#;

#[test]
fn a_statement_is_cancelled_over_tls_with_either_length_of_key_and_with_no_other() {
    let python = std::env::var("PGPURPOSE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = "import psycopg; assert psycopg.pq.version() >= 170000";
    let has = std::process::Command::new(&python).args(["-c", probe]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        return missing("psycopg with libpq 17 or later is not installed, so cancelling over TLS is not tested");
    }
    let guarded = guarded();
    let listen = format!("{}require_tls = true\n", guarded.listen());
    let proxy = proxy(&listen, &format!("{}{}", guarded.upstream_tls(), guarded.auth("passthrough")));
    // `migrator` is relayed as it is and may sleep.
    for version in ["3.0", "3.2"] {
        let more = format!("sslmode=require min_protocol_version={version} max_protocol_version={version}");
        let mut child = std::process::Command::new(&python)
            .args(["-c", SCRIPT])
            .env("TEST_CONNINFO", conninfo(&proxy, "migrator", &more))
            .env("TEST_PASSWORD", PASSWORD)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with("ready")) {
            let mut line = String::new();
            assert!(std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0, "{lines:?}");
            lines.push(line.trim().to_owned());
        }
        assert_eq!(lines[1..3], ["cancelled True", "True"], "{version}");
        // The process id is known, its secret is not: neither length, nor one beside it, does anything.
        let pid: u32 = lines[3].rsplit_once(' ').unwrap().1.parse().unwrap();
        for length in [4, 32, 256] {
            let mut stream = over_tls(connect(&proxy, 1).unwrap());
            stream.write_all(&cancel_request(pid, &vec![7; length])).unwrap();
            assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0, "no answer either way");
        }
        drop(child.stdin.take());
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.trim(), "1");
        assert!(child.wait().unwrap().success());
    }
}
