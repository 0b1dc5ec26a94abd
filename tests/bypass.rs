//! A catalogue of ways round, each run against a real cluster through the built proxy. Protected values are canaries that
//! are searched for in every byte that the client receives; what the tables hold must be the same afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::print_stdout
)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgpurpose::cli::cluster::Cluster;
use serde::Deserialize;
use support::proxy::{Proxy, Upstream};

/// One file: one class of ways round.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    group: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    login: String,
    #[serde(default)]
    purpose: Option<String>,
    /// `clean`: answered or not, but without a canary. `refused`: some statement is refused, not failed by its data. Five letters: one fails with that
    /// SQLSTATE. `same`: all statements get the same answer but for their own text. `answered`: none fails.
    expect: String,
    /// Run as superuser on the cluster before and after each case.
    #[serde(default)]
    before: Vec<String>,
    #[serde(default)]
    after: Vec<String>,
    /// Name, then the simple queries that are sent one after the other in one session.
    cases: Vec<Vec<String>>,
}

struct Stand {
    cluster: Cluster,
    proxy: Proxy,
    canaries: BTreeMap<&'static str, Vec<String>>,
}

fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let cluster = support::own_cluster();
        support::direct(&cluster, "postgres", "CREATE ROLE pgpurpose LOGIN SUPERUSER");
        cluster.run_statements("postgres", "CREATE DATABASE shop").unwrap();
        cluster.run_statements("shop", include_str!("bypass/schema.sql")).unwrap();
        let proxy = Proxy::start_with(&cluster, Upstream::Socket, include_str!("bypass/policy.toml"), "");
        let values = |sql: &str| -> Vec<String> {
            support::direct(&cluster, "shop", sql).lines().map(str::to_owned).collect()
        };
        let everywhere = "SELECT secret FROM people UNION ALL SELECT note FROM people UNION ALL SELECT phone FROM people
            UNION ALL SELECT (home).street FROM people UNION ALL SELECT (home).zip FROM people
            UNION ALL SELECT salary::text FROM people UNION ALL SELECT place FROM visits UNION ALL SELECT what FROM visit_lines
            UNION ALL SELECT email FROM other.people UNION ALL SELECT \"Odd Column\" FROM \"Odd \"\"Schema\".\"Odd Table\"
            UNION ALL SELECT v FROM hidden UNION ALL SELECT body FROM events UNION ALL SELECT body FROM child
            UNION ALL SELECT more FROM child UNION ALL SELECT body FROM closed_child UNION ALL SELECT canary('larg', 1)";
        let everywhere = values(everywhere);
        let contact = |more: &str| {
            values(&format!("SELECT email FROM people {more} UNION ALL SELECT nick FROM people {more}"))
        };
        let canaries = [("agent", contact("")), ("market", contact("WHERE id > 5")), ("stats", contact("")), ("stranger", contact(""))];
        let canaries = canaries
            .into_iter()
            .map(|(login, own)| {
                let forms = own.iter().chain(&everywhere).flat_map(|value| forms(value)).collect();
                (login, forms)
            })
            .collect();
        Stand { cluster, proxy, canaries }
    })
}

/// What a canary may look like: whole, its random end, reversed, hex, base64 at each offset; lower case.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_lowercase()];
    let random = &value[value.len().saturating_sub(12)..];
    let reversed: String = random.chars().rev().collect();
    forms.extend([random.to_lowercase(), reversed.to_lowercase()]);
    forms.push(value.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    }));
    if value.len() > 10 {
        for offset in 0..3 {
            let whole = (value.len() - offset) / 3 * 3;
            forms.push(base64(&value.as_bytes()[offset..offset + whole]).to_lowercase());
        }
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks_exact(3) {
        let all = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        for shift in [18, 12, 6, 0] {
            out.push(char::from(ALPHABET[(all >> shift & 63) as usize]));
        }
    }
    out
}

fn found(canaries: &[String], bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    canaries.iter().find(|canary| text.contains(canary.as_str())).cloned()
}

/// A raw session: everything that comes back is kept.
struct Session {
    stream: TcpStream,
    all: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Answer {
    states: Vec<String>,
    messages: Vec<String>,
    rows: Vec<String>,
    tags: Vec<String>,
    closed: bool,
}

impl Session {
    fn open(port: u16, login: &str, more: &[(&str, &str)]) -> (Self, Answer) {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut session = Self { stream, all: Vec::new() };
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        let mut parameters = vec![("user", login)];
        if !more.iter().any(|(name, _)| *name == "database") {
            parameters.push(("database", "shop"));
        }
        parameters.extend_from_slice(more);
        for (name, value) in parameters {
            body.extend(format!("{name}\0{value}\0").bytes());
        }
        body.push(0);
        let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend(body);
        session.stream.write_all(&bytes).unwrap();
        let answer = session.until_ready();
        (session, answer)
    }

    fn send(&mut self, bytes: &[u8]) -> Answer {
        if self.stream.write_all(bytes).is_err() {
            return Answer { closed: true, ..Answer::default() };
        }
        self.until_ready()
    }

    fn query(&mut self, sql: &str) -> Answer {
        self.send(&message(b'Q', &[sql.as_bytes(), b"\0"].concat()))
    }

