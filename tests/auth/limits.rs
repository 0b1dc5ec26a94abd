//! How many may be connected and how long a login may take, and that whoever is turned away stands in the access log.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pgpurpose::wire::startup::startup_message;

use crate::raw::{connect, initial, message, send};
use crate::setup::{Guarded, Libpq, PASSWORD, conninfo, guarded, logged, proxy, psql};

/// A session that stays.
struct Open(Child);

impl Open {
    fn start(guarded: &Guarded, conninfo: &str, password: &str) -> Self {
        let mut command = guarded.cluster.client("psql");
        command.args(["-X", "-A", "-t", "-q", conninfo]).env("PGPASSWORD", password).env("HOME", "/nonexistent");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "\\echo in").unwrap();
        let mut said = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        Self(child)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sessions_are_limited_in_all_by_login_and_by_address() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let sections = format!("{upstream}{}", guarded.auth("passthrough"));
    for limits in ["max_connections = 2", "max_connections_per_login = 2", "max_connections_per_address = 2"] {
        let proxy = proxy(limits, &sections);
        let to = |login: &str| conninfo(&proxy, login, "sslmode=disable");
        let agent = to("support_agent");
        let first = Open::start(guarded, &agent, PASSWORD);
        let _second = Open::start(guarded, &agent, PASSWORD);
        let third = psql(guarded, Libpq::Own, &agent, PASSWORD).unwrap_err();
        assert!(third.contains("sorry, too many clients already"), "{limits}: {third}");
        let record = logged(&proxy, "the third", |record| record["sqlstate"] == "53300");
        assert_eq!((&record["login"], &record["database"]), (&"support_agent".into(), &"shop".into()), "{record}");
        // Another login has its own seats, and no others.
        let other = psql(guarded, Libpq::Own, &to("migrator"), PASSWORD);
        assert_eq!(other.is_ok(), limits.contains("login"), "{limits}: {other:?}");
        drop(first);
        until("a seat that was left is free", || psql(guarded, Libpq::Own, &agent, PASSWORD).is_ok());
    }
}

#[test]
fn where_the_database_checks_only_those_that_it_let_in_take_seats_and_nothing_is_told_before() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let proxy = proxy("max_connections_per_login = 1", &format!("{upstream}{}", guarded.auth("relay")));
    // Logins that never answer are in nobody's way.
    let mut waiting: Vec<TcpStream> = (0..3).map(|number| connect(&proxy, number * 8).unwrap()).collect();
    for stream in &mut waiting {
        stream.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
        assert_eq!(message(stream).unwrap().0, b'R');
    }
    let to = |login: &str| conninfo(&proxy, login, "sslmode=disable");
    let session = Open::start(guarded, &to("support_agent"), PASSWORD);
    assert!(psql(guarded, Libpq::Own, &to("support_agent"), PASSWORD).unwrap_err().contains("too many clients"));
    drop(session);
    // Whether a policy knows a login, and its purposes, is told to those that have its password only.
    guarded.sql("CREATE ROLE unlisted LOGIN PASSWORD 'known to its owner'");
    let unlisted = |password: &str| psql(guarded, Libpq::Own, &to("unlisted"), password).unwrap_err();
    assert!(unlisted("a guess").contains("password authentication failed"));
    assert!(unlisted("known to its owner").contains("has no role in the policy"));
    let purpose = format!("{} options='-c pgpurpose.purpose=marketing'", to("support_agent"));
    assert!(psql(guarded, Libpq::Own, &purpose, "a guess").unwrap_err().contains("password authentication failed"));
    assert!(psql(guarded, Libpq::Own, &purpose, PASSWORD).unwrap_err().contains("marketing"));
    guarded.sql("DROP ROLE unlisted");
}

