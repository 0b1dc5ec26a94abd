//! Logins that mean harm, while others log in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pgpurpose::wire::startup::startup_message;

use crate::raw::{connect, exchange, initial, message, send};
use crate::setup::{CATALOG_PASSWORD, Guarded, Libpq, PASSWORD, conninfo, guarded, proxy, psql};
use crate::support::proxy::Proxy;

/// How many: `PGPURPOSE_TEST_HOSTILE=20000` for all of them.
fn count() -> usize {
    std::env::var("PGPURPOSE_TEST_HOSTILE").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000)
}

pub(crate) fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn others_log_in_while_hostile_logins_come_and_memory_stays_bounded() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let proxy = proxy(&guarded.listen(), &format!("{upstream}{}", guarded.auth("passthrough")));
    let mine = conninfo(&proxy, "support_agent", "sslmode=require");
    assert!(psql(guarded, Libpq::Own, &mine, PASSWORD).is_ok());
    let (tag, proof) = exchange(&proxy, 0, "support_agent", PASSWORD, None).unwrap();
    assert_eq!(tag, b'R');
    let before = memory_kib(proxy.pid());

    // A tenth of them never finishes, some before the first byte and some in the middle.
    let hanging: Vec<TcpStream> = (0..count().min(10_000) / 10)
        .filter_map(|number| {
            let mut stream = connect(&proxy, number)?;
            if number % 2 == 0 {
                let _ = stream.write_all(&startup_message([("user", "support_agent"), ("database", "shop")]));
            }
            Some(stream)
        })
        .collect();
    let (next, done, let_in) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let (mut slowest, mut logins) = (Duration::ZERO, 0);
    std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..24)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count() {
                            break;
                        }
                        // Strings of tries from one address each.
                        let from = 5_000 + number;
                        let answer = match number % 5 {
                            0 => connect(&proxy, from).and_then(|mut stream| {
                                let noise: [u8; 64] = rand::random();
                                let _ = stream.write_all(&noise);
                                let _ = stream.shutdown(std::net::Shutdown::Write);
                                let _ = stream.read(&mut [0; 256]);
                                None
                            }),
                            1 => connect(&proxy, from).and_then(|mut stream| {
                                let start = startup_message([("user", "support_agent"), ("database", "shop")]);
                                let _ = stream.write_all(&start[..number % start.len()]);
                                None
                            }),
                            2 => exchange(&proxy, from, "support_agent", "a guess", None),
                            3 => exchange(&proxy, from, "nobody_there", PASSWORD, None),
                            _ => exchange(&proxy, from, "support_agent", "", Some(&proof)),
                        };
                        if answer.is_some_and(|(tag, _)| tag != b'E') {
                            let_in.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let others = scope.spawn(|| {
            let (mut slowest, mut logins) = (Duration::ZERO, 0);
            while !done.load(Ordering::Relaxed) || logins == 0 {
                let started = std::time::Instant::now();
                let said = psql(guarded, Libpq::Own, &mine, PASSWORD);
                assert!(said.is_ok(), "{said:?}");
                slowest = slowest.max(started.elapsed());
                logins += 1;
            }
            (slowest, logins)
        });
        for attacker in attackers {
            attacker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        (slowest, logins) = others.join().unwrap();
    });
    let grown = memory_kib(proxy.pid()).saturating_sub(before);
    eprintln!(
        "{} hostile, {} hanging; {logins} others logged in, the slowest in {slowest:?}; {grown} KiB more",
        count(),
        hanging.len()
    );
    assert_eq!(let_in.load(Ordering::Relaxed), 0);
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert!(grown < 128 * 1024, "{grown} KiB");
    drop(hanging);
    nothing_secret(&proxy);
}

