//! How long each stage of a decision takes is counted once for a statement that is new.

use pgpurpose::server::Options;

use super::raw::{self, Proxy, servers, socket};
use super::{POLICY, login, set_up};

const STAGES: [&str; 5] = ["parse", "witness", "resolve", "decide", "rewrite"];

/// How often each stage was counted, as `/metrics` says it.
fn counts(proxy: &Proxy) -> [u64; 5] {
    let page = proxy.shared.metrics.render();
    STAGES.map(|stage| {
        let line = format!("pgpurpose_stage_seconds_count{{stage=\"{stage}\"}} ");
        page.lines()
            .find_map(|have| have.strip_prefix(&line))
            .unwrap_or_else(|| panic!("{stage}:\n{page}"))
            .parse()
            .unwrap()
    })
}

#[test]
fn each_stage_is_counted_for_a_new_statement_and_none_for_one_that_is_known() {
    set_up();
    let proxy = raw::start(Options::new("127.0.0.1:0", servers(&socket())), POLICY, raw::catalog("log"));
    let mut client = login(&proxy, "support", "stages");
    assert_eq!(counts(&proxy), [0; 5]);
    for _ in 0..3 {
        client.query("SELECT email FROM people WHERE id = 1");
        assert_eq!(counts(&proxy), [1; 5], "the first time only");
    }
    client.query("SELECT email FROM people WHERE id = 2");
    assert_eq!(counts(&proxy), [1; 5], "another constant is the same form");
    client.query("SELECT email FROM people WHERE id > 2");
    assert_eq!(counts(&proxy), [2; 5], "another form");
    client.query("SELECT secret FROM people");
    assert_eq!(counts(&proxy), [3, 3, 3, 3, 2], "refused by the policy");
    client.query("SELECT nothing FROM people");
    // The catalog was read again, and it was decided a second time.
    let [parse, witness, resolve, decide, rewrite] = counts(&proxy);
    assert!(parse > 3 && parse == witness && witness == resolve, "{:?}", counts(&proxy));
    assert_eq!((decide, rewrite), (3, 2), "not resolved");
    client.query("SELECT FROM WHERE");
    assert_eq!(counts(&proxy)[2..], [resolve, 3, 2], "not parsed");
    let page = proxy.shared.metrics.render();
    assert_eq!(page.matches("# TYPE pgpurpose_stage_seconds histogram").count(), 1);
    let infinite = "pgpurpose_stage_seconds_bucket{stage=\"rewrite\",le=\"+Inf\"} 2\n";
    assert!(page.contains(infinite), "{page}");
}
