//! What changes in the database counts at the next login.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use pgpurpose::wire::startup::startup_message;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use crate::raw::{connect, initial, message, send};
use crate::setup::{CATALOG_PASSWORD, Guarded, Libpq, PASSWORD, conninfo, guarded, pgpurpose, proxy, psql};
use crate::support::proxy::Proxy;

fn passthrough(guarded: &Guarded) -> Proxy {
    let upstream = guarded.upstream(&guarded.socket(), "");
    proxy(&guarded.listen(), &format!("{upstream}{}", guarded.auth("passthrough")))
}

fn login(guarded: &Guarded, proxy: &Proxy, user: &str, password: &str) -> Result<String, String> {
    psql(guarded, Libpq::Own, &conninfo(proxy, user, "sslmode=require"), password)
}

/// Waits until a refused login of a user stands in the access log with its reason, which is for the operator.
fn logged(proxy: &Proxy, user: &str, why: &str) {
    let started = Instant::now();
    loop {
        let log = proxy.access_log();
        let of_user = |record: &&serde_json::Value| record["event"] == "login_refused" && record["login"] == user;
        let last = log.iter().rev().find(of_user).map(|record| record["reason"].to_string()).unwrap_or_default();
        if last.contains(why) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "`{why}` is not logged for {user}, but `{last}`");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_changed_password_counts_at_once_and_everybody_who_fails_hears_the_same() {
    let guarded = guarded();
    let proxy = passthrough(guarded);
    guarded.sql("CREATE ROLE thabo LOGIN PASSWORD 'first' IN ROLE support_agent");
    // A login that the policy does not name is told so, but only once it has proved who it is.
    let told = login(guarded, &proxy, "thabo", "first").unwrap_err();
    assert!(told.contains("has no role in the policy"), "{told}");
    let refused = |user: &str, password: &str, why: &str| {
        let error = login(guarded, &proxy, user, password).unwrap_err();
        let generic = format!("password authentication failed for user \"{user}\"");
        assert!(error.contains(&generic) && !error.contains("role"), "{error}");
        logged(&proxy, user, why);
    };
    guarded.sql("ALTER ROLE thabo PASSWORD 'second'");
    refused("thabo", "first", "wrong password");
    assert!(login(guarded, &proxy, "thabo", "second").unwrap_err().contains("has no role"));
    guarded.sql("ALTER ROLE thabo VALID UNTIL '2020-01-01'");
    refused("thabo", "second", "expired");
    guarded.sql("ALTER ROLE thabo VALID UNTIL 'infinity' NOLOGIN");
    refused("thabo", "second", "NOLOGIN");
    guarded.sql("ALTER ROLE thabo LOGIN PASSWORD NULL");
    refused("thabo", "second", "no password");
    guarded.sql("SET password_encryption = 'md5'; ALTER ROLE thabo PASSWORD 'second'");
    refused("thabo", "second", "MD5");
    guarded.sql("DROP ROLE thabo");
    refused("thabo", "second", "no such login");
    refused("nobody_at_all", "second", "no such login");
}

#[test]
fn a_role_that_may_no_longer_log_in_is_refused() {
    let guarded = Guarded::start("local all postgres trust\nlocal all all scram-sha-256\n");
    let proxy = passthrough(&guarded);
    assert!(login(&guarded, &proxy, "support_agent", PASSWORD).is_ok());
    guarded.sql("ALTER ROLE support_agent NOLOGIN");
    assert!(login(&guarded, &proxy, "support_agent", PASSWORD).is_err());
    guarded.sql("ALTER ROLE support_agent LOGIN");
    assert!(login(&guarded, &proxy, "support_agent", PASSWORD).is_ok());
    // The proxy's own connection is ended, as by a restart: the next login makes another.
    guarded.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pgpurpose'");
    assert!(login(&guarded, &proxy, "support_agent", PASSWORD).is_ok());
}

#[test]
fn a_database_that_halts_or_starts_again_during_logins_only_delays_them() {
    let guarded = Guarded::start("local all postgres trust\nlocal all all scram-sha-256\n");
    let proxy = passthrough(&guarded);
    let pid = guarded.cluster.postmaster_pid().unwrap();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
    // The postmaster is stopped: connections are taken by the kernel and nobody answers.
    signal("-STOP");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| login(&guarded, &proxy, "support_agent", PASSWORD));
        std::thread::sleep(Duration::from_millis(500));
        signal("-CONT");
        assert!(waiting.join().unwrap().is_ok(), "it only took longer");
    });
    // A backend that is killed makes the postmaster end all others and start again: logins meanwhile fail in good order.
    let backend = guarded.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'pgpurpose' LIMIT 1");
    assert!(Command::new("kill").args(["-9", backend.trim()]).status().unwrap().success());
    let started = Instant::now();
    let mut failed = Vec::new();
    while let Err(error) = login(&guarded, &proxy, "support_agent", PASSWORD) {
        assert!(started.elapsed() < Duration::from_secs(30), "the database came back, the logins did not: {error}");
        failed.push(error);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(failed.iter().all(|error| error.contains("FATAL")), "{failed:?}");
    assert!(login(&guarded, &proxy, "support_agent", PASSWORD).is_ok());
}

