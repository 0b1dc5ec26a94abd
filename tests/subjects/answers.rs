//! Who saw a person, and whom a breach concerns, told from the log.

use super::*;

/// `pgpurpose audit ...` over the log of this test.
fn audit(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("policy.toml"), POLICY).unwrap();
    std::fs::write(at("key"), "07".repeat(32)).unwrap();
    let config = format!(
        "[upstream]\naddress = \"127.0.0.1:1\"\n[auth]\nmethod = \"relay\"\n[policy]\nfiles = [\"policy.toml\"]\n\
         [audit]\ndirectory = \"{}\"\nsubject_key = \"file:key\"\n",
        proxy().log.path().display()
    );
    std::fs::write(at("pgpurpose.toml"), config).unwrap();
    std::fs::write(at("ids"), "11\n12\n13\n").unwrap();
    let ids = at("ids").display().to_string();
    let arguments: Vec<&str> = arguments.iter().map(|part| if *part == "IDS" { ids.as_str() } else { part }).collect();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .arg("audit")
        .args(&arguments)
        .arg("--config")
        .arg(at("pgpurpose.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_person_and_a_breach_are_answered_from_the_log() {
    let mut client = client("person");
    client.rows("SELECT * FROM patients WHERE ward = 'ward 0'");
    client.rows("SELECT ward FROM patients WHERE ward = 'ward 0'");
    client.rows("SELECT count(*) FROM patients WHERE ward = 'ward 1'");
    client.rows("SELECT email FROM persons WHERE id = 5");
    proxy().records();
    let json = |arguments: &[&str]| serde_json::from_str::<Value>(&audit(arguments)).unwrap();
    let told = json(&["subject", "12", "--json"]);
    assert_eq!(told["people"], serde_json::json!({ "public.patients": 1 }));
    let seen = &told["seen"][0];
    assert_eq!(
        (&seen["recipient"], &seen["third_party"], &seen["purpose"], &seen["basis"], &seen["seen"]["statements"]),
        (&"Ward Round Ltd".into(), &true.into(), &"support".into(), &"contract".into(), &2.into())
    );
    let columns = &seen["seen"]["columns"]["public.patients"];
    assert_eq!(columns["patient"], serde_json::json!({ "category": "key", "plain": false }));
    assert_eq!(columns["ward"], serde_json::json!({ "category": "open", "plain": true }));
    assert_eq!(told["may_have_been_part_of"][0]["group"]["relation"], "public.patients");
    assert_eq!(json(&["subject", "13", "--json"])["people"], serde_json::json!({}));
    // The key is the same for every table; a table of other people is left out by its name.
    assert_eq!(json(&["subject", "5", "--json"])["people"], serde_json::json!({ "public.persons": 1 }));
    assert_eq!(json(&["subject", "5", "--relation", "patients", "--json"])["people"], serde_json::json!({}));
    let found = audit(&["search", "--subject", "12", "--json"]);
    assert_eq!(found.matches("\"event\":\"disclosure\"").count(), 2, "{found}");
    assert_eq!(audit(&["search", "--subject", "13", "--json"]), "");
    let page = audit(&["subject", "12"]);
    for part in [
        "Ward Round Ltd",
        "Answer a patient&#39;s question",
        "a contract with you needs it",
        "2 times",
        "hidden in part",
    ] {
        assert!(page.contains(part), "`{part}` is not in\n{page}");
    }
    assert!(!page.contains("<script") && !page.contains("://"), "{page}");
    assert!(audit(&["subject", "<b>"]).contains("&lt;b&gt;"));
    // On a telephone, light and dark, and in three languages.
    assert!(page.contains("name=\"viewport\"") && page.contains("prefers-color-scheme:dark"), "{page}");
    for (language, title) in [("af", "Wie na jou rekord gekyk het"), ("zu", "Ubani")] {
        let page = audit(&["subject", "12", "--language", language]);
        let named = page.contains(&format!("<html lang=\"{language}\">")) && page.contains(title);
        assert!(named && page.contains("data-label=") && !page.contains("seen."), "{page}");
    }
    let breach = json(&["breach", "--login", "support", "--from", "2020-01-01", "--ids", "IDS", "--json"]);
    assert_eq!(breach["people"], serde_json::json!({ "public.patients": 2, "public.persons": 1 }));
    assert_eq!(breach["named"], serde_json::json!({ "public.patients": ["12"] }));
    assert_eq!(breach["categories"]["open"], serde_json::json!({ "people": 2, "special": false }));
    assert_eq!(
        json(&["breach", "--login", "support", "--from", "2020-01-01", "--to", "2020-01-02", "--json"])["people"],
        serde_json::json!({})
    );
    let form = json(&["breach", "--login", "support", "--from", "2020-01-01", "--form", "--json"]);
    let known = |field: &str| form["fields"][field]["known"].as_str().map(str::to_owned);
    let people = known("people").unwrap();
    assert!(
        people.starts_with("at least 3 (2 of `public.patients`, 1 of `public.persons`); besides, 1 statements over"),
        "{people}"
    );
    assert!(known("information").unwrap().contains("open, of 2") && known("described").unwrap().contains("`support`"));
    // What only a person can know is a gap, not a guess.
    for field in [
        "responsible_party",
        "delay",
        "confirmed",
        "told_people",
        "consequences",
        "measures",
        "advice",
        "unauthorised_person",
    ] {
        assert_eq!(known(field), None, "{field}");
    }
    assert!(
        audit(&["breach", "--login", "support", "--from", "1d"])
            .contains("public.patients                  2 data subjects")
    );
}
