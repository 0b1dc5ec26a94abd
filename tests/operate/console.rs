//! A reviewer's half hour in a headless Chromium, by keyboard alone, with findings that a log of three weeks shows.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::snooper::{customers_of, looks, policy, with_history};
use super::support::browser::Browser;
use super::support::chain::Lines;
use super::support::client::login;
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::support::visitor::{OFFICER, REVIEWER, Visitor, people};
use super::until;

/// Four who look at thirty people whom others look after: one for each browser to judge.
const SNOOPERS: [usize; 4] = [7, 11, 15, 19];

/// Accesses, disclosures and outcomes of a year, in closed files of 64 MB.
fn large(folder: &Path, records: u64) {
    let (mut lines, mut first) = (Lines::default(), 1_u64);
    let begun = Timestamp::now() - SignedDuration::from_hours(24 * 365);
    let step = SignedDuration::from_micros(i64::try_from(365 * 24 * 3600 * 1_000_000 / records.max(1)).unwrap());
    let mut at = begun;
    while lines.seq < records {
        at += step * 3;
        let number = lines.seq / 3;
        let who = format!(
            r#""session":"s","login":"login_{}","role":"support_agent","purpose":"support","actor":"u{}","ticket":null,"recipient":"internal","database":"shop","application":"crm""#,
            number % 50,
            number % 400
        );
        let columns = r#""columns":[{"name":"id","category":"reference","use":["filter"],"action":"read","mask":null,"rule":"r"},{"name":"city","category":"operational","use":["output"],"action":"read","mask":null,"rule":"r"}]"#;
        let of = lines.seq + 1;
        let person = number % 100_003;
        for fields in [
            format!(
                r#""time":"{at:.6}","event":"access",{who},"statement":"SELECT city FROM customers WHERE id = $1","fingerprint":"f","verdict":"allow","relations":[{{"name":"public.customers","filter":null,{columns}}}],"reason":null"#
            ),
            format!(
                r#""time":"{at:.6}","event":"disclosure","of":{of},{who},"statement":"SELECT","relations":[{{"name":"public.customers","filter":null,"form":"plain","subjects":["{person}"],{columns}}}],"aggregate":[]"#
            ),
            format!(r#""event":"outcome","of":{of},"status":"ok","rows":1,"sqlstate":null,"ms":1.0"#),
        ] {
            lines.add(&fields);
        }
        if lines.text.len() > 64 << 20 || lines.seq >= records {
            let name = format!("access-{first:012}-{}.jsonl", at.strftime("%Y%m%d"));
            std::fs::write(folder.join(name), &lines.text).unwrap();
            lines.text.clear();
            first = lines.seq + 1;
        }
    }
}

/// A log of so many records with its indexes: made, or as it was kept in the folder `PGPURPOSE_BENCH_LOG` by a run before.
fn made(folder: &Path, records: u64) {
    let kept = std::env::var_os("PGPURPOSE_BENCH_LOG").map(|kept| Path::new(&kept).join(records.to_string()));
    let Some(kept) = kept else { return large(folder, records) };
    if !kept.exists() {
        let unfinished = kept.with_extension("tmp");
        let _ = std::fs::remove_dir_all(&unfinished);
        std::fs::create_dir_all(&unfinished).unwrap();
        large(&unfinished, records);
        std::fs::rename(&unfinished, &kept).unwrap();
    }
    let mut files: Vec<_> = std::fs::read_dir(&kept).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let newest = files.iter().rposition(|file| file.extension().is_some_and(|end| end == "jsonl"));
    for (at, file) in files.iter().enumerate() {
        let to = folder.join(file.file_name().unwrap());
        // The proxy goes on with the newest one.
        if Some(at) == newest {
            std::fs::copy(file, to).unwrap();
        } else {
            std::fs::hard_link(file, to).unwrap();
        }
    }
}

/// Waits until all closed files are compressed, as the proxy keeps them, and keeps them so for the next run.
fn packed(folder: &Path, records: u64) {
    let names = |end: &str| -> Vec<PathBuf> {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|own| own == end)).collect()
    };
    while names("jsonl").len() > 1 {
        std::thread::sleep(Duration::from_secs(1));
    }
    let Some(kept) = std::env::var_os("PGPURPOSE_BENCH_LOG").map(|kept| Path::new(&kept).join(records.to_string()))
    else {
        return;
    };
    for file in names("zst").into_iter().chain(names("idx")) {
        let to = kept.join(file.file_name().unwrap());
        let _ = std::fs::remove_file(&to);
        std::fs::hard_link(&file, &to).unwrap();
        if file.extension().is_some_and(|end| end == "zst") {
            let _ = std::fs::remove_file(to.with_extension(""));
        }
    }
}

