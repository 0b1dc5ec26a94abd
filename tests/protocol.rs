//! Raw messages through the proxy to a real database: pipelines, refusals, limits, start-up, TLS, cancel, shutdown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod raw;

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pgpurpose::server::{ListenTls, Options};
use raw::{
    Message, Proxy, batch, bind, cluster, describe, execute, field, message, no_catalog, parse, query, servers, shown,
    socket, sync,
};

const POLICY: &str = r#"
version = 1
unlisted_tables = "deny"
[purposes.support]
basis = "contract"
[purposes.billing]
basis = "contract"
[roles.support]
logins = ["support"]
purposes = ["support", "billing"]
[roles.migrator]
logins = ["postgres", "scram"]
unrestricted = "tests of the protocol"
"#;

fn start(options: Options) -> Proxy {
    raw::start(options, POLICY, no_catalog())
}

fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| start(Options::new("127.0.0.1:0", servers(&socket()))))
}

#[test]
fn a_pipeline_is_answered_in_order() {
    let mut client = proxy().login("postgres", &[]);
    client.send(&batch(&[
        parse("", "SELECT 1"),
        bind("", ""),
        describe('P', ""),
        execute("", 0),
        sync(),
        parse("s", "SELECT generate_series(1, 5)"),
        describe('S', "s"),
        bind("p", "s"),
        execute("p", 2),
        execute("p", 2),
        execute("p", 0),
        sync(),
        query("SELECT 3; SELECT 4"),
    ]));
    assert_eq!(shown(&client.until_ready()), "1 2 T D C(SELECT 1) ZI");
    assert_eq!(shown(&client.until_ready()), "1 t T 2 D D s D D s D C(SELECT 1) ZI");
    assert_eq!(shown(&client.until_ready()), "T D C(SELECT 1) T D C(SELECT 1) ZI");
}

#[test]
fn a_database_error_in_a_pipeline_skips_to_the_sync() {
    let mut client = proxy().login("postgres", &[]);
    client.send(&batch(&[
        parse("", "SELECT 1/count(*) FROM generate_series(1, 0)"),
        bind("", ""),
        execute("", 0),
        parse("x", "SELECT 1"),
        sync(),
        bind("", "x"),
        sync(),
        parse("x", "SELECT 2"),
        bind("", "x"),
        execute("", 0),
        sync(),
    ]));
    assert_eq!(shown(&client.until_ready()), "1 2 E22012 ZI");
    assert_eq!(shown(&client.until_ready()), "E26000 ZI");
    assert_eq!(shown(&client.until_ready()), "1 2 D C(SELECT 1) ZI");
}

#[test]
fn a_refusal_in_a_pipeline_comes_after_what_was_before_it_and_rolls_it_back() {
    let mut client = proxy().login("postgres", &[]);
    client.query("CREATE TABLE rolled_back (id int)");
    client.send(&batch(&[
        parse("", "INSERT INTO rolled_back VALUES (1)"),
        bind("", ""),
        execute("", 0),
        parse("pgpurpose.refused", "SELECT 1"),
        bind("", "pgpurpose.refused"),
        execute("", 0),
        sync(),
    ]));
    assert_eq!(shown(&client.until_ready()), "1 2 C(INSERT 0 1) E26000 ZI");
    assert_eq!(client.query("DELETE FROM rolled_back"), "C(DELETE 0) ZI");
}

#[test]
fn a_refusal_in_a_transaction_leaves_it_failed() {
    let mut client = proxy().login("postgres", &[]);
    assert_eq!(client.query("BEGIN"), "C(BEGIN) ZT");
    client.send(&message(b'F', &[0; 10]));
    assert_eq!(shown(&client.until_ready()), "E0A000 ZE");
    assert_eq!(client.query("SELECT 1"), "E25P02 ZE");
    assert_eq!(client.query("ROLLBACK"), "C(ROLLBACK) ZI");
    client.send(&batch(&[query("BEGIN"), message(b'F', &[0; 10]), query("ROLLBACK"), query("SELECT 1")]));
    assert_eq!(shown(&client.until_ready()), "C(BEGIN) ZT");
    assert_eq!(shown(&client.until_ready()), "E0A000 ZE");
    assert_eq!(shown(&client.until_ready()), "C(ROLLBACK) ZI");
    assert_eq!(shown(&client.until_ready()), "T D C(SELECT 1) ZI");
}

