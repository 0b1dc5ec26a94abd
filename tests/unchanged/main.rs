//! Under a policy that opens everything, what a client is answered through the proxy is what PostgreSQL answers it: each case runs
//! its steps directly and through the proxy, in two databases that are alike.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../raw/mod.rs"]
mod raw;
mod temporary;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use pgpurpose::server::Options;
use raw::{Client, Proxy, bind, cluster, describe, execute, parse, rows, servers, shown, socket, sync};

const POLICY: &str = r#"
version = 1
unlisted_tables = "allow"
[purposes.work]
basis = "contract"
[roles.app]
logins = ["app"]
purposes = ["work"]
ddl = true
"#;

/// Cases by kind.
#[derive(serde::Deserialize)]
struct Cases {
    #[serde(flatten)]
    kinds: BTreeMap<String, Vec<Case>>,
}

#[derive(serde::Deserialize)]
struct Case {
    /// Statements as simple queries; `extended: ` before one sends it by Parse, Bind, Describe, Execute, Sync, and `pipeline: ` several,
    /// between `;;`, before one Sync. `other: ` runs it beside, directly in both.
    steps: Vec<String>,
}

fn cases() -> Vec<(String, Vec<String>)> {
    let texts = [include_str!("structure.toml"), include_str!("temporary.toml")];
    let mut all = Vec::new();
    for text in texts {
        let cases: Cases = toml::from_str(text).unwrap();
        for (kind, cases) in cases.kinds {
            all.extend(cases.into_iter().map(|case| (kind.clone(), case.steps)));
        }
    }
    all
}

/// The proxy before the database `through`; `beside` is the other.
fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| {
        cluster().run_sql("postgres", "CREATE ROLE app LOGIN SUPERUSER").unwrap();
        for database in ["through", "beside"] {
            straight("postgres", "postgres").query(&format!("CREATE DATABASE {database}"));
            let schemas: String = (0..cases().len()).map(|number| format!("CREATE SCHEMA s{number};")).collect();
            cluster().run_sql(database, &schemas).unwrap();
        }
        raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("through"))
    })
}

fn straight(database: &str, user: &str) -> Client {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, cluster().port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut client = Client { stream };
    client.startup(3, 0, &[("user", user), ("database", database)]);
    client.until_ready();
    client
}

fn run(client: &mut Client, beside: &mut Client, step: &str) -> String {
    if let Some(sql) = step.strip_prefix("other: ") {
        return beside.query(sql);
    }
    let pipeline = |statements: &mut dyn Iterator<Item = &str>| {
        let mut all = Vec::new();
        for sql in statements {
            all.extend([parse("", sql), bind("", ""), describe('P', ""), execute("", 0)].concat());
        }
        all.extend(sync());
        all
    };
    let message = match (step.strip_prefix("extended: "), step.strip_prefix("pipeline: ")) {
        (Some(sql), _) => pipeline(&mut std::iter::once(sql)),
        (_, Some(sql)) => pipeline(&mut sql.split(";;").map(str::trim)),
        (None, None) => raw::query(step),
    };
    client.send(&message);
    let messages = client.until_ready();
    format!("{} {:?}", shown(&messages), rows(&messages))
}

#[test]
fn a_client_is_answered_as_it_is_without_the_proxy() {
    let proxy = proxy();
    let mut differences = Vec::new();
    for (number, (kind, steps)) in cases().iter().enumerate() {
        let mut through = proxy.login("app", &[("database", "through")]);
        let mut direct = straight("beside", "app");
        let (mut beside_through, mut beside_direct) = (straight("through", "app"), straight("beside", "app"));
        let path = format!("SET search_path = s{number}");
        for client in [&mut through, &mut direct, &mut beside_through, &mut beside_direct] {
            client.query(&path);
        }
        for step in steps {
            let (expected, said) =
                (run(&mut direct, &mut beside_direct, step), run(&mut through, &mut beside_through, step));
            if expected != said {
                differences.push(format!("{kind}: {steps:?}\n  at {step}\n  direct:  {expected}\n  through: {said}"));
                break;
            }
        }
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}