/// Waits until all of the log is read; gives the memory that the proxy has then.
fn read_through(proxy: &Proxy, reviewer: &mut Visitor) -> String {
    while reviewer.get("/pictures").contains("still being read") {
        std::thread::sleep(Duration::from_millis(500));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default().to_owned()
}

/// What each page takes at the server over a log of so many records: `RECORDS=10000000 benches/console.sh`.
#[test]
#[ignore = "a measurement"]
fn pages_over_a_large_log() {
    let records: u64 = std::env::var("RECORDS").ok().and_then(|records| records.parse().ok()).unwrap_or(1_000_000);
    let mut proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), &people());
    proxy.kill();
    for file in std::fs::read_dir(proxy.audit_dir()).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() { std::fs::remove_file(file).unwrap() } else { std::fs::remove_dir_all(file).unwrap() }
    }
    made(&proxy.audit_dir(), records);
    let bytes: u64 =
        std::fs::read_dir(proxy.audit_dir()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let indexed = proxy.command(&["audit", "index", "--dir", &proxy.audit_dir().display().to_string()]);
    assert!(indexed.ok, "{indexed:?}");
    let begun = Instant::now();
    proxy.restart();
    let mut reviewer = Visitor::log_in(&proxy, REVIEWER);
    let asked = Instant::now();
    let inbox = reviewer.get("/");
    println!("{records} records, {} MB; while the log is read, the inbox took {:?}", bytes >> 20, asked.elapsed());
    assert!(inbox.contains("of these") || records < 100_000, "{inbox}");
    measured(&mut reviewer, "/proxy");
    let memory = read_through(&proxy, &mut reviewer);
    println!("read after {:?}; {memory}", begun.elapsed());
    packed(&proxy.audit_dir(), records);
    times(&mut reviewer, records);
    let bundle = Instant::now();
    let (status, zip) = Visitor::log_in(&proxy, OFFICER).post("/bundle", "/bundle", "");
    println!("the bundle, {} KB: {:?} ({status})", zip.len() >> 10, bundle.elapsed());
    // What was read is kept, and a start goes on from there.
    proxy.kill();
    let begun = Instant::now();
    proxy.restart();
    let mut reviewer = Visitor::log_in(&proxy, REVIEWER);
    let memory = read_through(&proxy, &mut reviewer);
    println!("after a restart: read after {:?}; {memory}", begun.elapsed());
}

/// As many logins as are followed, each of which uses a category for the first time after sixteen days: as many findings as wait.
fn with_findings(folder: &Path) {
    let mut lines = Lines::default();
    let begun = Timestamp::now() - SignedDuration::from_hours(24 * 18);
    for day in 0..17 {
        let at = begun + SignedDuration::from_hours(24 * day);
        let category = if day == 16 { "contact" } else { "operational" };
        for login in 0..5_000 {
            lines.add(&format!(
                r#""time":"{at:.6}","event":"access","session":"s","login":"login_{login}","role":"support_agent","purpose":"support","actor":null,"ticket":null,"recipient":"internal","database":"shop","application":"crm","statement":"SELECT","fingerprint":"f","verdict":"allow","relations":[{{"name":"public.customers","filter":null,"columns":[{{"name":"city","category":"{category}","use":["output"],"action":"read","mask":null,"rule":"r"}}]}}],"reason":null"#
            ));
        }
    }
    std::fs::write(folder.join(format!("access-000000000001-{}.jsonl", begun.strftime("%Y%m%d"))), lines.text).unwrap();
}

