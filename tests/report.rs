//! `audit report` over what was really asked of a real database: each number is what was done, and nothing that a client chose
//! is more than text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

#[path = "report/clock.rs"]
mod clock;
#[path = "report/days.rs"]
mod days;
#[path = "report/laundered.rs"]
mod laundered;
#[path = "report/logs.rs"]
mod logs;
#[path = "report/mode.rs"]
mod mode;
#[path = "report/readers.rs"]
mod readers;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use support::client::{As, login};
use support::proxy::{Proxy, Upstream};
use support::shop;

/// Mark-up of HTML and Markdown, a command to a terminal, an end of a line and of a cell, in the 63 bytes of a name.
const HOSTILE: &str = "<script>a()</script> | `x` ![a](http://b.c/d) \u{1b}[31m\nend";

fn pgpurpose(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pgpurpose")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn folder(proxy: &Proxy) -> PathBuf {
    proxy.audit_dir().parent().unwrap().to_owned()
}

fn policy() -> String {
    let shop = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/shop.toml")).unwrap();
    shop.replace("[tables.\"public.customers\"]\n", "[tables.\"public.customers\"]\nrecord_subjects = true\n")
}

/// Loads a policy into the running proxy, and waits for a record of it. A changed file is noticed without the signal too, so
/// that there may be more than one.
fn reload(proxy: &Proxy, policy: &str, told: impl Fn(&Value) -> bool) {
    fs::write(folder(proxy).join("policy.toml"), policy).unwrap();
    let hup = Command::new("kill").args(["-HUP", &proxy.pid().to_string()]).status().unwrap();
    assert!(hup.success());
    let told = || proxy.access_log().iter().any(|record| record["event"] == "policy" && told(record));
    until("the load is in the log", told);
}

/// Accesses, refusals, two loads of policies, and observe mode.
fn lived() -> Proxy {
    let mut proxy = Proxy::start_with(shop(), Upstream::Socket, &policy(), "");
    let psql = |proxy: &Proxy, who: &As<'_>, commands: &[&str]| proxy.psql(shop(), who, commands);
    let agent = login("support_agent").application("crm");
    let by_id = ["SELECT id, email FROM customers WHERE id = 1", "SELECT id, email FROM customers WHERE id IN (2, 3)"];
    psql(&proxy, &agent, &by_id).fine();
    let note = "SELECT health_note FROM customers WHERE id = 1";
    assert!(psql(&proxy, &agent, &[note, note]).err.contains("42501"));
    assert!(psql(&proxy, &agent, &["SET pgpurpose.purpose = 'curiosity'"]).err.contains("curiosity"));
    let billing = login("support_agent").application("crm").options("-c pgpurpose.purpose=billing");
    psql(&proxy, &billing, &["SELECT full_name FROM customers WHERE id = 1"]).fine();
    psql(&proxy, &login("marketing"), &["SELECT phone FROM customers WHERE id = 0"]).fine();
    let unknown = "SELECT \"<img src='x'>|`\" FROM customers";
    assert!(psql(&proxy, &login("marketing"), &[unknown]).err.contains("<img"), "there is no such column");
    psql(&proxy, &login("migrator"), &["SELECT count(*) FROM staff"]).fine();
    assert!(psql(&proxy, &login("postgres"), &["SELECT 1"]).err.contains("postgres"), "a login that is in no role");

    let has_faults = |record: &Value| !record["faults"].as_array().unwrap().is_empty();
    reload(&proxy, &format!("{}\n[nonsense]\n", policy()), has_faults);
    let changed = |record: &Value| record["before"].is_string() && record["before"] != record["policy"];
    reload(&proxy, &policy().replace("review = 2027-06-30", ""), changed);

    proxy.kill();
    let config = folder(&proxy).join("pgpurpose.toml");
    let observe = fs::read_to_string(&config).unwrap().replace("[policy]\n", "[policy]\nmode = \"observe\"\n");
    fs::write(&config, observe).unwrap();
    proxy.restart();
    let hostile = login("support_agent").application(HOSTILE);
    let statements =
        [note, "SELECT email FROM customers WHERE id = 1", "SELECT email FROM customers WHERE id = 2", "SELECT 1"];
    psql(&proxy, &hostile, &statements).fine();
    proxy
}

