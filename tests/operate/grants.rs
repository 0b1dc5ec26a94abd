//! Exceptions that expire: in force at the next statement, gone by themselves, signed, and in the log.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::client::{Said, login};
use super::support::proxy::{Proxy, Upstream};
use super::support::shop;
use super::{SHOP_POLICY, folder, until};

const MORE: &str = r#"
[purposes.incident]
basis = "legal_obligation"
[purposes.inquiry]
basis = "legal_obligation"
grant = "two persons"
[purposes.gossip]
basis = "contract"
grant = "never"
[[rules]]
name = "who looks into an incident sees names"
roles = ["support_agent"]
purposes = ["incident", "inquiry", "gossip"]
read = ["operational", "reference", "identity"]
"#;
const NAMED: &str = "/*purpose='incident'*/ SELECT full_name FROM customers WHERE id = 1";

fn started() -> Proxy {
    Proxy::start_with(shop(), Upstream::Socket, &format!("{SHOP_POLICY}{MORE}"), "")
}

fn granted(proxy: &Proxy, more: &[&str]) -> Said {
    let all: Vec<&str> = ["grant", "--config", "pgpurpose.toml", "--by", "thabo"].iter().chain(more).copied().collect();
    proxy.command(&all)
}

fn ask(proxy: &Proxy, sql: &str) -> Said {
    proxy.psql(shop(), &login("support_agent").application("granted"), &[sql])
}

fn grant<'a>(purpose: &'a str, length: &'a str) -> [&'a str; 8] {
    ["--login", "support_agent", "--purpose", purpose, "--for", length, "--reason", "OPS-12: orders are lost"]
}

fn events(proxy: &Proxy) -> Vec<String> {
    let log = proxy.access_log();
    let grants = log.iter().filter(|record| record["event"] == "grant");
    grants.map(|record| record["what"].as_str().unwrap().to_owned()).collect()
}