/// What the inbox takes at the server with as many findings as wait at most.
#[test]
#[ignore = "a measurement"]
fn an_inbox_that_is_full() {
    let mut proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), &people());
    proxy.kill();
    for file in std::fs::read_dir(proxy.audit_dir()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    with_findings(&proxy.audit_dir());
    proxy.restart();
    let mut reviewer = Visitor::log_in(&proxy, REVIEWER);
    read_through(&proxy, &mut reviewer);
    let inbox = reviewer.get("/");
    println!("{}", inbox.split("<p class=\"lead\">").nth(1).unwrap().split("</p>").next().unwrap());
    measured(&mut reviewer, "/");
    measured(&mut reviewer, "/?page=249");
}

fn measured(reviewer: &mut Visitor, path: &str) {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            reviewer.get(path);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{path:60} median {:>6.1?}  most {:>6.1?}", times[4], times[8]);
}

fn times(reviewer: &mut Visitor, records: u64) {
    let old = records / 2;
    for path in [
        "/",
        "/find?login=login_7",
        "/find?subject=4711",
        "/find?subject=nobody",
        "/find?actor=u399&since=300d&until=290d",
        "/find?login=login_7&since=200d&until=199d",
        &format!("/find?login=login_7&before={old}"),
        &format!("/find?table=customers&column=city&before={old}"),
        "/find?table=nothing",
        "/find?purpose=support",
        "/find?purpose=research",
        "/find?verdict=deny",
        "/find?login=login_7&actor=u8&purpose=support&verdict=allow&table=customers&column=city",
        "/matrix",
        "/policies",
        "/campaigns",
        "/pictures",
        "/bundle",
        "/proxy",
    ] {
        measured(reviewer, path);
    }
}

#[test]
fn a_reviewers_half_hour_by_keyboard_at_two_widths_light_and_dark_with_nothing_for_axe_to_find() {
    let Some(browser) = Browser::find() else { return };
    let own = tempfile::tempdir().unwrap();
    std::fs::write(own.path().join("signing.key"), "22".repeat(32)).unwrap();
    let keys = format!("signing_key = \"file:{}/signing.key\"\n", own.path().display());
    let mut proxy = Proxy::start_logging(shop(), Upstream::Socket, &policy(), &people(), &keys);
    with_history(&mut proxy);
    for actor in SNOOPERS {
        looks(&proxy, actor, customers_of(actor).chain((0..30).map(|other| (other * 6 + actor * 31) % 199 + 1)));
    }
    proxy.psql(shop(), &login("support_agent"), &["SELECT health_note FROM customers WHERE id = 1"]);
    // A change of the policies, so that there is something to be told of it.
    let file = proxy.folder().join("policy.toml");
    let (old, new) = ("\"operational\", \"contact\"]", "\"operational\", \"contact\", \"address\"]");
    let changed = std::fs::read_to_string(&file).unwrap().replacen(old, new, 1);
    std::fs::write(&file, changed).unwrap();
    let mut reviewer = Visitor::log_in(&proxy, REVIEWER);
    until("all four wait", || {
        let inbox = reviewer.get("/");
        SNOOPERS.iter().all(|actor| inbox.contains(&format!("<code>support_agent</code> as <code>u{actor}</code>")))
    });
    let people = [REVIEWER, OFFICER].map(|(name, password)| format!("{name}:{password}"));
    let arguments = std::iter::once(format!("http://127.0.0.1:{}", proxy.admin_port)).chain(people);
    let done = browser.run("tests/operate/console.mjs", arguments);
    assert_eq!(done["journeys"], 4);
    assert!(done["pages"].as_u64().unwrap() >= 60, "{done}");
    let reviews = proxy.access_log().into_iter().filter(|record| record["event"] == "review").count();
    assert_eq!(reviews, 4, "each browser judged one");
    let closed = proxy.access_log().into_iter().filter(|record| record["what"] == "closed").count();
    assert_eq!(closed, 1);
}
