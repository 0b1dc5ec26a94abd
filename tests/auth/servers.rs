//! Several servers of one database: the first that can be reached and accepts writes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use pgpurpose::cluster::{Cluster, ClusterOptions, ServerUser};

use crate::setup::{Guarded, Libpq, PASSWORD, ask, conninfo, missing, proxy};
use crate::support::proxy::Proxy;

const HBA: &str = "local all postgres trust\nlocal replication postgres trust\nlocal all all scram-sha-256\n";

#[test]
fn a_standby_and_a_server_that_is_away_are_passed_over() {
    let primary = Guarded::start_as(HBA, None, false, &[("wal_level", "replica"), ("max_wal_senders", "4")]);
    // A standby of it, for real.
    let user = ServerUser::choose().unwrap();
    let folder = tempfile::Builder::new().prefix("pgpurpose-standby-").tempdir_in("/var/tmp").unwrap();
    user.give(folder.path()).unwrap();
    let copy = folder.path().join("data");
    let mut backup = user.command(primary.cluster.bin().program("pg_basebackup"));
    backup.args(["-R", "-c", "fast", "-X", "stream", "-U", "postgres", "-D"]).arg(&copy);
    backup.arg("-h").arg(primary.cluster.socket_dir()).args(["-p", &primary.cluster.port().to_string()]);
    let made = backup.output();
    let Ok(made) = made else { return missing("no pg_basebackup, so standbys are not tested") };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let options = ClusterOptions {
        settings: vec![("hot_standby".into(), "on".into()), ("max_connections".into(), "200".into())],
        hba: Some(HBA.into()),
        template: Some(copy),
        ..ClusterOptions::default()
    };
    let standby = Cluster::start(&options).expect("the standby starts");
    assert_eq!(standby.run_sql("shop", "SELECT pg_is_in_recovery()").unwrap().trim(), "t");

    let away = "/nonexistent:5432";
    let at_standby = format!("{}:{}", standby.socket_dir().display(), standby.port());
    let list = format!("{away}\", \"{at_standby}\", \"{}", primary.socket());
    for method in ["passthrough", "relay"] {
        let upstream =
            primary.upstream(&list, "").replace(&format!("address = \"{list}\""), &format!("address = [\"{list}\"]"));
        let proxy = proxy("", &format!("{upstream}{}", primary.auth(method)));
        let to = conninfo(&proxy, "support_agent", "sslmode=disable");
        let write = "UPDATE orders SET status = 'paid' WHERE order_id = 1 RETURNING status";
        let mut said = ask(&primary, Libpq::Own, &to, PASSWORD, write);
        // Relayed, the client has answered the standby, and must come again.
        if method == "relay" {
            assert!(said.as_ref().is_err_and(|error| error.contains("accepts no writes")), "{said:?}");
            said = ask(&primary, Libpq::Own, &to, PASSWORD, write);
        }
        assert!(said.as_ref().is_ok_and(|said| said.contains("paid")), "{method}: {said:?}");
    }

    // The primary goes away for good and the standby takes its place: sessions and the proxy's own connection follow.
    let upstream = primary.upstream(&list, "").replace(&format!("\"{list}\""), &format!("[\"{list}\"]"));
    let proxy = proxy("", &format!("{upstream}{}", primary.auth("passthrough")));
    let to = conninfo(&proxy, "support_agent", "sslmode=disable");
    assert!(ask(&primary, Libpq::Own, &to, PASSWORD, "SELECT 1").is_ok());
    let written = primary.sql("SELECT pg_current_wal_flush_lsn()");
    let started = Instant::now();
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", written.trim());
    while standby.run_sql("shop", &replayed).unwrap().trim() != "t" {
        assert!(started.elapsed() < Duration::from_secs(30), "the standby does not follow");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = primary.cluster.postmaster_pid().unwrap().to_string();
    assert_eq!(ready(&proxy).0, 200);
    assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
    // Nobody is sent to a proxy that can only read.
    let started = Instant::now();
    while !ready(&proxy).1.contains("only a standby answers") {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", ready(&proxy));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(ready(&proxy).0, 503);
    assert_eq!(standby.run_sql("shop", "SELECT pg_promote()").unwrap().trim(), "t");
    let write = "UPDATE orders SET status = 'shipped' WHERE order_id = 1 RETURNING status";
    let started = Instant::now();
    loop {
        match ask(&primary, Libpq::Own, &to, PASSWORD, write) {
            Ok(said) => break assert!(said.contains("shipped"), "{said}"),
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error}\n{}", proxy.output()),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(ready(&proxy).0, 200);
}

/// What the proxy says of whether statements are served.
fn ready(proxy: &Proxy) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.admin_port)).unwrap();
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}
