//! Under a policy that opens everything, what a client is answered through the proxy is what PostgreSQL answers it: each case runs
//! its steps directly and through the proxy, in two databases that are alike.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod closed;
mod dump;
#[path = "../raw/mod.rs"]
mod raw;
mod temporary;
mod words;

use std::collections::{BTreeMap, BTreeSet};
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
    /// between `;;`, before one Sync. `latin1: ` sends a simple query with one byte a character. `other: ` runs it beside, directly in both.
    steps: Vec<String>,
}

fn cases() -> Vec<(String, Vec<String>)> {
    let texts = [
        include_str!("structure.toml"),
        include_str!("temporary.toml"),
        include_str!("answers.toml"),
        include_str!("clients.toml"),
        include_str!("words.toml"),
        include_str!("functions.toml"),
    ];
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
        cluster().run_sql("postgres", "CREATE ROLE app LOGIN SUPERUSER; CREATE ROLE other").unwrap();
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
    if let Some(copy) = step.strip_prefix("copy: ") {
        let (sql, rows) = copy.split_once(" ;; ").unwrap();
        let messages = [raw::query(sql), raw::message(b'd', rows.as_bytes()), raw::message(b'c', b"")].concat();
        client.send(&messages);
        return said(&client.until_ready());
    }
    if let Some(sql) = step.strip_prefix("latin1: ") {
        let bytes: Vec<u8> = sql.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        client.send(&raw::message(b'Q', &[&bytes[..], &[0]].concat()));
        return said(&client.until_ready());
    }
    if let Some(sql) = step.strip_prefix("parse: ") {
        client.send(&[parse("", sql), sync()].concat());
        return said(&client.until_ready());
    }
    if step == "unnamed" {
        client.send(&[bind("", ""), execute("", 0), sync()].concat());
        return said(&client.until_ready());
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
    said(&client.until_ready())
}

fn said(messages: &[raw::Message]) -> String {
    let told: Vec<String> = messages.iter().filter_map(told).collect();
    format!("{} {:?} {}", shown(messages), rows(messages), told.join("; "))
}

/// The fields of an error or a notice, but for the line of PostgreSQL's source and the number of a temporary schema.
fn fields(body: &[u8]) -> BTreeSet<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kept = |field: &String| match field.chars().next() {
        Some('L') | None => false,
        Some('s') => !field.starts_with("spg_temp_"),
        Some(_) => true,
    };
    body.split(|byte| *byte == 0).map(text).filter(kept).collect()
}

/// What an error, a notice, a notification or the description of a row says, but for numbers that two databases give otherwise.
fn told((tag, body): &raw::Message) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match tag {
        b'E' | b'N' => Some(format!("{}{:?}", char::from(*tag), fields(body))),
        b'A' => Some(format!("A{:?}", body[4..].split(|byte| *byte == 0).map(text).collect::<Vec<_>>())),
        b'G' | b'H' | b'd' => Some(format!("{}{body:?}", char::from(*tag))),
        b'T' => {
            let mut columns = Vec::new();
            let mut rest = &body[2..];
            while !rest.is_empty() {
                let end = rest.iter().position(|byte| *byte == 0).unwrap();
                let kind = u32::from_be_bytes(rest[end + 7..end + 11].try_into().unwrap());
                let kind = if kind < 16384 { kind.to_string() } else { "own".to_owned() };
                columns.push(format!("{} {kind} {:?}", text(&rest[..end]), &rest[end + 11..end + 19]));
                rest = &rest[end + 19..];
            }
            Some(format!("T{columns:?}"))
        }
        _ => None,
    }
}

#[test]
fn a_client_is_answered_as_it_is_without_the_proxy() {
    let proxy = proxy();
    let before_15 = cluster().run_sql("postgres", "SHOW server_version_num").unwrap().trim() < "150000";
    let mut differences = Vec::new();
    for (number, (kind, steps)) in cases().iter().enumerate() {
        if before_15 && kind == "numbers" {
            continue;
        }
        let mut through = proxy.login("app", &[("database", "through")]);
        let mut direct = straight("beside", "app");
        let (mut beside_through, mut beside_direct) = (straight("through", "app"), straight("beside", "app"));
        let path = format!("SET search_path = s{number}");
        for client in [&mut through, &mut direct, &mut beside_through, &mut beside_direct] {
            client.query(&path);
        }
        for step in steps {
            let there = |database: &str| step.replace("DBNAME", database).replace("SCHEMA", &format!("s{number}"));
            let expected = run(&mut direct, &mut beside_direct, &there("beside"));
            let said = run(&mut through, &mut beside_through, &there("through")).replace("through", "beside");
            if expected != said {
                differences.push(format!("{kind} ({number}): {step}\n  direct:  {expected}\n  through: {said}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}
