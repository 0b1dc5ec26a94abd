//! Guards of the log-in, in both directions: who somebody is does not change midway, and no length or number of messages keeps the proxy
//! busy or fills it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pgpurpose::wire::startup::startup_message;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use crate::hostile::memory_kib;
use crate::raw::{connect, initial, message, send};
use crate::rogue::{READY, authentication, before_the_database, endlessly};
use crate::setup::{Libpq, PASSWORD, conninfo, guarded, logged, proxy, psql};
use crate::support::proxy::Proxy;

/// What comes back up to the end of the connection; the server ends it within the time that a client has patience.
fn all_of(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => {}
        // Bytes that nobody read any more.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the connection is still open"),
    }
    all
}

fn raw_start(proxy: &Proxy, number: usize, user: &str) -> TcpStream {
    let mut stream = connect(proxy, number).unwrap();
    stream.write_all(&startup_message([("user", user), ("database", "shop")])).unwrap();
    stream
}

#[test]
fn who_a_client_is_does_not_change_midway() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let proxy = proxy("", &format!("{upstream}{}", guarded.auth("passthrough")));

    // The name within the exchange is nobody: whoever proves to be one login is that login.
    let mut stream = raw_start(&proxy, 1, "support_agent");
    let mut scram = ScramSha256::new(PASSWORD.as_bytes(), ChannelBinding::unsupported());
    message(&mut stream).unwrap();
    let first = String::from_utf8(scram.message().to_vec()).unwrap();
    let others = first.replace("n=,", "n=migrator,");
    send(&mut stream, &initial(others.as_bytes())).unwrap();
    let (_, challenge) = message(&mut stream).unwrap();
    scram.update(&challenge[4..]).unwrap();
    send(&mut stream, scram.message()).unwrap();
    // The proof is over what was said, so that a name that was put in breaks it; and it never makes anybody of that name.
    assert_eq!(message(&mut stream).unwrap().0, b'E');
    for (number, header) in ["n,a=migrator,", "n,a=support_agent,", "y,a=migrator,"].into_iter().enumerate() {
        let mut stream = raw_start(&proxy, 8 + number, "support_agent");
        message(&mut stream).unwrap();
        send(&mut stream, &initial(first.replace("n,,", header).as_bytes())).unwrap();
        assert_eq!(message(&mut stream).unwrap().0, b'E', "{header}");
    }

    // Another start, another beginning of the exchange, in place of what must come.
    let again = startup_message([("user", "migrator"), ("database", "shop")]);
    let mut second = vec![b'p'];
    second.extend_from_slice(&(initial(first.as_bytes()).len() as u32 + 4).to_be_bytes());
    second.extend_from_slice(&initial(first.as_bytes()));
    for (number, (before, instead)) in
        [(0, &again), (1, &again), (1, &second), (2, &again), (2, &second)].into_iter().enumerate()
    {
        let mut stream = raw_start(&proxy, 16 + number, "support_agent");
        let mut scram = ScramSha256::new(PASSWORD.as_bytes(), ChannelBinding::unsupported());
        assert_eq!(message(&mut stream).unwrap().0, b'R');
        if before > 0 {
            send(&mut stream, &initial(scram.message())).unwrap();
            let (_, challenge) = message(&mut stream).unwrap();
            scram.update(&challenge[4..]).unwrap();
        }
        if before > 1 {
            send(&mut stream, scram.message()).unwrap();
            // Up to the end of the greeting.
            while message(&mut stream).unwrap().0 != b'Z' {}
        }
        stream.write_all(instead).unwrap();
        let said = all_of(&mut stream);
        assert_eq!(said.first(), Some(&b'E'), "{before}: {:?}", String::from_utf8_lossy(&said));
        assert!(!said.windows(2).any(|two| two == b"Z\0"), "{before}: no session comes of it");
    }
    let log = proxy.access_log();
    assert!(!log.iter().any(|record| record["login"] == "migrator"), "nobody was ever that");
    let mine = conninfo(&proxy, "support_agent", "sslmode=disable");
    assert!(psql(guarded, Libpq::Own, &mine, PASSWORD).is_ok(), "{}", proxy.output());
}