#[test]
fn the_report_tells_what_was_done_in_each_form() {
    let proxy = lived();
    let config = folder(&proxy).join("pgpurpose.toml").display().to_string();
    let report = |more: &[&str]| pgpurpose(&[&["audit", "report", "--config", &config], more].concat());

    let (status, said, told) = report(&["--format", "json"]);
    assert_eq!(status, 0, "{told}");
    let found: Value = serde_json::from_str(&said).unwrap();
    numbers(&found);
    the_chain_and_policies(&found, &proxy);
    not_used(&found["unused"]);
    observed(&found["observed"]);

    // The same as Markdown, which is what a terminal gets.
    let (status, markdown, told) = report(&[]);
    assert_eq!((status, told.as_str()), (0, ""), "{told}");
    assert!(markdown.starts_with("# Access to personal information\n"));
    for row in [
        "| `support` | 9 | ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇ | 3 | 1 | 3 |",
        "| `billing` | 1 | ▇▇▇ | 0 | 0 | 1 |",
        "| `health` | 3 |",
        "| 2 | `support_agent` | `support_agent` | `support` | `public.customers.health_note` | column `public.customers.health_note` \
         is not open to role `support_agent` for purpose `support` |",
    ] {
        assert!(markdown.contains(row), "{row}\n{markdown}");
    }
    plain_markdown(&markdown);

    // And as a page.
    let page = folder(&proxy).join("report.html");
    let (status, said, told) = report(&["-o", &page.display().to_string()]);
    assert_eq!((status, said.as_str(), told.as_str()), (0, "", ""));
    let html = fs::read_to_string(&page).unwrap();
    well_formed(&html);
    loads_nothing(&html);
    assert!(
        html.contains("<code>support</code></td><td role=\"cell\" class=\"number\" data-label=\"statements\">9</td>"),
        "{html}"
    );
    assert!(html.contains("&lt;script&gt;a()&lt;/script&gt; | `x`"), "the hostile name is there, as text");
    assert_eq!(
        html.matches("<svg ").count() - html.matches("aria-hidden").count(),
        10,
        "five charts, each for wide and for narrow screens"
    );
    assert_eq!(html.matches("<svg class=\"on-wide\" viewBox=\"0 0 900 240\" role=\"img\" aria-labelledby=").count(), 5);

    one_part_alone(&report);
    a_changed_log_is_told(&proxy, &config);
}

