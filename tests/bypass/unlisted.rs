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
    /// By the governed one.
    ask: Vec<String>,
    /// The SQLSTATE with which each is refused; without it each is answered.
    refused: Option<String>,
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
    for Case { name, define, ask, refused } in read.case {
        let (mut owner, _) = Session::open(proxy.port, "owner", &[]);
        for sql in &define {
            let answer = owner.query(sql);
            assert!(answer.states.is_empty(), "{name}: {sql}: {answer:?}");
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
}
