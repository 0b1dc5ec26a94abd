//! A catalogue of ways round, each run against a real cluster through the built proxy. Protected values are canaries that
//! are searched for in every byte that the client receives; what the tables hold must be the same afterwards.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::print_stdout
)]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod unlisted;
mod wire;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use client::{Answer, Session, message};
use pgpurpose::cluster::Cluster;
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
    /// `clean`: answered or not, but without a canary. `refused`: each case names the SQLSTATE that some statement is refused with.
    /// `unasked`: the same, and the log denies each, so that the database was not asked.
    /// `same`: all statements get the same answer but for their own text. `answered`: none fails, and where a case has rows
    /// they are what comes back. `direct`: what comes back is what the database itself says to the same login.
    expect: String,
    /// Run as superuser on the cluster before and after each case.
    #[serde(default)]
    before: Vec<String>,
    #[serde(default)]
    after: Vec<String>,
    /// Name, the SQLSTATE where one is refused, the simple queries that are sent one after the other in one session, and the
    /// rows of all of them, each behind `=`; one `=` for no row at all.
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
        cluster.run_statements("shop", include_str!("schema.sql")).unwrap();
        let proxy = Proxy::start_with(&cluster, Upstream::Socket, include_str!("policy.toml"), "");
        let values = |sql: &str| -> Vec<String> {
            support::direct(&cluster, "shop", sql).lines().map(str::to_owned).collect()
        };
        let everywhere = "SELECT secret FROM people UNION ALL SELECT note FROM people UNION ALL SELECT phone FROM people
            UNION ALL SELECT (home).street FROM people UNION ALL SELECT (home).zip FROM people
            UNION ALL SELECT salary::text FROM people UNION ALL SELECT place FROM visits UNION ALL SELECT what FROM visit_lines
            UNION ALL SELECT email FROM other.people UNION ALL SELECT \"Odd Column\" FROM \"Odd \"\"Schema\".\"Odd Table\"
            UNION ALL SELECT v FROM hidden UNION ALL SELECT body FROM events UNION ALL SELECT body FROM child
            UNION ALL SELECT guest FROM rooms UNION ALL SELECT more FROM child UNION ALL SELECT body FROM closed_child UNION ALL SELECT body FROM account_notes UNION ALL SELECT body FROM coded UNION ALL SELECT body FROM steps_closed
            UNION ALL SELECT phone FROM dialled UNION ALL SELECT what FROM stock_special UNION ALL SELECT unnest(enum_range(NULL::ward))::text UNION ALL SELECT canary('larg', 1)";
        let everywhere = values(everywhere);
        let contact = |more: &str| {
            values(&format!("SELECT email FROM people {more} UNION ALL SELECT nick FROM people {more}"))
        };
        let canaries = [("agent", contact("")), ("market", contact("WHERE id > 5")), ("stats", contact("")), ("stranger", contact("")), ("owner", contact(""))];
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

const DIGEST: &str = "SELECT md5(concat((SELECT string_agg(p::text, ',' ORDER BY id) FROM people p),
    (SELECT string_agg(p::text, ',' ORDER BY visit) FROM visits p), (SELECT string_agg(p::text, ',' ORDER BY k) FROM things p),
    (SELECT string_agg(p::text, ',' ORDER BY id) FROM other.people p), (SELECT string_agg(p::text, ',') FROM hidden p),
    (SELECT string_agg(p::text, ',') FROM privacy.consents p), (SELECT string_agg(p::text, ',') FROM ruled p),
    (SELECT string_agg(p::text, ',') FROM parent p), (SELECT string_agg(p::text, ',') FROM events p),
    (SELECT string_agg(p::text, ',') FROM open_parent p), (SELECT string_agg(p::text, ',') FROM account_notes p),
    (SELECT string_agg(p::text, ',') FROM coded p), (SELECT string_agg(p::text, ',') FROM steps_closed p), (SELECT string_agg(p::text, ',') FROM bounds p),
    (SELECT string_agg(p::text, ',') FROM watched p), (SELECT string_agg(relname, ',' ORDER BY oid) FROM pg_class
        WHERE relnamespace::regnamespace::text !~ '^pg_(toast_)?temp')))";