#[test]
fn no_length_or_option_of_a_start_keeps_the_proxy_busy() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let proxy = proxy("", &format!("{upstream}{}", guarded.auth("passthrough")));
    let before = memory_kib(proxy.pid());
    let packet = |length: u32, rest: &[u8]| [&length.to_be_bytes()[..], rest].concat();
    let version = [0, 3, 0, 0];
    let mut starts: Vec<Vec<u8>> = [0, 1, 3, 4, 5, 7, 10_001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
        .into_iter()
        .map(|length| packet(length, &version))
        .collect();
    // Names without a value, without an end, with nothing in them; more of them than anybody has.
    for body in [
        &b""[..],
        b"user",
        b"user\0",
        b"user\0a",
        b"user\0a\0",
        b"user\0\0\0",
        b"\0\0",
        b"\0user\0a\0\0",
        b"user\0a\0\0rest",
        &b"a\0\0".repeat(3_000),
        &b"\0".repeat(9_000),
    ] {
        starts.push(packet(8 + body.len() as u32, &[&version[..], body].concat()));
    }
    // Options of every unfinished kind.
    for options in [
        "-",
        "--",
        "-c",
        "-c ",
        "-c=",
        "-c =",
        "--=",
        "-c a",
        "--a",
        "\\",
        "-c\\",
        "-c \\ ",
        " ",
        "-c -c -c",
        "-cwork_mem",
        "-c work_mem=",
        "-c work_mem=1 \\",
        "=-c",
        "-c a=b=c",
        "-d 5",
        "--work-mem",
    ] {
        starts.push(startup_message([("user", "support_agent"), ("database", "shop"), ("options", options)]));
        starts.push(startup_message([
            ("user", "support_agent"),
            ("options", options.repeat(8_000 / options.len()).as_str()),
        ]));
    }
    let begun = Instant::now();
    for (number, start) in starts.iter().enumerate() {
        let mut stream = connect(&proxy, 100 + number * 8).unwrap();
        stream.write_all(start).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let said = all_of(&mut stream);
        assert!(said.is_empty() || matches!(said[0], b'E' | b'R'), "{start:?}: {said:?}");
    }
    // Lengths within the exchange.
    for (number, body) in [
        &b""[..],
        b"\0",
        b"SCRAM-SHA-256",
        b"SCRAM-SHA-256\0",
        b"SCRAM-SHA-256\0\xff\xff\xff\xff",
        b"SCRAM-SHA-256\0\xff\xff\xff\xfen,,n=,r=abc",
        b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=abc",
        b"SCRAM-SHA-256\0\0\0\0\0n,,n=,r=abc",
        b"SCRAM-SHA-256\0\0\0\0\x01n,,n=,r=abc",
        b"OTHER\0\0\0\0\x03n,,",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = raw_start(&proxy, 1_000 + number * 8, "support_agent");
        message(&mut stream).unwrap();
        send(&mut stream, body).unwrap();
        assert_eq!(all_of(&mut stream).first(), Some(&b'E'), "{body:?}");
    }
    for (number, length) in [0_u32, 3, 4, 0x7fff_ffff, 0xffff_ffff].into_iter().enumerate() {
        let mut stream = raw_start(&proxy, 2_000 + number * 8, "support_agent");
        message(&mut stream).unwrap();
        stream.write_all(&[&b"p"[..], &length.to_be_bytes()].concat()).unwrap();
        assert_eq!(all_of(&mut stream).first(), Some(&b'E'), "{length}");
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(memory_kib(proxy.pid()).saturating_sub(before) < 32 * 1024);
    let mine = conninfo(&proxy, "support_agent", "sslmode=disable");
    assert!(psql(guarded, Libpq::Own, &mine, PASSWORD).is_ok(), "{}", proxy.output());
}

/// A message whose length may be any.
fn odd(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn status(name: &str, value: &str) -> Vec<u8> {
    odd(b'S', (name.len() + value.len() + 6) as u32, format!("{name}\0{value}\0").as_bytes())
}

#[test]
fn a_server_that_says_the_wrong_thing_gets_nobody_a_session() {
    let guarded = guarded();
    let ok = authentication(&[0; 4]);
    let key = odd(b'K', 12, b"\0\0\0\x01\0\0\0\x02");
    let scripts = [
        // Somebody else, or another way to be asked, once that is over.
        ([&ok[..], &status("session_authorization", "migrator"), &key, READY].concat(), "another login"),
        ([&ok[..], &authentication(&[0, 0, 0, 3])].concat(), "in clear"),
        // Lengths that no message has.
        (odd(b'R', 0, b""), ""),
        (odd(b'R', 3, b""), ""),
        (odd(b'R', 4, b""), ""),
        (odd(b'R', 7, b"\0\0\0"), ""),
        (odd(b'R', 0x7fff_ffff, b"\0\0\0\0"), ""),
        (odd(b'R', 0xffff_ffff, b"\0\0\0\0"), ""),
        (authentication(b"\0\0\0\x0aSCRAM-SHA-256"), ""),
        (authentication(b"\0\0\0\x0a"), ""),
        ([&ok[..], &odd(b'S', 4, b"")].concat(), ""),
        ([&ok[..], &odd(b'S', 6, b"ab")].concat(), ""),
        ([&ok[..], &odd(b'K', 4, b"")].concat(), ""),
        ([&ok[..], &odd(b'K', 8, b"\0\0\0\x01")].concat(), ""),
        ([&ok[..], &odd(b'E', 5, b"M")].concat(), ""),
        ([&ok[..], &odd(b'N', 4, b"")].concat(), ""),
        ([&ok[..], &odd(b'Z', 4, b"")].concat(), ""),
        ([&ok[..], &odd(b'D', 6, b"\0\0")].concat(), ""),
    ];
    for (script, why) in scripts {
        let at = before_the_database(script.clone(), &guarded.tcp(), [127, 0, 0, 1].into());
        let sections = guarded.upstream(&at.to_string(), "tls = \"disable\"");
        let proxy = proxy("", &format!("{sections}{}", guarded.auth("relay")));
        let mut stream = raw_start(&proxy, 1, "support_agent");
        let said = all_of(&mut stream);
        assert!(!said.windows(5).any(|five| five == &READY[..5]), "{script:?}: {:?}", String::from_utf8_lossy(&said));
        logged(&proxy, why, |record| {
            record["event"] == "login_refused" && record["reason"].as_str().unwrap().contains(why)
        });
    }
}

#[test]
fn a_server_that_never_ends_its_greeting_fills_nothing() {
    let guarded = guarded();
    let ok = authentication(&[0; 4]);
    let long = "x".repeat(30_000);
    let notice = |text: &str| {
        let body = format!("SNOTICE\0C00000\0M{text}\0\0");
        odd(b'N', body.len() as u32 + 4, body.as_bytes())
    };
    for chunk in [
        status("application_name", &long),
        status("a", "b").repeat(2_000),
        notice(&long),
        notice("x").repeat(2_000),
        odd(b'K', 12, b"\0\0\0\x01\0\0\0\x02").repeat(2_000),
        ok.repeat(2_000),
    ] {
        let at = endlessly(ok.clone(), chunk.clone(), &guarded.tcp());
        let sections = guarded.upstream(&at.to_string(), "tls = \"disable\"");
        let proxy = proxy("", &format!("{sections}{}", guarded.auth("relay")));
        let before = memory_kib(proxy.pid());
        let mut stream = raw_start(&proxy, 1, "support_agent");
        let said = all_of(&mut stream);
        assert_eq!(said.first(), Some(&b'E'), "{:?}", String::from_utf8_lossy(&said));
        let grown = memory_kib(proxy.pid()).saturating_sub(before);
        assert!(grown < 16 * 1024, "{grown} KiB for {:?}", &chunk[..8]);
        logged(&proxy, "too much", |record| {
            record["event"] == "login_refused" && record["reason"].as_str().unwrap().contains("too much")
        });
    }
}