/// Neither in the access log nor in what the proxy said.
fn nothing_secret(proxy: &Proxy) {
    let verifier = guarded().sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'support_agent'");
    let keys = verifier.trim().rsplit_once('$').unwrap().1.to_owned();
    let (stored, server) = keys.split_once(':').unwrap();
    let mut said = proxy.output();
    for file in std::fs::read_dir(proxy.audit_dir()).unwrap() {
        said.push_str(&String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(said.contains("login_refused") && said.contains("\"event\":\"connect\""));
    for secret in [PASSWORD, CATALOG_PASSWORD, "SCRAM-SHA-256$", stored, server, ",p=", "a guess"] {
        assert!(!said.contains(secret), "`{secret}` stands in a log");
    }
}

#[test]
fn a_login_that_is_guessed_is_slowed_down_and_then_refused_from_there_alone() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let auth = "[auth]\nmax_failures_per_login = 3\nmax_pending_per_address = 5\n";
    let proxy = proxy(&guarded.listen(), &format!("{upstream}{auth}"));
    let mut waits = Vec::new();
    for _ in 0..3 {
        let started = std::time::Instant::now();
        let (tag, body) = exchange(&proxy, 1, "support_agent", "a guess", None).unwrap();
        assert!(tag == b'E' && String::from_utf8_lossy(&body).contains("28P01"));
        waits.push(started.elapsed());
    }
    assert!(waits[2] > Duration::from_millis(350) && waits[0] < waits[2], "{waits:?}");
    let mut stream = connect(&proxy, 1).unwrap();
    stream.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
    let (tag, body) = message(&mut stream).unwrap();
    assert!(tag == b'E' && String::from_utf8_lossy(&body).contains("too many failed logins"));
    assert!(psql(guarded, Libpq::Own, &conninfo(&proxy, "support_agent", "sslmode=disable"), PASSWORD).is_ok());

    // Connections from one address that never log in: with the sixth, the oldest is ended.
    let mut idle: Vec<TcpStream> = (0..5).map(|_| connect(&proxy, 99).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let mut sixth = connect(&proxy, 99).unwrap();
    assert_eq!(idle[0].read(&mut [0; 1]).unwrap_or(0), 0);
    sixth.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
    assert_eq!(message(&mut sixth).unwrap().0, b'R');
    drop(idle);
}

#[test]
fn whoever_cannot_log_in_is_asked_as_one_who_can() {
    let guarded = Guarded::start("local all postgres trust\nlocal all all scram-sha-256\n");
    let upstream = guarded.upstream(&guarded.socket(), "");
    // Verifiers with 20,000 rounds, as `scram_iterations` makes them in PostgreSQL 16 and later.
    let verifier = |password: &str| {
        let salt = [7; 16];
        let mut salted = [0; 32];
        let rounds = std::num::NonZeroU32::new(20_000).unwrap();
        ring::pbkdf2::derive(ring::pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
        let key = |name: &[u8]| ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &salted), name);
        let stored = ring::digest::digest(&ring::digest::SHA256, key(b"Client Key").as_ref());
        let text = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        format!("SCRAM-SHA-256$20000:{}${}:{}", text(&salt), text(stored.as_ref()), text(key(b"Server Key").as_ref()))
    };
    guarded.sql(&format!(
        "ALTER ROLE support_agent PASSWORD '{0}'; ALTER ROLE pgpurpose PASSWORD '{1}'; ALTER ROLE migrator PASSWORD '{0}';
         CREATE ROLE no_password LOGIN; CREATE ROLE no_login NOLOGIN PASSWORD '{0}';
         CREATE ROLE expired LOGIN VALID UNTIL '2020-01-01' PASSWORD '{0}';
         SET password_encryption = 'md5'; CREATE ROLE kept_as_md5 LOGIN PASSWORD 'x'",
        verifier(PASSWORD),
        verifier(CATALOG_PASSWORD)
    ));
    let proxy = proxy("", &format!("{upstream}{}", guarded.auth("passthrough")));
    let own = conninfo(&proxy, "support_agent", "sslmode=disable");
    assert!(psql(&guarded, Libpq::Own, &own, PASSWORD).is_ok(), "{}", proxy.output());
    // What a client sees of a login up to its end: the offer, the challenge less nonce and salt, the answer.
    let ask = |user: &str, number: usize| {
        let mut stream = connect(&proxy, number * 8).unwrap();
        stream.write_all(&startup_message([("user", user), ("database", "shop")])).unwrap();
        let offer = message(&mut stream).unwrap();
        send(&mut stream, &initial(b"n,,n=,r=abcdefgh")).unwrap();
        let text = String::from_utf8(message(&mut stream).unwrap().1[4..].to_vec()).unwrap();
        let (nonce, salted) = text.split_once(",s=").unwrap();
        let (salt, rounds) = salted.split_once(",i=").unwrap();
        send(&mut stream, format!("c=biws,{nonce},p={}", "A".repeat(43) + "=").as_bytes()).unwrap();
        let (tag, body) = message(&mut stream).unwrap();
        let answer = String::from_utf8_lossy(&body).replace(user, "USER");
        ((offer, nonce.len(), salt.len(), rounds.to_owned(), tag, answer), salt.to_owned())
    };
    let known = ask("support_agent", 1).0;
    assert_eq!(known.3, "20000");
    let mut salts = std::collections::BTreeSet::new();
    let others = ["nobody_there", "no_password", "no_login", "expired", "kept_as_md5", "somebody_else"];
    for (number, user) in others.into_iter().enumerate() {
        let (seen, salt) = ask(user, number + 2);
        assert_eq!(seen, known, "{user}");
        assert_eq!(ask(user, number + 20).1, salt, "{user} is asked with the same salt each time");
        salts.insert(salt);
    }
    assert_eq!(salts.len(), others.len());
    // Each reason is in the log, for the operator.
    let log = proxy.access_log();
    for (user, why) in
        [("no_password", "no password"), ("no_login", "NOLOGIN"), ("expired", "expired"), ("kept_as_md5", "MD5")]
    {
        assert!(
            log.iter()
                .any(|record| record["login"] == user
                    && record["reason"].as_str().is_some_and(|said| said.contains(why))),
            "{user}"
        );
    }
}
