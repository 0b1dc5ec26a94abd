//! One report over the logs of several proxies is the sum of what each says.

use std::fs;

use serde_json::Value;

use super::days::{COUNT, generated};
use super::pgpurpose;

#[test]
fn a_report_over_several_logs_is_their_sum_and_says_which_log_a_record_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let logs = ["one", "two"].map(|name| folder.path().join(name));
    for log in &logs {
        fs::create_dir(log).unwrap();
        generated(log);
    }
    let [one, two] = logs.each_ref().map(|log| log.display().to_string());
    let report = |dirs: &[&str], format: &str| {
        let dirs = dirs.iter().flat_map(|dir| ["--dir", dir]);
        let all: Vec<&str> = ["audit", "report"].into_iter().chain(dirs).chain(["--format", format]).collect();
        pgpurpose(&all)
    };
    let json = |dirs: &[&str]| -> (i32, Value) {
        let (status, said, told) = report(dirs, "json");
        (status, serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{told}")))
    };
    let (single_status, single) = json(&[&one]);
    let (status, both) = json(&[&one, &two]);
    assert_eq!((single_status, status), (0, 0), "{both}");
    let statements = |report: &Value| report["activity"]["all"]["total"]["statements"].as_u64().unwrap();
    let subjects = |report: &Value| report["activity"]["all"]["total"]["subjects"].as_u64().unwrap();
    assert_eq!(statements(&single), COUNT as u64);
    assert_eq!(
        (statements(&both), subjects(&both), both["records"].as_u64().unwrap()),
        (2 * statements(&single), 2 * subjects(&single), 2 * single["records"].as_u64().unwrap())
    );
    let chains = both["chain"].as_array().unwrap();
    let folders: Vec<&Value> = chains.iter().map(|chain| &chain["directory"]).collect();
    assert_eq!(folders, [&Value::from(one.as_str()), &Value::from(two.as_str())]);
    assert_eq!(both["log"]["first"]["time"], single["log"]["first"]["time"]);
    // One of them was changed: the report says so, and of which.
    let file = fs::read_dir(&logs[1]).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("SELECT 7\"", "SELECT 8\"", 1)).unwrap();
    let (status, said, _) = report(&[&one, &two], "markdown");
    assert_eq!(status, 1);
    let broken = said.find("The chain is broken").unwrap();
    assert!(said.find(&two).is_some_and(|named| named < broken) && said.contains("The chain holds"), "{said}");
}
