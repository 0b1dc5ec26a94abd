//! A reviewer's half hour in a headless Chromium, by keyboard alone, with findings that a log of three weeks shows.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::snooper::{customers_of, looks, policy, with_history};
use super::support::client::login;
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::support::visitor::{OFFICER, REVIEWER, Visitor, people};
use super::until;

/// Four who look at thirty people whom others look after: one for each browser to judge.
const SNOOPERS: [usize; 4] = [7, 11, 15, 19];

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("PGPURPOSE_TEST_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
        .find(|file| file.is_file());
    named.or(found)
}

#[test]
fn a_reviewers_half_hour_by_keyboard_at_two_widths_light_and_dark_with_nothing_for_axe_to_find() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/node_modules");
    let modules = Some(modules).filter(|modules| modules.join("axe-core/axe.min.js").is_file());
    let (Some(chromium), Some(modules)) = (chromium(), modules) else {
        let says = "no Chromium, or no playwright-core and axe-core: npm install --prefix target/browser playwright-core axe-core";
        assert!(std::env::var_os("CI").is_none(), "{says}");
        eprintln!("left out: {says}");
        return;
    };
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
    let changed = std::fs::read_to_string(&file).unwrap().replacen(
        "purposes = [\"support\"",
        "purposes = [\"billing\", \"support\"",
        1,
    );
    std::fs::write(&file, changed).unwrap();
    let mut reviewer = Visitor::log_in(&proxy, REVIEWER);
    until("all four wait", || {
        let inbox = reviewer.get("/");
        SNOOPERS.iter().all(|actor| inbox.contains(&format!("<code>support_agent</code> as <code>u{actor}</code>")))
    });
    let mut journeys = Command::new("node");
    journeys.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operate/console.mjs"));
    journeys.arg(format!("http://127.0.0.1:{}", proxy.admin_port)).arg(modules).arg(chromium);
    for (name, password) in [REVIEWER, OFFICER] {
        journeys.arg(format!("{name}:{password}"));
    }
    if let Some(pictures) = std::env::var_os("PGPURPOSE_TEST_PICTURES") {
        journeys.arg(pictures);
    }
    let output = journeys.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["journeys"], 4);
    assert!(done["pages"].as_u64().unwrap() >= 60, "{done}");
    let reviews = proxy.access_log().into_iter().filter(|record| record["event"] == "review").count();
    assert_eq!(reviews, 4, "each browser judged one");
    let closed = proxy.access_log().into_iter().filter(|record| record["what"] == "closed").count();
    assert_eq!(closed, 1);
}