#[test]
fn a_login_that_takes_too_long_or_makes_room_is_ended_and_logged() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let auth = "[auth]\ntimeout = 2\nmax_pending_per_address = 2\n";
    let proxy = proxy(&guarded.listen(), &format!("{upstream}{auth}"));
    let silent = connect(&proxy, 1).unwrap();
    let mut halfway = connect(&proxy, 8).unwrap();
    let names = [("user", "support_agent"), ("database", "shop"), ("application_name", "crm\u{1b}[2J\n\"")];
    halfway.write_all(&startup_message(names)).unwrap();
    assert_eq!(message(&mut halfway).unwrap().0, b'R');
    let started = Instant::now();
    for mut stream in [silent, halfway] {
        let address = stream.local_addr().unwrap().to_string();
        assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0, "ended without an answer");
        let record = logged(&proxy, "the time-out", |record| record["client"] == address.as_str());
        assert_eq!(record["sqlstate"], "57014");
        assert!(record["reason"].as_str().unwrap().contains("in time"));
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    let record = logged(&proxy, "who it was", |record| record["login"] == "support_agent");
    assert_eq!((&record["database"], &record["application"]), (&"shop".into(), &"crm\u{1b}[2J\n\"".into()));

    let first = connect(&proxy, 16).unwrap();
    // It comes first, whichever thread takes the others.
    std::thread::sleep(Duration::from_millis(200));
    let address = first.local_addr().unwrap().to_string();
    let _others = [connect(&proxy, 16).unwrap(), connect(&proxy, 16).unwrap()];
    let record = logged(&proxy, "who made room", |record| record["client"] == address.as_str());
    assert_eq!(record["sqlstate"], "53300");

    // A failed login stands in the log before its answer, also where nobody waits for that.
    let mut guess = connect(&proxy, 24).unwrap();
    let address = guess.local_addr().unwrap().to_string();
    guess.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
    message(&mut guess).unwrap();
    send(&mut guess, &initial(b"n,,n=,r=abcdefgh")).unwrap();
    let (_, body) = message(&mut guess).unwrap();
    let nonce = String::from_utf8_lossy(&body[4..]).split(',').next().unwrap().to_owned();
    send(&mut guess, format!("c=biws,{nonce},p={}", "A".repeat(43) + "=").as_bytes()).unwrap();
    drop(guess);
    let record = logged(&proxy, "a guess", |record| record["client"] == address.as_str());
    assert_eq!((&record["sqlstate"], &record["reason"]), (&"28P01".into(), &"wrong password".into()));

    // What the operator's own log says of a client stays on its line, without its control characters.
    let mut forged = connect(&proxy, 32).unwrap();
    let name = "eve\n2026-01-01 INFO all is well\u{1b}[2J";
    forged.write_all(&startup_message([("user", name)])).unwrap();
    message(&mut forged).unwrap();
    send(&mut forged, &initial(b"n,,n=,r=abcdefgh")).unwrap();
    let (_, body) = message(&mut forged).unwrap();
    let nonce = String::from_utf8_lossy(&body[4..]).split(',').next().unwrap().to_owned();
    send(&mut forged, format!("c=biws,{nonce},p={}", "A".repeat(43) + "=").as_bytes()).unwrap();
    assert_eq!(message(&mut forged).unwrap().0, b'E');
    let said = proxy.output();
    assert!(said.contains("all is well") && !said.contains("\n2026-01-01 INFO all is well"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn guesses_at_once_are_no_more_than_guesses_one_after_the_other() {
    let guarded = guarded();
    let upstream = guarded.upstream(&guarded.socket(), "");
    let auth = "[auth]\nmax_failures_per_login = 4\n";
    let proxy = proxy(&guarded.listen(), &format!("{upstream}{auth}"));
    // All of them have been asked for their proof before the first one answers.
    let mut open: Vec<(TcpStream, String)> = (0..20)
        .map(|_| {
            let mut stream = connect(&proxy, 1).unwrap();
            stream.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
            message(&mut stream).unwrap();
            send(&mut stream, &initial(b"n,,n=,r=abcdefgh")).unwrap();
            let (_, body) = message(&mut stream).unwrap();
            let nonce = String::from_utf8_lossy(&body[4..]).split(',').next().unwrap().to_owned();
            (stream, nonce)
        })
        .collect();
    for (stream, nonce) in &mut open {
        send(stream, format!("c=biws,{nonce},p={}", "A".repeat(43) + "=").as_bytes()).unwrap();
    }
    let mut checked = 0;
    for (stream, _) in &mut open {
        let (tag, body) = message(stream).unwrap();
        assert_eq!(tag, b'E');
        checked += usize::from(String::from_utf8_lossy(&body).contains("28P01"));
    }
    // Two workers may check one each at the same moment.
    assert!((4..=5).contains(&checked), "{checked} of 20 guesses were checked");
}