    fn until_ready(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            let mut header = [0; 5];
            if self.stream.read_exact(&mut header).is_err() {
                answer.closed = true;
                return answer;
            }
            let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
            if self.stream.read_exact(&mut body).is_err() {
                answer.closed = true;
                return answer;
            }
            self.all.extend_from_slice(&body);
            self.all.push(0);
            match header[0] {
                b'Z' => return answer,
                b'E' => {
                    answer.states.push(field(&body, b'C'));
                    answer.messages.push(field(&body, b'M'));
                }
                b'D' => answer.rows.push(row(&body)),
                b'd' => answer.rows.push(String::from_utf8_lossy(&body).trim_end().to_owned()),
                b'C' => answer.tags.push(String::from_utf8_lossy(&body[..body.len() - 1]).into_owned()),
                b'G' => {
                    let done = [message(b'd', b"1\tx\n"), message(b'c', b"")].concat();
                    self.stream.write_all(&done).unwrap();
                }
                _ => {}
            }
        }
    }
}

fn row(body: &[u8]) -> String {
    let mut values = Vec::new();
    let mut rest = &body[2..];
    while !rest.is_empty() {
        let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
        rest = &rest[4..];
        match usize::try_from(length) {
            Ok(length) => {
                values.push(String::from_utf8_lossy(&rest[..length]).into_owned());
                rest = &rest[length..];
            }
            Err(_) => values.push("∅".to_owned()),
        }
    }
    values.join("|")
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

fn field(body: &[u8], code: u8) -> String {
    body.split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&code))
        .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
        .unwrap_or_default()
}

const DIGEST: &str = "SELECT md5(concat((SELECT string_agg(p::text, ',' ORDER BY id) FROM people p),
    (SELECT string_agg(p::text, ',' ORDER BY visit) FROM visits p), (SELECT string_agg(p::text, ',' ORDER BY k) FROM things p),
    (SELECT string_agg(p::text, ',' ORDER BY id) FROM other.people p), (SELECT string_agg(p::text, ',') FROM hidden p),
    (SELECT string_agg(p::text, ',') FROM privacy.consents p), (SELECT string_agg(p::text, ',') FROM ruled p),
    (SELECT string_agg(p::text, ',') FROM parent p), (SELECT string_agg(p::text, ',') FROM events p),
    (SELECT string_agg(p::text, ',') FROM open_parent p), (SELECT string_agg(relname, ',' ORDER BY oid) FROM pg_class)))";

fn run(stand: &Stand, direct: &mut Session, class: &str, group: &Group, case: &[String]) -> Result<(), String> {
    for sql in &group.before {
        direct.query(sql);
    }
    let truth = direct.query(DIGEST).rows;
    let options: Vec<(&str, &str)> = match &group.purpose {
        Some(purpose) => vec![("pgpurpose.purpose", purpose)],
        None => Vec::new(),
    };
    let (mut session, opened) = Session::open(stand.proxy.port, &group.login, &options);
    let mut answers = vec![opened];
    for sql in &case[1..] {
        // A byte that is no UTF-8 is written as \xNN in the catalogue.
        let bytes = unescape(sql);
        answers.push(session.send(&message(b'Q', &[&bytes[..], b"\0"].concat())));
    }
    let mut fault = None;
    if let Some(canary) = found(&stand.canaries[group.login.as_str()], &session.all) {
        fault = Some(format!("the canary `{canary}` came back"));
    }
    drop(session);
    let after = direct.query(DIGEST).rows;
    if fault.is_none() && after != truth {
        fault = Some("the tables hold something else than before".to_owned());
    }
    for sql in &group.after {
        direct.query(sql);
    }
    let states: Vec<&String> = answers.iter().flat_map(|answer| &answer.states).collect();
    let held = match group.expect.as_str() {
        "clean" => true,
        // A division by zero is the way round itself, not its end.
        "refused" => {
            states.iter().any(|state| !state.starts_with("22") || *state == "22023")
                || answers.iter().any(|answer| answer.closed)
        }
        "answered" => states.is_empty(),
        "same" => answers[1..].windows(2).all(|pair| pair[0] == pair[1]),
        state => states.iter().any(|found| *found == state),
    };
    if fault.is_none() && !held {
        fault = Some(format!("it is not {}", group.expect));
    }
    match fault {
        None => Ok(()),
        Some(fault) => Err(format!("{class}: {}: {fault}\n   {:?}\n   {answers:?}", case[0], &case[1..])),
    }
}

fn unescape(sql: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = sql;
    while let Some(at) = rest.find("\\xNN:") {
        out.extend(rest[..at].bytes());
        out.push(u8::from_str_radix(&rest[at + 5..at + 7], 16).unwrap());
        rest = &rest[at + 7..];
    }
    out.extend(rest.bytes());
    out
}

#[test]
fn no_way_round_brings_a_protected_value_back() {
    let stand = stand();
    let started = Instant::now();
    let port = stand.cluster.tcp_address().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
    let (mut direct, _) = Session::open(port, "postgres", &[]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bypass");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut counts, mut faults) = (BTreeMap::new(), Vec::new());
    for file in files {
        let class = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if file.extension().is_none_or(|extension| extension != "toml") || class == "policy" || class == "useful" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let read: Class = toml::from_str(&text).unwrap_or_else(|error| panic!("{class}: {error}"));
        for group in &read.group {
            for case in &group.cases {
                *counts.entry(class.clone()).or_insert(0_usize) += 1;
                faults.extend(run(stand, &mut direct, &class, group, case).err());
            }
        }
    }
    let total: usize = counts.values().sum();
    println!("{total} ways round in {:?}: {counts:?}", started.elapsed());
    assert!(faults.is_empty(), "{} of {total} ways round lead somewhere:\n{}", faults.len(), faults.join("\n"));
}