#[test]
fn an_unknown_statement_or_portal_is_refused_where_it_stands() {
    let mut client = proxy().login("postgres", &[]);
    client.send(&batch(&[bind("", "nowhere"), execute("", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "E26000 ZI");
    client.send(&batch(&[execute("nowhere", 0), message(b'H', b"")]));
    assert_eq!(shown(&[client.receive().unwrap()]), "E34000");
    client.send(&batch(&[parse("", "SELECT 1"), sync()]));
    assert_eq!(shown(&client.until_ready()), "ZI");
    client.send(&batch(&[describe('S', "nowhere"), sync()]));
    assert_eq!(shown(&client.until_ready()), "E26000 ZI");
}

#[test]
fn empty_queries_are_answered_as_such() {
    let mut client = proxy().login("postgres", &[]);
    assert_eq!(client.query(""), "I ZI");
    assert_eq!(client.query(" ; -- nothing"), "I ZI");
    client.send(&batch(&[parse("", ""), bind("", ""), describe('P', ""), execute("", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "1 2 n I ZI");
}

#[test]
fn a_flush_brings_answers_before_the_sync() {
    let mut client = proxy().login("postgres", &[]);
    client.send(&batch(&[parse("", "SELECT 1"), describe('S', ""), message(b'H', b"")]));
    let answers: Vec<Message> = (0..3).map(|_| client.receive().unwrap()).collect();
    assert_eq!(shown(&answers), "1 t T");
    client.send(&batch(&[bind("", ""), execute("", 0), sync()]));
    assert_eq!(shown(&client.until_ready()), "2 D C(SELECT 1) ZI");
}

#[test]
fn copy_works_in_both_protocols_and_pipelined() {
    let mut client = proxy().login("postgres", &[]);
    client.query("CREATE TABLE copied_raw (id int)");
    let row = message(b'd', b"7\n");
    client.send(&query("COPY copied_raw FROM STDIN"));
    assert_eq!(client.receive().unwrap().0, b'G');
    client.send(&batch(&[row.clone(), row.clone(), message(b'c', b"")]));
    assert_eq!(shown(&client.until_ready()), "C(COPY 2) ZI");
    client.send(&batch(&[parse("", "COPY copied_raw FROM STDIN"), bind("", ""), execute("", 0), sync()]));
    assert_eq!(shown(&(0..3).map(|_| client.receive().unwrap()).collect::<Vec<_>>()), "1 2 G");
    client.send(&batch(&[row.clone(), message(b'c', b""), sync()]));
    assert_eq!(shown(&client.until_ready()), "C(COPY 1) ZI");
    client.send(&batch(&[
        parse("", "COPY copied_raw FROM STDIN"),
        bind("", ""),
        execute("", 0),
        sync(),
        row.clone(),
        message(b'c', b""),
        sync(),
        query("SELECT 1"),
    ]));
    assert_eq!(shown(&client.until_ready()), "1 2 G C(COPY 1) ZI");
    assert_eq!(shown(&client.until_ready()), "T D C(SELECT 1) ZI");
    client.send(&batch(&[query("COPY copied_raw FROM STDIN"), row, message(b'f', b"no\0")]));
    assert_eq!(shown(&client.until_ready()), "G E57014 ZI");
    client.send(&query("COPY copied_raw TO STDOUT"));
    assert_eq!(shown(&client.until_ready()), "H d d d d c C(COPY 4) ZI");
}

#[test]
fn a_statement_that_is_too_long_is_skipped_and_the_session_goes_on() {
    let mut client = proxy().login("postgres", &[]);
    let long = "x".repeat(20_000_000);
    client.send(&query("BEGIN"));
    client.send(&query(&long));
    client.send(&query("ROLLBACK"));
    assert_eq!(shown(&client.until_ready()), "C(BEGIN) ZT");
    assert_eq!(shown(&client.until_ready()), "E54000 ZE");
    assert_eq!(shown(&client.until_ready()), "C(ROLLBACK) ZI");
    client.send(&batch(&[parse("", &long), bind("", ""), sync(), query("SELECT 1")]));
    assert_eq!(shown(&client.until_ready()), "E54000 ZI");
    assert_eq!(shown(&client.until_ready()), "T D C(SELECT 1) ZI");
}

#[test]
fn hostile_bytes_before_login_get_an_error_or_the_end() {
    let proxy = proxy();
    for bytes in [
        &b"\x40\0\0\0\0\x03\0\0"[..],
        b"\0\0\0\x04",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x0c\0\x03\0\0user",
        b"\0\0\0\x09\0\x02\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01",
        b"\0\0\0\x09\0\x03\0\0\0",
        b"\0\0\0\x13\0\x03\0\0user\0\xff\xfe\0\0xx",
    ] {
        let mut client = proxy.connect();
        client.send(bytes);
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer[0] == b'E', "{bytes:?} was answered by {answer:?}");
    }
    assert_eq!(proxy.login("postgres", &[]).query("SELECT 1"), "T D C(SELECT 1) ZI");
}

#[test]
fn hostile_messages_after_login_end_the_session_with_a_clear_error() {
    for bytes in [
        &message(b'!', b"")[..],
        b"Q\0\0\0\x03",
        b"D\x3f\xff\xff\xff",
        b"S\0\0\0\x05x",
        &message(b'D', b"Xname\0"),
        &message(b'B', b"portal without an end"),
        &message(b'E', b"p\0\0"),
        b"Q\x7f\xff\xff\xff",
        &message(b'p', b"password\0"),
    ] {
        let mut client = proxy().login("postgres", &[]);
        client.send(bytes);
        assert_eq!(shown(&client.until_closed()), "E08P01", "{bytes:?}");
    }
}

#[test]
fn text_that_does_not_fill_its_frame_or_is_not_utf8_is_refused() {
    let mut client = proxy().login("postgres", &[]);
    client.send(&message(b'Q', b"SELECT 1\0; DROP TABLE x\0"));
    assert_eq!(shown(&client.until_ready()), "E08P01 ZI");
    client.send(&message(b'Q', b"SELECT '\xff'\0"));
    assert_eq!(shown(&client.until_ready()), "E22021 ZI");
    client.send(&batch(&[message(b'P', b"\0SELECT 1\0\0\0x"), sync()]));
    assert_eq!(shown(&client.until_ready()), "E08P01 ZI");
}

#[test]
fn plaintext_behind_an_ssl_request_is_refused() {
    let mut client = proxy().connect();
    let mut bytes = b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec();
    bytes.extend(b"\0\0\0\x08\0\x03\0\0");
    client.send(&bytes);
    assert_eq!(shown(&client.until_closed()), "E08P01");
}

#[test]
fn encryption_that_is_not_offered_is_declined_once() {
    let mut client = proxy().connect();
    for request in [b"\0\0\0\x08\x04\xd2\x16\x30", b"\0\0\0\x08\x04\xd2\x16\x2f"] {
        client.send(request);
        let mut answer = [0];
        client.stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"N");
    }
    client.send(b"\0\0\0\x08\x04\xd2\x16\x2f");
    assert_eq!(shown(&client.until_closed()), "E08P01");
}

#[test]
fn newer_protocols_and_unknown_options_are_negotiated() {
    let mut client = proxy().connect();
    client.startup(3, 9999, &[("user", "postgres"), ("_pq_.new", "1"), ("database", "postgres")]);
    let messages = client.until_ready();
    assert_eq!(messages[0], (b'v', b"\0\x03\0\x02\0\0\0\x01_pq_.new\0".to_vec()));
    let key = messages.iter().find(|(tag, _)| *tag == b'K').unwrap();
    assert_eq!(key.1.len(), 4 + 32);
    let mut old = proxy().connect();
    old.startup(3, 0, &[("user", "postgres")]);
    let messages = old.until_ready();
    assert_eq!(messages.iter().find(|(tag, _)| *tag == b'K').unwrap().1.len(), 8);
    assert!(!messages.iter().any(|(tag, _)| *tag == b'v'));
    let mut ancient = proxy().connect();
    ancient.startup(2, 0, &[]);
    assert_eq!(shown(&ancient.until_closed()), "E0A000");
}

#[test]
fn start_up_that_may_not_be_is_refused_with_a_reason() {
    for (parameters, sqlstate, word) in [
        (&[("user", "nobody_known")][..], "28000", "nobody_known"),
        (&[("user", "support"), ("database", "postgres@marketing")], "28000", "marketing"),
        (&[("user", "support"), ("database", "postgres"), ("options", "-c pgpurpose.purpose=fraud")], "28000", "fraud"),
        (&[("user", "postgres"), ("client_encoding", "LATIN1")], "22023", "client_encoding"),
        (&[("user", "postgres"), ("replication", "true")], "0A000", "replication"),
        (&[("user", "postgres"), ("options", "-c row_security=off")], "42501", "row_security"),
        (&[("user", "postgres"), ("database", "no_such_database")], "3D000", "no_such_database"),
    ] {
        let mut client = proxy().connect();
        client.startup(3, 0, parameters);
        let messages = client.until_closed();
        assert_eq!(shown(&messages), format!("E{sqlstate}"), "{parameters:?}");
        assert!(field(&messages[0].1, b'M').contains(word), "{}", field(&messages[0].1, b'M'));
        assert_eq!(field(&messages[0].1, b'S'), "FATAL");
    }
}

#[test]
fn the_purpose_of_the_connection_reaches_show() {
    let shown_purpose = |parameters: &[(&str, &str)]| {
        let mut client = proxy().login("postgres", parameters);
        client.send(&query("SHOW pgpurpose.role"));
        let messages = client.until_ready();
        let row = messages.iter().find(|(tag, _)| *tag == b'D').unwrap();
        String::from_utf8_lossy(&row.1[6..]).into_owned()
    };
    assert_eq!(shown_purpose(&[]), "migrator");
}

#[test]
fn a_cancel_request_with_the_proxys_key_stops_the_query() {
    let mut client = proxy().connect();
    client.startup(3, 2, &[("user", "postgres"), ("database", "postgres")]);
    let messages = client.until_ready();
    let key = &messages.iter().find(|(tag, _)| *tag == b'K').unwrap().1;
    client.send(&query("SELECT pg_sleep(30)"));
    std::thread::sleep(Duration::from_millis(300));
    let cancel = |secret: &[u8]| {
        let mut bytes = (secret.len() as u32 + 12).to_be_bytes().to_vec();
        bytes.extend(80_877_102_u32.to_be_bytes());
        bytes.extend(&key[..4]);
        bytes.extend(secret);
        let mut other = proxy().connect();
        other.send(&bytes);
        assert_eq!(other.until_closed(), []);
    };
    let mut wrong = key[4..].to_vec();
    wrong[5] ^= 1;
    cancel(&wrong);
    client.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(client.stream.read(&mut [0]).is_err(), "a wrong key cancelled the query");
    client.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    cancel(&key[4..]);
    assert_eq!(shown(&client.until_ready()), "T E57014 ZI");
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let mut options = Options::new("127.0.0.1:0", servers(&socket()));
    options.max_connections = 2;
    let proxy = start(options);
    let (_first, second) = (proxy.login("postgres", &[]), proxy.login("postgres", &[]));
    let mut third = proxy.connect();
    third.startup(3, 0, &[("user", "postgres")]);
    assert_eq!(shown(&third.until_closed()), "E53300");
    drop(second);
    let started = Instant::now();
    loop {
        let mut again = proxy.connect();
        again.startup(3, 0, &[("user", "postgres"), ("database", "postgres")]);
        if again.receive().is_some_and(|(tag, _)| tag == b'R') {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_does_not_log_in_is_cut_off() {
    let mut options = Options::new("127.0.0.1:0", servers(&socket()));
    options.login_timeout = Duration::from_millis(300);
    let proxy = start(options);
    let mut client = proxy.connect();
    client.send(b"\0\0");
    let started = Instant::now();
    assert_eq!(client.until_closed(), []);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn stopping_tells_every_session() {
    let mut proxy = start(Options::new("127.0.0.1:0", servers(&socket())));
    let mut idle = proxy.login("postgres", &[]);
    let mut busy = proxy.login("postgres", &[]);
    busy.send(&query("SELECT pg_sleep(30)"));
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    proxy.server.take().unwrap().stop(Duration::ZERO);
    assert_eq!(shown(&idle.until_closed()), "E57P01");
    assert!(shown(&busy.until_closed()).ends_with("E57P01"));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!std::fs::read_dir(proxy.log.path()).unwrap().collect::<Vec<_>>().is_empty());
}

#[test]
fn a_database_that_ends_the_connection_ends_the_session() {
    let mut client = proxy().login("postgres", &[]);
    client.send(&query("SELECT pg_terminate_backend(pg_backend_pid())"));
    assert!(shown(&client.until_closed()).ends_with("E57P01"));
}

#[test]
fn an_unreachable_database_is_said_so() {
    let proxy = start(Options::new("127.0.0.1:0", servers("127.0.0.1:1")));
    let mut client = proxy.connect();
    client.startup(3, 0, &[("user", "postgres")]);
    assert_eq!(shown(&client.until_closed()), "E08001");
}

#[test]
fn a_password_is_checked_by_the_database_over_both_kinds_of_socket() {
    let tcp = cluster().tcp_address().unwrap();
    for address in [socket(), tcp] {
        let proxy = start(Options::new("127.0.0.1:0", servers(&address)));
        for (password, fine) in [("geheim", true), ("falsch", false)] {
            let output = cluster()
                .client("psql")
                .env("PGHOST", "127.0.0.1")
                .env("PGPORT", proxy.port.to_string())
                .env("PGUSER", "scram")
                .env("PGDATABASE", "postgres")
                .env("PGPASSWORD", password)
                .args(["-XAtc", "SELECT current_user"])
                .output()
                .unwrap();
            let out = String::from_utf8_lossy(&output.stdout);
            let err = String::from_utf8_lossy(&output.stderr);
            if fine {
                assert_eq!(out, "scram\n", "{err}");
            } else {
                assert!(err.contains("password authentication failed"), "{err}");
            }
        }
    }
}

#[test]
fn tls_is_offered_by_request_and_directly() {
    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (cert, key) = (folder.path().join("server.crt"), folder.path().join("server.key"));
    std::fs::write(&cert, issued.cert.pem()).unwrap();
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    let mut options = Options::new("127.0.0.1:0", servers(&socket()));
    options.tls = Some(ListenTls::new(&cert, &key, None, true).unwrap());
    let proxy = start(options);

    let psql = |mode: &str| {
        cluster()
            .client("psql")
            .env("PGPORT", proxy.port.to_string())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres")
            .env("PGHOST", "127.0.0.1")
            .env("PGSSLMODE", mode)
            .args(["-XAtc", "\\conninfo"])
            .output()
            .unwrap()
    };
    let output = psql("require");
    assert!(String::from_utf8_lossy(&output.stdout).contains("TLSv1.3"), "{output:?}");
    assert!(String::from_utf8_lossy(&psql("disable").stderr).contains("TLS only"));

    // Bytes in clear behind the request must never be taken for the session's.
    let mut attacked = proxy.connect();
    attacked.send(&batch(&[b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), query("SELECT 1")]));
    assert_eq!(shown(&attacked.until_closed()), "E08P01");

    for (alpn, fine) in [(Some(&b"postgresql"[..]), true), (None, false)] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(issued.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.into_iter().map(<[u8]>::to_vec).collect();
        let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, proxy.connect().stream);
        let startup = b"\0\0\0\x27\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let mut startup = startup.to_vec();
        startup[3] = startup.len() as u8;
        stream.write_all(&startup).unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(first[0] == b'R', fine, "ALPN {alpn:?}");
    }
}

#[test]
fn a_flood_of_queries_before_the_first_answer_is_read_neither_hangs_nor_piles_up() {
    let mut client = proxy().login("postgres", &[]);
    let mut writer = client.stream.try_clone().unwrap();
    let count = 20_000;
    let sender = std::thread::spawn(move || {
        let one = batch(&[parse("", "SELECT generate_series(1, 100)"), bind("", ""), execute("", 0), sync()]);
        for _ in 0..count {
            writer.write_all(&one).unwrap();
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..count {
        let messages = client.until_ready();
        assert_eq!(messages.len(), 100 + 4);
    }
    sender.join().unwrap();
}

#[test]
fn a_pipeline_without_a_sync_is_answered_though_it_is_long() {
    let mut client = proxy().login("postgres", &[]);
    let mut writer = client.stream.try_clone().unwrap();
    let count = 10_000;
    let sender = std::thread::spawn(move || {
        writer.write_all(&parse("s", "SELECT 1")).unwrap();
        for _ in 0..count {
            writer.write_all(&batch(&[bind("", "s"), execute("", 0)])).unwrap();
        }
        writer.write_all(&sync()).unwrap();
    });
    assert_eq!(client.until_ready().len(), 1 + 3 * count + 1);
    sender.join().unwrap();
}

#[test]
fn a_database_that_is_killed_ends_every_session_within_a_second() {
    let cluster = pgpurpose::cluster::Cluster::start(&pgpurpose::cluster::ClusterOptions::default()).unwrap();
    let address = format!("{}:{}", cluster.socket_dir().display(), cluster.port());
    let proxy = start(Options::new("127.0.0.1:0", servers(&address)));
    let mut idle = proxy.login("postgres", &[]);
    let mut busy = proxy.login("postgres", &[]);
    let pid = busy.rows("SELECT pg_backend_pid()")[0].clone();
    busy.send(&query("SELECT pg_sleep(60)"));
    std::thread::sleep(Duration::from_millis(200));
    let killed = Instant::now();
    let status = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(status.success());
    assert!(shown(&busy.until_closed()).contains('E'));
    assert!(shown(&idle.until_closed()).contains('E'));
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
}

#[test]
fn whatever_is_refused_to_a_login_whose_role_is_gone_stands_in_the_log() {
    let proxy = start(Options::new("127.0.0.1:0", servers(&socket())));
    let mut client = proxy.login("support", &[]);
    let none = POLICY.replace("logins = [\"support\"]", "logins = [\"somebody_else\"]");
    let none = pgpurpose::policy::PolicySet::from_sources(&[("test.toml".into(), none)]).unwrap();
    proxy.shared.policies.store(Arc::new(none));
    let refused = || {
        let records = proxy.records();
        records.iter().filter(|record| record["event"] == "access" && record["verdict"] == "deny").count()
    };
    let before = refused();
    for (number, (what, bytes)) in [
        ("an empty statement is prepared", batch(&[parse("", ""), sync()])),
        ("a comment is prepared", batch(&[parse("", "-- nothing"), sync()])),
        ("a statement is prepared", batch(&[parse("", "SELECT 1"), sync()])),
        ("a query", query("SELECT 1")),
        ("a name that no catalog has", query("SELECT * FROM missing")),
    ]
    .into_iter()
    .enumerate()
    {
        client.send(&bytes);
        let answer = shown(&client.until_ready());
        assert!(answer.contains('E'), "{what}: {answer}");
        assert_eq!(refused(), before + number + 1, "{what}: {answer}");
    }
}