#[test]
fn start_up_and_check_say_what_stands_in_the_way() {
    let guarded =
        Guarded::start("local all postgres trust\nlocal all support_agent trust\nlocal all all scram-sha-256\n");
    let sections = format!("{}{}", guarded.upstream(&guarded.socket(), ""), guarded.auth("passthrough"));
    let check = || pgpurpose(&["check", "--live"], &sections);
    let (_, said) = check();
    assert!(said.contains("lets `support_agent` in without a password"), "{said}");
    assert!(!said.contains("GRANT SELECT"), "{said}");
    guarded.sql("REVOKE ALL ON pg_catalog.pg_authid FROM pgpurpose; REVOKE ALL (rolname, rolpassword, rolcanlogin, rolvaliduntil) ON pg_catalog.pg_authid FROM pgpurpose");
    let (code, said) = check();
    assert_eq!(code, Some(1));
    for part in ["GRANT SELECT (rolname, rolpassword, rolcanlogin, rolvaliduntil)", "method = \"scram\"", "`relay`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains(CATALOG_PASSWORD));
    let (code, said) = pgpurpose(&["serve"], &sections);
    assert!(code == Some(2) && said.contains("GRANT SELECT (rolname"), "serve does not start: {said}");

    // An own login whose role at the database is a superuser would be held back by nothing but the proxy.
    guarded.sql("ALTER ROLE support_agent SUPERUSER");
    let scram = format!("{}{}", guarded.upstream(&guarded.socket(), ""), guarded.auth("scram"));
    let (code, said) = pgpurpose(&["serve"], &scram);
    assert!(code == Some(2) && said.contains("`support_agent` is an `upstream_login` and a superuser"), "{said}");
    let (code, said) = pgpurpose(&["check", "--live"], &scram);
    assert!(code == Some(1) && said.contains("superuser"), "{said}");
}

/// A login that has been asked for its proof, and not given it yet.
fn halfway(proxy: &Proxy, password: &str) -> (TcpStream, ScramSha256) {
    let mut stream = connect(proxy, 1).unwrap();
    stream.write_all(&startup_message([("user", "support_agent"), ("database", "shop")])).unwrap();
    message(&mut stream).unwrap();
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    send(&mut stream, &initial(scram.message())).unwrap();
    let (_, body) = message(&mut stream).unwrap();
    scram.update(&body[4..]).unwrap();
    (stream, scram)
}

/// Gives the proof: the tags of all messages up to ReadyForQuery or the end, and the last body.
fn finish(mut stream: TcpStream, scram: &ScramSha256) -> (String, String) {
    send(&mut stream, scram.message()).unwrap();
    let (mut tags, mut last) = (String::new(), Vec::new());
    while let Ok((tag, body)) = message(&mut stream) {
        tags.push(char::from(tag));
        last = body;
        if tag == b'Z' {
            break;
        }
    }
    (tags, String::from_utf8_lossy(&last).into_owned())
}

#[test]
fn what_changes_between_the_question_and_the_proof_is_noticed_at_the_database() {
    let guarded = Guarded::start("local all postgres trust\nlocal all all scram-sha-256\n");
    let proxy = passthrough(&guarded);
    let (stream, scram) = halfway(&proxy, PASSWORD);
    guarded.sql("ALTER ROLE support_agent PASSWORD 'another'");
    let (tags, said) = finish(stream, &scram);
    assert!(tags.ends_with('E') && said.contains("could not log in to the database"), "{tags} {said}");
    guarded.sql(&format!("ALTER ROLE support_agent PASSWORD '{PASSWORD}'"));

    let (stream, scram) = halfway(&proxy, PASSWORD);
    guarded.sql("ALTER ROLE support_agent VALID UNTIL '2020-01-01'");
    let (tags, said) = finish(stream, &scram);
    // PostgreSQL asks whoever has expired with another salt.
    assert!(tags.ends_with('E') && said.contains("could not log in to the database"), "{tags} {said}");
    guarded.sql("ALTER ROLE support_agent VALID UNTIL 'infinity'");

    let (stream, scram) = halfway(&proxy, PASSWORD);
    guarded.sql("ALTER ROLE support_agent NOLOGIN");
    let (tags, said) = finish(stream, &scram);
    assert!(tags.ends_with('E') && said.contains("could not log in to the database"), "{tags} {said}");
    assert!(proxy.output().contains("is not permitted to log in"), "the operator reads why: {}", proxy.output());
    guarded.sql("ALTER ROLE support_agent LOGIN");

    // The database starts again meanwhile: the login goes on where it comes back in time.
    // (What was said last must outlive a server that writes nothing at once.)
    // What is not logged is emptied by a crash, which tells that it is over: at first the server goes on as if nothing were.
    guarded.sql("CREATE UNLOGGED TABLE marker AS SELECT 1");
    guarded.sql("CHECKPOINT");
    let (stream, scram) = halfway(&proxy, PASSWORD);
    let before = guarded.sql("SELECT pg_postmaster_start_time()");
    let backend = guarded.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'pgpurpose' LIMIT 1");
    assert!(Command::new("kill").args(["-9", backend.trim()]).status().unwrap().success());
    let started = Instant::now();
    while !guarded.cluster.run_sql("shop", "SELECT count(*) FROM marker").is_ok_and(|count| count.trim() == "0") {
        assert!(started.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(before, guarded.sql("SELECT pg_postmaster_start_time()"), "its backends were ended, not itself");
    let (tags, said) = finish(stream, &scram);
    assert!(tags.ends_with('Z'), "{tags} {said}");
}