fn listed(proxy: &Proxy) -> Vec<Value> {
    let said = granted(proxy, &["list", "--json"]);
    assert!(said.ok, "{said:?}");
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_grant_is_in_force_at_the_next_statement_of_an_open_session_and_is_ended_at_once() {
    let proxy = started();
    let refused = ask(&proxy, NAMED);
    assert!(refused.err.contains("may not use purpose `incident`"), "{refused:?}");
    let at = folder(&proxy).display().to_string();
    let program = env!("CARGO_BIN_EXE_pgpurpose");
    let shell = |arguments: &str| {
        format!("\\! cd {at} && {program} grant --config pgpurpose.toml --by thabo {arguments} >>told 2>&1")
    };
    let begin = shell("--login support_agent --purpose incident --for 2h --reason OPS-12");
    let end = shell("end $(cut -d' ' -f1 told | head -1)");
    let count = "/*purpose='incident'*/ SELECT count(*) FROM customers WHERE id < 3";
    let session =
        proxy.psql(shop(), &login("support_agent").application("granted"), &[count, &begin, count, NAMED, &end, count]);
    let told = std::fs::read_to_string(folder(&proxy).join("told")).unwrap();
    assert_eq!(session.err.matches("may not use purpose `incident`").count(), 2, "{session:?} {told}");
    assert_eq!(session.out.lines().count(), 2, "{session:?} {told}");
    assert!(
        session.out.starts_with("2\n") && told.contains("in force from the next statement on"),
        "{session:?} {told}"
    );
    // Nobody else has it, and it is in the log, chained, with its reason.
    let other = proxy.psql(shop(), &login("marketing"), &[NAMED]);
    assert!(other.err.contains("42501"), "{other:?}");
    assert_eq!(events(&proxy), ["begun", "ended"]);
    let log = proxy.access_log();
    let begun = log.iter().find(|record| record["event"] == "grant").unwrap();
    assert_eq!(
        (&begun["login"], &begun["purpose"], &begun["reason"], &begun["by"]),
        (&"support_agent".into(), &"incident".into(), &"OPS-12".into(), &"thabo".into())
    );
    let all = listed(&proxy);
    assert_eq!(all.len(), 1);
    assert_eq!(
        (&all[0]["state"], &all[0]["statements"], &all[0]["ended_by"]),
        (&"ended".into(), &2.into(), &"thabo".into())
    );
    assert!(proxy.command(&["audit", "verify", "--config", "pgpurpose.toml"]).ok);
}

#[test]
fn a_grant_is_gone_by_itself_and_outlives_a_start_and_a_reload_until_then() {
    let mut proxy = started();
    assert!(granted(&proxy, &grant("incident", "1h")).ok);
    let name = ask(&proxy, NAMED).fine();
    proxy.kill();
    proxy.restart();
    assert_eq!(ask(&proxy, NAMED).fine(), name);
    let policy = folder(&proxy).join("policy.toml");
    let hash = || ask(&proxy, "SHOW pgpurpose.policy").fine();
    let before = hash();
    std::fs::write(&policy, format!("{SHOP_POLICY}{MORE}# another\n")).unwrap();
    until("the policy is loaded again", || hash() != before);
    assert_eq!(ask(&proxy, NAMED).fine(), name);
    let id = listed(&proxy)[0]["id"].as_str().unwrap().to_owned();
    assert!(granted(&proxy, &["end", &id]).ok);
    assert!(!granted(&proxy, &["end", &id]).ok, "it has ended");
    let begun = Instant::now();
    assert!(granted(&proxy, &grant("incident", "3s")).ok);
    assert_eq!(ask(&proxy, NAMED).fine(), name);
    until("it is gone", || ask(&proxy, NAMED).err.contains("may not use purpose"));
    assert!(begun.elapsed() > Duration::from_millis(2900), "{:?}", begun.elapsed());
    until("the log says so", || events(&proxy).last().is_some_and(|what| what == "expired"));
    assert_eq!(events(&proxy), ["begun", "in_force", "ended", "begun", "expired"]);
    let states: Vec<String> = listed(&proxy).iter().map(|grant| grant["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["expired", "ended"]);
}

#[test]
fn two_persons_stand_behind_a_grant_where_the_policy_says_so_and_what_is_never_granted_is_not() {
    let proxy = started();
    for (arguments, says) in [
        (grant("inquiry", "1h").to_vec(), "needs two persons"),
        ([&grant("inquiry", "1h")[..], &["--approved-by", "thabo"]].concat(), "cannot approve it as well"),
        ([&grant("inquiry", "1h")[..], &["--approved-by", "support_agent"]].concat(), "cannot approve it as well"),
        (grant("gossip", "1h").to_vec(), "is never granted"),
        (grant("support", "1h").to_vec(), "may use the purpose `support` anyway"),
        (grant("weather", "1h").to_vec(), "there is no purpose `weather`"),
        (grant("incident", "40d").to_vec(), "31 days at most"),
        (grant("incident", "soon").to_vec(), "is no length of time"),
    ] {
        let said = granted(&proxy, &arguments);
        assert!(!said.ok && said.err.contains(says), "{says}: {said:?}");
    }
    assert!(listed(&proxy).is_empty());
    let said = granted(&proxy, &[&grant("inquiry", "1h")[..], &["--approved-by", "naledi"]].concat());
    assert!(said.ok, "{said:?}");
    assert_eq!(listed(&proxy)[0]["approved_by"], "naledi");
    ask(&proxy, "/*purpose='inquiry'*/ SELECT full_name FROM customers WHERE id = 1").fine();
}

#[test]
fn a_file_of_grants_that_was_changed_puts_none_in_force_and_is_told() {
    let proxy = started();
    assert!(granted(&proxy, &grant("incident", "1h")).ok);
    ask(&proxy, NAMED).fine();
    let file = folder(&proxy).join("grants.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"until\":\"2", "\"until\":\"3")).unwrap();
    until("it is not believed", || ask(&proxy, NAMED).err.contains("may not use purpose"));
    assert_eq!(events(&proxy), ["begun", "refused"]);
    let said = granted(&proxy, &["list"]);
    assert!(!said.ok && said.err.contains("its signature does not match"), "{said:?}");
    std::fs::write(&file, text).unwrap();
    until("it is as it was", || ask(&proxy, NAMED).ok && ask(&proxy, NAMED).err.is_empty());
}