fn numbers(found: &Value) {
    let activity = &found["activity"];
    let total = |value: &Value| -> Vec<u64> {
        ["statements", "refused", "would_refuse", "subjects"]
            .iter()
            .map(|name| value["total"][name].as_u64().unwrap())
            .collect()
    };
    let named = |kind: &str, name: &str| -> Vec<u64> {
        let lines = activity[kind].as_array().unwrap();
        lines.iter().find(|line| line["name"] == name).map_or_else(Vec::new, total)
    };
    assert_eq!(total(&activity["all"]), [13, 4, 1, 4], "{activity:#}");
    assert_eq!(named("purposes", "support"), [9, 3, 1, 3]);
    assert_eq!(named("purposes", "billing"), [1, 0, 0, 1]);
    assert_eq!(named("purposes", "marketing"), [2, 1, 0, 0]);
    assert_eq!(named("roles", "support_agent"), [10, 3, 1, 4]);
    assert_eq!(named("recipients", "internal"), [13, 4, 1, 4]);
    assert_eq!(named("categories", "health"), [3, 2, 1, 0]);
    assert_eq!(named("categories", "identity"), [1, 0, 0, 1]);
    // By id, by contact, and of marketing.
    assert_eq!(named("categories", "contact"), [5, 0, 0, 3]);
    assert_eq!(activity["unrestricted"][0]["login"], "migrator");
    let steps = activity["all"]["steps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| step["statements"].as_u64().unwrap()).sum::<u64>(), 13);

    let refusals = found["refusals"]["kinds"].as_array().unwrap();
    let of = |kind: &str| -> Vec<&Value> { refusals.iter().filter(|refusal| refusal["kind"] == kind).collect() };
    assert_eq!(of("statement").len(), 3, "{refusals:#?}");
    assert_eq!(of("statement")[0]["times"], 2);
    assert_eq!(of("statement")[0]["columns"], json!(["public.customers.health_note"]));
    for word in ["`curiosity`", "<img src='x'>|"] {
        let told = |refusal: &&Value| refusal["times"] == 1 && refusal["reason"].as_str().unwrap().contains(word);
        assert_eq!(of("statement").into_iter().filter(told).count(), 1, "{word}: {refusals:#?}");
    }
    assert_eq!((&of("login")[0]["login"], &of("login")[0]["times"]), (&json!("postgres"), &json!(1)));

    let unusual = &found["unusual"];
    assert_eq!(
        (&unusual["judged"], &unusual["findings"]),
        (&json!(0), &json!([])),
        "a log of a day knows nothing usual"
    );
    assert_eq!(unusual["too_new"], json!(["marketing", "migrator", "support_agent"]));
}

fn the_chain_and_policies(found: &Value, proxy: &Proxy) {
    let policies = found["events"]["policies"].as_array().unwrap();
    let taken = |policy: &&Value| policy["faults"].as_array().unwrap().is_empty();
    assert!(
        policies.iter().filter(taken).count() >= 3,
        "the first, the changed one, and after the restart: {policies:#?}"
    );
    assert!(
        policies.iter().any(|policy| !taken(&policy) && policy["faults"][0].as_str().unwrap().contains("nonsense"))
    );
    assert_eq!(policies.first().unwrap()["mode"], "enforce");
    assert_eq!(policies.last().unwrap()["mode"], "observe");
    assert!(
        policies
            .iter()
            .any(|policy| taken(&policy) && policy["before"].is_string() && policy["before"] != policy["policy"])
    );
    let starts = found["events"]["others"].as_array().unwrap().iter().filter(|event| event["event"] == "start");
    assert_eq!(starts.count(), 2);
    assert_eq!((&found["chain"]["holds"], &found["chain"]["ended"]), (&json!(true), &json!("running")));
    let records = proxy.access_log().len() as u64;
    assert!(found["records"].as_u64().unwrap() <= records && found["records"].as_u64().unwrap() > 20);
}

fn not_used(unused: &Value) {
    let grants = unused["grants"].as_array().unwrap();
    let open = |purpose: &str, column: &str, way: &str| {
        grants.iter().any(|grant| {
            grant["purpose"] == purpose
                && grant["column"] == column
                && grant["way"] == way
                && grant["relation"] == "public.customers"
        })
    };
    for (purpose, column, way) in [
        ("support", "id", "read"),
        ("support", "email", "mask"),
        ("billing", "full_name", "read"),
        ("marketing", "phone", "read"),
    ] {
        assert!(!open(purpose, column, way), "{column} was used for {purpose}");
    }
    for (purpose, column, way) in [
        ("support", "phone", "mask"),
        ("support", "id_number", "lookup"),
        ("billing", "address", "read"),
        ("marketing.sms", "phone", "read"),
    ] {
        assert!(open(purpose, column, way), "{column} was not used for {purpose}: {grants:#?}");
    }
    assert!(!grants.iter().any(|grant| grant["column"] == "health_note"), "what is closed is not open");
    assert_eq!((&unused["covered_days"], &unused["days"]), (&json!(0), &json!(90)));
    assert_eq!(unused["purposes"], json!(["analytics", "marketing.sms"]));
    assert_eq!(unused["logins"], json!(["analyst"]));
    assert!(unused["in_force"]["seq"].is_u64(), "the log knows these policies: {}", unused["in_force"]);
}

fn observed(observed: &Value) {
    let [application] = observed["applications"].as_array().unwrap().as_slice() else { panic!("{observed:#}") };
    assert_eq!(application["application"], HOSTILE);
    let numbers: Vec<_> = ["statements", "unchanged", "changed", "refused"]
        .iter()
        .map(|name| application[name].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [4, 1, 2, 1]);
    let [refused, changed] = application["shapes"].as_array().unwrap().as_slice() else { panic!("{application:#}") };
    assert_eq!(
        (&refused["verdict"], &refused["closed"][0]["column"]),
        (&json!("deny"), &json!("public.customers.health_note"))
    );
    assert_eq!(refused["closed"][0]["rule"], "support never sees health notes");
    assert_eq!(
        (&changed["statements"], &changed["masked"][0]["mask"]),
        (&json!(2), &json!("email")),
        "literals make no other shape"
    );
    assert_eq!(changed["statement"], "SELECT email FROM customers WHERE id = $1");
}

fn one_part_alone(report: &impl Fn(&[&str]) -> (i32, String, String)) {
    let (status, said, _) = report(&["--unused", "30"]);
    assert_eq!(status, 0);
    assert!(said.starts_with("# Open and not used\n") && said.contains("the log covers 0 whole days only"), "{said}");
    assert!(
        said.contains("that says little about 30 days") && said.contains("Logins that were not seen: `analyst`."),
        "{said}"
    );
    assert!(!said.contains("## Refusals"));
    let (status, said, _) = report(&["--observe"]);
    assert_eq!(status, 0);
    assert!(said.starts_with("# What enforcement would break\n") && !said.contains("## Refusals"), "{said}");
    assert!(said.contains("rule `support never sees health notes` closes `public.customers.health_note`"), "{said}");
    assert!(
        said.contains(
            "`public.customers.email` comes as `email` by rule `support sees orders and masked contact details`"
        ),
        "{said}"
    );
    plain_markdown(&said);
    let (_, said, _) = report(&["--observe", "--format", "json"]);
    let found: Value = serde_json::from_str(&said).unwrap();
    observed(&found["observed"]);
    assert!(found.get("activity").is_none() && found.get("chain").is_none());
    let (_, said, _) = report(&["--unused", "--format", "json"]);
    not_used(&serde_json::from_str::<Value>(&said).unwrap()["unused"]);
    let (_, said, _) = report(&["--since", "2020-01-01", "--until", "2020-02-01"]);
    assert!(said.contains("## Accesses\n\nThere were none.\n"), "{said}");
    let (_, said, _) = report(&["--no-verify"]);
    assert!(said.contains("The log was not verified for this report."), "{said}");
}

fn a_changed_log_is_told(proxy: &Proxy, config: &str) {
    let copy = folder(proxy).join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(proxy.audit_dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name.to_string_lossy().starts_with("access-") {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(copy.join(name), text.replacen("health_note", "other_note", 1)).unwrap();
        }
    }
    let (status, said, told) =
        pgpurpose(&["audit", "report", "--config", config, "--dir", &copy.display().to_string()]);
    assert_eq!(status, 1, "{said}{told}");
    assert!(
        said.contains("**Look at this:** the log does not verify") && told.contains("the log does not verify"),
        "{said}{told}"
    );
}

/// No character that a terminal takes for a command, every row of a table with as many cells as its heading, and no mark-up from
/// the log outside of code.
fn plain_markdown(text: &str) {
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut heading = None;
    for line in text.lines() {
        if line.starts_with('|') {
            let expected = *heading.get_or_insert(cells(line));
            assert_eq!(cells(line), expected, "{line}");
        } else {
            heading = None;
        }
    }
    let name = "``<script>a()</script> \\| `x` ![a](http://b.c/d) \\u{1b}[31m\\nend``";
    assert_eq!(text.matches("<script>").count(), text.matches(name).count(), "{text}");
    assert!(text.contains(name), "{text}");
    assert!(!text.replace("\\<", "").contains("<img"), "{text}");
}

/// Each element is closed in order, each attribute stands between double quotes, and nothing is left of `<` and `&` in text.
fn well_formed(html: &str) {
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a page begins with its type");
    let mut open: Vec<&str> = Vec::new();
    let text = |text: &str| {
        for (at, _) in text.match_indices('&') {
            let name = text[at + 1..].split_once(';').map_or("", |(name, _)| name);
            assert!(matches!(name, "lt" | "gt" | "amp" | "quot" | "#39"), "&{name} in {text}");
        }
        assert!(!text.contains('<'), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    };
    while let Some((before, after)) = rest.split_once('<') {
        text(before);
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag} closes what is open: {open:?}");
            continue;
        }
        let (inner, closed) = tag.strip_suffix(" /").map_or((tag, false), |inner| (inner, true));
        let (name, mut attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        while !attributes.is_empty() {
            let (key, value) = attributes.split_once("=\"").unwrap_or_else(|| panic!("{tag}"));
            assert!(key.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{tag}");
            let (value, more) = value.split_once('"').unwrap_or_else(|| panic!("{tag}"));
            text(value);
            attributes = more;
        }
        if !closed {
            open.push(name);
        }
    }
    assert_eq!(rest.trim(), "");
    assert!(open.is_empty(), "{open:?} stay open");
}

/// No script, no event, no address; and leave for its own style alone.
fn loads_nothing(html: &str) {
    for elsewhere in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "<object",
        "<image",
        "<use",
        "<a href=\"h",
        " src=",
        "xlink",
        "url(",
        "@import",
        "style=\"",
        " on",
    ] {
        let found = html.match_indices(elsewhere).find(|(at, _)| {
            // Within a tag; text may say what it likes.
            let before = &html[..at + 1];
            before.rfind('<') > before.rfind('>') || elsewhere.starts_with('<')
        });
        assert_eq!(found, None, "{elsewhere}");
    }
    let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    assert!(!style.contains("url(") && !style.contains("@import"));
    let digest = ring::digest::digest(&ring::digest::SHA256, style.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(digest);
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    assert!(html.contains(&format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\" />")));
}
