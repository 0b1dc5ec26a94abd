//! What changes in the database counts at the next login.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::setup::{CATALOG_PASSWORD, Guarded, Libpq, PASSWORD, conninfo, guarded, policy, proxy, psql};
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
    let check = || {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy()).unwrap();
        std::fs::write(folder.path().join("token.key"), "0123456789abcdef".repeat(4)).unwrap();
        let config = folder.path().join("c.toml");
        let text = format!(
            "{}{}[policy]\nfiles = [\"policy.toml\"]\ntoken_key = \"file:token.key\"\n",
            guarded.upstream(&guarded.socket(), ""),
            guarded.auth("passthrough")
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgpurpose"));
        let output = command.args(["check", "--live", "--config"]).arg(&config).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
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
}