/// `known`: what the tables held after the case before, where nothing was done to them since.
fn run(
    stand: &Stand,
    direct: &mut Session,
    known: &mut Option<Vec<String>>,
    class: &str,
    group: &Group,
    case: &[String],
) -> Result<(), String> {
    for sql in &group.before {
        direct.query(sql);
        *known = None;
    }
    let truth = known.take().unwrap_or_else(|| direct.query(DIGEST).rows);
    let application = application_of(class, case);
    let mut options = vec![("application_name", application.as_str())];
    options.extend(group.purpose.iter().map(|purpose| ("pgpurpose.purpose", purpose.as_str())));
    let (mut session, opened) = Session::open(stand.proxy.port, &group.login, &options);
    let mut answers = vec![opened];
    let state = case.get(1).filter(|word| is_sqlstate(word));
    let statements: Vec<&String> =
        case[1 + usize::from(state.is_some())..].iter().filter(|part| !part.starts_with('=')).collect();
    let expected: Vec<&str> = case.iter().filter_map(|part| part.strip_prefix('=')).collect();
    let expected = match expected.as_slice() {
        [] => None,
        [""] => Some(Vec::new()),
        rows => Some(rows.to_vec()),
    };
    for sql in &statements {
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
    *known = group.after.is_empty().then_some(after);
    for sql in &group.after {
        direct.query(sql);
    }
    let states: Vec<&String> = answers.iter().flat_map(|answer| &answer.states).collect();
    let rows: Vec<&String> = answers.iter().flat_map(|answer| &answer.rows).collect();
    let held = match group.expect.as_str() {
        "clean" => true,
        "refused" | "unasked" => match state {
            // What follows in a transaction fails with it.
            Some(state) => states.contains(&state) && states.iter().all(|found| *found == state || *found == "25P02"),
            None => {
                fault = fault.or_else(|| Some(format!("it names no SQLSTATE: {states:?}")));
                false
            }
        },
        "answered" => states.is_empty() && expected.as_ref().is_none_or(|expected| *expected == rows),
        "same" => answers[1..].windows(2).all(|pair| pair[0] == pair[1]),
        "direct" => {
            let (mut own, _) = Session::open(port_of(&stand.cluster), &group.login, &[]);
            let said: Vec<Answer> = statements.iter().map(|sql| own.query(sql)).collect();
            said.iter().any(|answer| !answer.rows.is_empty()) && said[..] == answers[1..]
        }
        other => panic!("nothing is meant by `{other}`"),
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

/// Finds the case in the log. PostgreSQL cuts it as it cuts any name.
fn application_of(class: &str, case: &[String]) -> String {
    format!("{class}: {}", case[0]).chars().take(63).collect()
}

fn is_sqlstate(word: &str) -> bool {
    word.len() == 5
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        && word.chars().any(|c| c.is_ascii_digit())
}

fn port_of(cluster: &Cluster) -> u16 {
    cluster.tcp_address().unwrap().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn no_way_round_brings_a_protected_value_back() {
    let stand = stand();
    let started = Instant::now();
    let (mut direct, _) = Session::open(port_of(&stand.cluster), "postgres", &[]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bypass");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut counts, mut faults, mut asked, mut known) = (BTreeMap::new(), Vec::new(), Vec::new(), None);
    for file in files {
        let class = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if file.extension().is_none_or(|extension| extension != "toml") || class == "policy" || class == "useful" {
            continue;
        }
        // `PGPURPOSE_BYPASS=groups` runs one class alone.
        if std::env::var("PGPURPOSE_BYPASS").is_ok_and(|one| one != class) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let read: Class = toml::from_str(&text).unwrap_or_else(|error| panic!("{class}: {error}"));
        for group in &read.group {
            for case in &group.cases {
                *counts.entry(class.clone()).or_insert(0_usize) += 1;
                asked.push((application_of(&class, case), case.clone(), group.expect == "unasked"));
                let begun = Instant::now();
                faults.extend(run(stand, &mut direct, &mut known, &class, group, case).err());
                if begun.elapsed().as_secs() >= 3 {
                    println!("{class}: {} took {:?}", case[0], begun.elapsed());
                }
            }
        }
    }
    // Whatever was asked, answered or refused, is in the log.
    let (mut logged, mut denied) = (BTreeMap::new(), BTreeMap::new());
    for record in stand.proxy.access_log() {
        if record["event"] == "access" {
            let application = record["application"].as_str().unwrap();
            *logged.entry(application.to_owned()).or_insert(0_usize) += 1;
            *denied.entry(application.to_owned()).or_insert(0_usize) += usize::from(record["verdict"] == "deny");
        }
    }
    for (application, case, unasked) in asked {
        let skipped = 1 + usize::from(is_sqlstate(case.get(1).map_or("", String::as_str)));
        let statements = case[skipped..].iter().filter(|part| !part.starts_with('=')).count();
        let found = logged.get(&application).copied().unwrap_or_default();
        if found < statements {
            faults.push(format!("{application}: {found} of {statements} statements are in the log"));
        }
        let refused = denied.get(&application).copied().unwrap_or_default();
        if unasked && refused < statements {
            faults.push(format!("{application}: {refused} of {statements} statements were denied"));
        }
    }
    let benign = counts.remove("benign").unwrap_or_default();
    let total: usize = counts.values().sum();
    println!("{total} ways round and {benign} useful statements in {:?}: {counts:?}", started.elapsed());
    assert!(
        faults.is_empty(),
        "{} of {total} ways round lead somewhere, or useful statements fail:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
