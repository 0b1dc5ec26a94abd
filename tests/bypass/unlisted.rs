//! `unlisted_tables = "allow"`: what is closed all the same. The cases are in `wire/unlisted.toml`: what the database is made to hold, by
//! an unrestricted login through the proxy, and what a governed login is told then.

use serde::Deserialize;

use super::client::Session;
use super::support::{self, proxy::Proxy, proxy::Upstream};

const POLICY: &str = r#"
version = 1
unlisted_tables = "allow"
[tables."public.people"]
subject = "id"
columns = { id = "reference", secret = "health" }
[tables."public.events"]
columns = { id = "reference", secret = "health" }
[tables."public.later"]
columns = { id = "reference", secret = "health" }
[tables."public.quiet"]
columns = { id = "reference", secret = "health" }
[tables."public.gone"]
columns = { id = "reference", secret = "health" }
[tables."public.later_too"]
columns = { id = "reference", secret = "health" }
[purposes.support]
basis = "contract"
[roles.agent]
logins = ["agent"]
purposes = ["support"]
[roles.owner]
logins = ["owner"]
unrestricted = "makes the structure"
[[rules]]
name = "keys"
roles = ["agent"]
purposes = ["support"]
read = ["reference"]
"#;

const SCHEMA: &str = "
    CREATE ROLE agent LOGIN SUPERUSER; CREATE ROLE owner LOGIN SUPERUSER;
    CREATE TABLE people (id int PRIMARY KEY, secret text); INSERT INTO people VALUES (1, 'qzsecret1');
    CREATE TABLE events (id int, secret text) PARTITION BY RANGE (id);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10); INSERT INTO events VALUES (1, 'qzsecret2');
    CREATE TABLE later (id int, secret text); INSERT INTO later VALUES (1, 'qzsecret3');
    CREATE TABLE quiet (id int, secret text); INSERT INTO quiet VALUES (1, 'qzsecret4');
    CREATE TABLE gone (id int, secret text); INSERT INTO gone VALUES (1, 'qzsecret5');
    CREATE TABLE later_too (id int, secret text); INSERT INTO later_too VALUES (1, 'qzsecret6');
    CREATE TABLE free (id int DEFAULT 7, note text); INSERT INTO free VALUES (1, 'plain')";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// By the unrestricted login, through the proxy.
    #[serde(default)]
    define: Vec<String>,
    /// Straight on the database, by somebody whom the proxy does not see.
    #[serde(default)]
    beside: Vec<String>,
    /// By the governed one.
    ask: Vec<String>,
    /// The SQLSTATE with which each is refused; without it each is answered.
    refused: Option<String>,
}

#[test]
fn a_name_from_before_is_known_in_a_database_that_nobody_used_for_a_while() {
    let cluster = support::own_cluster();
    support::direct(&cluster, "postgres", "CREATE ROLE pgpurpose LOGIN SUPERUSER");
    cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
    cluster.run_statements("postgres", "CREATE DATABASE wayside").unwrap();
    cluster.run_statements("shop", SCHEMA).unwrap();
    cluster
        .run_statements(
            "wayside",
            &SCHEMA.replace("CREATE ROLE agent LOGIN SUPERUSER; CREATE ROLE owner LOGIN SUPERUSER;", ""),
        )
        .unwrap();
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    let aside = [("database", "wayside")];
    let (mut agent, _) = Session::open(proxy.port, "agent", &aside);
    assert_eq!(agent.query("SELECT id FROM quiet").rows, ["1"]);
    drop(agent);
    // Its catalog is closed, for nobody uses it: the database could be dropped.
    let connected =
        || support::direct(&cluster, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = 'wayside'");
    let begun = std::time::Instant::now();
    while connected().trim() != "0" {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    cluster.run_statements("wayside", "ALTER TABLE quiet RENAME TO silent").unwrap();
    let (mut agent, _) = Session::open(proxy.port, "agent", &aside);
    for sql in ["SELECT secret FROM silent", "SELECT count(*) FROM silent WHERE secret > 'a'"] {
        assert_eq!(agent.query(sql).states, ["42501"], "{sql}");
    }
    cluster.run_statements("wayside", "DROP TABLE silent").unwrap();
}

#[test]
fn what_no_policy_names_and_yet_holds_what_is_governed_is_closed() {
    let cluster = support::own_cluster();
    support::direct(&cluster, "postgres", "CREATE ROLE pgpurpose LOGIN SUPERUSER");
    cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
    cluster.run_statements("shop", SCHEMA).unwrap();
    let proxy = Proxy::start_with(&cluster, Upstream::Socket, POLICY, "");
    let read: Cases = toml::from_str(include_str!("wire/unlisted.toml")).unwrap();
    let mut faults = Vec::new();
    for Case { name, define, beside, ask, refused } in read.case {
        let (mut owner, _) = Session::open(proxy.port, "owner", &[]);
        for sql in &define {
            let answer = owner.query(sql);
            assert!(answer.states.is_empty(), "{name}: {sql}: {answer:?}");
        }
        if !beside.is_empty() {
            cluster.run_statements("shop", &beside.join("; ")).unwrap();
            // A name that is not known makes the proxy read the catalog again, twice a second at most.
            std::thread::sleep(std::time::Duration::from_millis(600));
        }
        let (mut agent, _) = Session::open(proxy.port, "agent", &[]);
        for sql in &ask {
            let answer = agent.query(sql);
            let held = match &refused {
                Some(state) => answer.states == [state.clone()],
                None => answer.states.is_empty(),
            };
            if !held {
                faults.push(format!("{name}: {sql}: {answer:?}"));
            }
        }
        let said = String::from_utf8_lossy(&agent.all).to_lowercase();
        if said.contains("qzsecret") {
            faults.push(format!("{name}: a secret came back"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The operator is told that listings match nothing any more, without a reload.
    let told = || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", proxy.admin_port)).unwrap();
        let mut page = String::new();
        std::io::Write::write_all(&mut stream, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        std::io::Read::read_to_string(&mut stream, &mut page).unwrap();
        page
    };
    let begun = std::time::Instant::now();
    while !told().contains("the database has no table `public.quiet`") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{}", told());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(
        told().contains("200 OK") && proxy.output().contains("the policies no longer fit it"),
        "{}",
        proxy.output()
    );
}
