//! A value of 200 MB through the proxy: alone in its process, because what the process holds is measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod raw;

use std::io::Read;

use pgpurpose::server::Options;
use raw::{batch, execute, no_catalog, parse, servers, socket, sync};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[roles.migrator]
logins = ["postgres"]
unrestricted = "tests of the protocol"
"#;

#[test]
fn a_large_value_goes_both_ways_without_being_held() {
    // The server runs in this process: what the client holds counts too, so it sends and drops as it goes.
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, no_catalog());
    let mut client = proxy.login("postgres", &[]);
    client.send(&parse("big", "SELECT length($1::text), $1::text"));
    let size = 200_000_000_usize;
    let before = resident();
    let mut head = b"\0big\0\0\0\0\x01".to_vec();
    head.extend((size as u32).to_be_bytes());
    let total = head.len() + size + 2;
    let mut start = vec![b'B'];
    start.extend((total as u32 + 4).to_be_bytes());
    start.extend(head);
    client.send(&start);
    let chunk = vec![b'a'; 1 << 20];
    let mut left = size;
    let mut most = 0;
    while left > 0 {
        let part = left.min(chunk.len());
        client.send(&chunk[..part]);
        left -= part;
        most = most.max(resident());
    }
    client.send(&[0, 0]);
    client.send(&batch(&[execute("", 0), sync()]));
    let mut received = 0_usize;
    let mut buffer = vec![0; 1 << 16];
    let mut last = Vec::new();
    while !last.ends_with(b"Z\0\0\0\x05I") {
        let count = client.stream.read(&mut buffer).unwrap();
        assert!(count > 0);
        received += count;
        last.drain(..last.len().saturating_sub(6));
        last.extend_from_slice(&buffer[..count]);
        most = most.max(resident());
    }
    assert!(received > size);
    let grown = most.saturating_sub(before);
    assert!(grown < 16 << 20, "the proxy grew by {grown} bytes");
}

/// Resident bytes of this process.
fn resident() -> usize {
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
