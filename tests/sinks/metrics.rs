//! `/metrics` over HTTP: of the form that Prometheus reads, with as many series as before whatever clients call
//! themselves, and without a word of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

use super::places::until;
use super::support::client::login;
use super::support::own_shop;
use super::support::proxy::Proxy;
use super::{POLICY, get};

/// The series of a page, which must be of the text form, version 0.0.4
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
fn series(page: &str) -> BTreeMap<String, f64> {
    let (mut series, mut family, mut families) = (BTreeMap::new(), None::<(String, String)>, BTreeSet::new());
    let mut helped = None;
    assert!(page.ends_with('\n') && !page.contains('\r') && page.is_ascii());
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty() && !help.contains('\\'), "{line}");
            helped = Some(name.to_owned());
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(helped.as_deref(), Some(name), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind) && families.insert(name.to_owned()), "{line}");
            family = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        // All of a family stands together, behind its head.
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').map_or((sample, ""), |(name, rest)| (name, rest));
        let (of, kind) = family.as_ref().unwrap();
        let end = name.strip_prefix(of.as_str()).unwrap_or_else(|| panic!("`{line}` is not of `{of}`"));
        let ends: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(is_name(name) && ends.contains(&end), "{line}");
        if !labels.is_empty() {
            for pair in labels.strip_suffix('}').unwrap().split(',') {
                let (label, value) = pair.split_once('=').unwrap();
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
                assert!(is_name(label) && !value.is_empty() && !value.contains(['"', '\\', '{', '\n']), "{line}");
            }
        }
        let value: f64 = value.parse().unwrap();
        assert!(value >= 0.0, "{line}");
        assert!(series.insert(sample.to_owned(), value).is_none(), "twice: {line}");
    }
    series
}

#[test]
fn whatever_clients_call_themselves_the_series_are_the_same_and_hold_no_word_of_theirs() {
    let (cluster, socket) = (own_shop(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let sink = format!("[audit.syslog]\naddress = \"udp:{}\"\n", socket.local_addr().unwrap());
    let proxy = Proxy::start_in(&cluster, POLICY, &sink, "", &[]);
    let ask = |who: &str, database: &str, application: &str, options: &str, sql: &str| {
        let who = login(who).database(database).application(application).options(options);
        proxy.psql(&cluster, &who, &[sql])
    };
    // One of each kind, so that every series is there.
    ask("support_agent", "shop", "first", "", "SELECT email FROM customers WHERE id = 1");
    ask("support_agent", "shop", "first", "", "SELECT health_note FROM customers");
    ask("nobody", "shop", "first", "", "SELECT 1");
    let before = series(&get(&proxy, "/metrics"));
    let hostile = [
        "Thandi\"} 1\npgpurpose_sessions{x=\"",
        "Nkosi\\",
        "thandi.nkosi@example.org",
        "Thandi Nkosi é",
        "8001015009087",
    ];
    for (number, name) in hostile.iter().cycle().take(25).enumerate() {
        let name = &format!("{name}{number}");
        let sql =
            format!("SELECT email AS \"{}\" FROM customers WHERE full_name = '{name}'", name.replace('"', "\"\""));
        let application = ask("support_agent", "shop", name, "", &sql);
        assert!(application.ok, "{application:?}");
        match number % 3 {
            0 => ask(name, "shop", "app", "", "SELECT 1"),
            1 => ask("support_agent", name, "app", "", "SELECT 1"),
            _ => ask("support_agent", &format!("shop@{name}"), "app", "", "SELECT 1"),
        };
        let purpose = format!("/* purpose='{}' */ SELECT city FROM customers", name.replace(['\'', '*'], ""));
        ask("support_agent", "shop", "app", "", &purpose);
        ask("support_agent", "shop", "app", "", &format!("SELECT \"{}\" FROM \"{number}\"", name.replace('"', "")));
    }
    let page = get(&proxy, "/metrics");
    let after = series(&page);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for word in ["Thandi", "thandi", "Nkosi", "8001015009087", "support_agent", "shop", "customers"] {
        assert!(!page.contains(word), "`{word}` in\n{page}");
    }
    // And what was done is counted.
    let grew = |name: &str| after[name] - before[name];
    assert!(grew("pgpurpose_statements_total{verdict=\"mask\"}") >= 25.0, "{page}");
    assert!(grew("pgpurpose_statements_total{verdict=\"deny\"}") >= 25.0, "{page}");
    assert!(grew("pgpurpose_logins_refused_total") >= 16.0, "{page}");
    for histogram in ["log_append", "decide", "upstream"] {
        assert!(grew(&format!("pgpurpose_{histogram}_seconds_count")) >= 25.0, "{histogram}:\n{page}");
    }
    until("the sink has everything", || {
        series(&get(&proxy, "/metrics"))["pgpurpose_sink_lag_records{sink=\"syslog\"}"] == 0.0
    });
}
