//! What a person does there, and what follows from it.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::{Config, NoTls};

use crate::stand::Stand;

const PERSON: &str = "canary-12@example.co.za";

#[tokio::test]
async fn a_switch_acts_at_the_next_statement_and_its_receipt_is_signed_and_in_the_log() {
    let stand = Stand::open("", "");
    let (client, driver) = Config::new()
        .host("127.0.0.1")
        .port(stand.proxy.port)
        .user("agent")
        .dbname("shop")
        .options("-c pgpurpose.purpose=offers")
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(driver);
    let sees = async || client.query("SELECT email FROM customers WHERE id = 12", &[]).await.unwrap().len();
    assert_eq!(sees().await, 1);
    let mut visitor = stand.visitor();
    visitor.enter(PERSON, 0);
    visitor.get("/en/choices");
    let answer = visitor.post("/en/choices", &[("purpose", "offers"), ("to", "off")]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(sees().await, 0, "the next statement of a session that is open follows it");
    let id = &answer.body.split("/en/receipt/").nth(1).unwrap()[..32];
    let receipt = visitor.get(&format!("/en/receipt/{id}.json"));
    assert!(receipt.header("content-disposition").unwrap().starts_with("attachment"));
    let read: Value = serde_json::from_str(&receipt.body).unwrap();
    assert_eq!(read["event"][0]["event_state"], "objection_made");
    assert_eq!(read["pii_processing"][0]["purposes"][0]["purpose"], "offers");
    assert!(!receipt.body.contains("canary") && read["pii_principal_id"].as_str().unwrap().starts_with("ps_"));
    let file = stand.config.with_file_name("receipt.json");
    fs::write(&file, &receipt.body).unwrap();
    stand.run(&["centre", "--verify", file.to_str().unwrap()]);
    fs::write(&file, receipt.body.replace("\"offers\"", "\"support\"")).unwrap();
    let forged = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["centre", "--config"])
        .arg(&stand.config)
        .arg("--verify")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(forged.status.code(), Some(1));
    // On again, by the same number of steps.
    visitor.get("/en/choices");
    visitor.post("/en/choices", &[("purpose", "offers"), ("to", "on")]);
    assert_eq!(sees().await, 1);
    assert_eq!(
        stand.direct(
            "SELECT count(*) FILTER (WHERE lifted_at IS NULL), count(*) FROM privacy.objections WHERE subject_id = 12"
        ),
        "0|1"
    );
    let steps: Vec<Value> =
        stand.proxy.access_log().into_iter().filter(|record| record["event"] == "request").collect();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["find", "identify", "object", "take objection back"]);
    assert!(steps[2]["says"].as_str().unwrap().contains(id) && steps[2]["login"] == "pgpurpose_centre", "{}", steps[2]);
    stand.run(&["audit", "verify"]);
    let begun = Instant::now();
    while stand.mails(&["To: canary-12@example.co.za", "objection_made"]).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the receipt was not sent");
    }
}

#[test]
fn a_channel_needs_what_is_above_it_and_goes_with_it() {
    let stand = Stand::open("", "");
    let mut visitor = stand.visitor();
    visitor.enter(PERSON, 0);
    let live = || {
        stand.direct("SELECT string_agg(purpose, ' ' ORDER BY purpose) FROM privacy.consents WHERE subject_id = 12 AND granted AND withdrawn_at IS NULL")
    };
    let page = visitor.get("/en/choices");
    assert!(page.body.contains("Turn on “Tell you about offers” first."), "{}", page.body);
    visitor.get("/en/ask/offers");
    assert_eq!(visitor.post("/en/ask/offers", &[("purpose", "marketing.sms")]).header("location"), Some("/en/choices"));
    assert_eq!(live(), "marketing marketing.sms");
    let evidence = stand.direct("SELECT bool_and(evidence LIKE 'privacy centre, receipt %') FROM privacy.consents");
    assert_eq!(evidence, "t");
    visitor.get("/en/choices");
    visitor.post("/en/choices", &[("purpose", "marketing"), ("to", "off")]);
    assert_eq!(live(), "");
    // What cannot be switched cannot be switched by hand either, and nobody else's wishes moved.
    for purpose in ["support", "bookkeeping", "curiosity", ""] {
        assert_eq!(visitor.post("/en/choices", &[("purpose", purpose), ("to", "off")]).status, 503, "{purpose}");
    }
    assert_eq!(stand.direct("SELECT count(*) FROM privacy.consents WHERE subject_id <> 12"), "0");
}

#[test]
fn a_request_is_entered_with_its_time_and_told_by_its_reference_alone() {
    let stand = Stand::open("", "");
    let mut visitor = stand.visitor();
    visitor.enter(PERSON, 0);
    visitor.get("/en/ask/correct");
    let empty = visitor.post("/en/ask/correct", &[("what", " "), ("why", "moved")]);
    assert_eq!(empty.status, 422);
    assert!(empty.body.contains("role=\"alert\"") && empty.body.contains("moved</textarea>"), "{}", empty.body);
    let done = visitor.post("/en/ask/correct", &[("what", "Main Road <12>\nnot 21"), ("why", "moved")]);
    assert!(done.body.contains("Main Road &lt;12&gt;<br>not 21"), "{}", done.body);
    let reference = done.body.split("class=\"reference\"><code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let row = stand.direct(
        "SELECT asked, people, subject_id, form, identified, wanted, legal_by > received_on + 29 FROM privacy.requests",
    );
    assert_eq!(
        row,
        "correction|public.customers|12|centre|code to the e-mail address on record|Main Road <12>\nnot 21\n\nmoved|t"
    );
    let shown: Value = serde_json::from_str(&stand.run(&["subject", "show", "1", "--json"])).unwrap();
    assert_eq!(shown["form"], "centre", "{shown}");
    assert!(visitor.get("/en/requests").body.contains(&reference));
    // Somebody else, without signing in.
    let mut other = stand.visitor();
    other.get("/en/status");
    let found = other.post("/en/status", &[("reference", &reference)]);
    assert!(
        found.body.contains("being worked on") && !found.body.contains("Main Road") && !found.body.contains("canary")
    );
    let unknown = |reference: &str, other: &mut crate::stand::Visitor<'_>| {
        let answer = other.post("/en/status", &[("reference", reference)]);
        assert!(answer.body.contains("There is no request with that reference"), "{reference}");
        answer.body.replace(reference, "").len()
    };
    // A number that exists and one that does not are told alike.
    assert_eq!(unknown("1-000000000000", &mut other), unknown("9-000000000000", &mut other));
    stand.direct("UPDATE privacy.requests SET outcome = 'granted', closed_at = now() WHERE request_id = 1");
    assert!(other.post("/en/status", &[("reference", &reference)]).body.contains("badge granted"));
}

#[test]
fn the_forms_are_filled_in_with_what_is_on_record_and_nothing_more() {
    let stand = Stand::open("", "");
    let mut visitor = stand.visitor();
    visitor.enter(PERSON, 0);
    for (path, form) in [("object", 1), ("correct", 2), ("delete", 2), ("offers", 4)] {
        let page = visitor.get(&format!("/en/ask/{path}")).body;
        assert!(page.contains(&format!("Form {form} under the regulations")), "{path}");
        for known in
            ["Name canary-12", "082 555 0012", "canary-12@example.co.za", "Cape Town", "Kaap Winkel", "N. Dlamini"]
        {
            assert!(page.contains(known), "{path} lacks {known}: {page}");
        }
        // The number of an identity document and the day of birth are on record too, and stand on no form.
        for other in ["8001015009012", "1980-01-01", "canary-11"] {
            assert!(!page.contains(other), "{path} shows {other}");
        }
    }
    let kept = visitor.post("/en/ask/delete", &[("wish", "kept"), ("what", "my old account"), ("why", "")]).body;
    assert!(kept.contains("section 24(1)(b)") && kept.contains("Name canary-12") && kept.contains("Made on"), "{kept}");
    let wrong = visitor.post("/en/ask/delete", &[("wish", "something else"), ("what", "the rest")]).body;
    assert!(wrong.contains("section 24(1)(a)"), "{wrong}");
    let rows = stand.direct("SELECT string_agg(wanted, '; ' ORDER BY request_id) FROM privacy.requests");
    assert_eq!(rows, "section 24(1)(b)\n\nmy old account; section 24(1)(a)\n\nthe rest");
    // That they are read is in the log before they are.
    let log = stand.run(&["audit", "search", "--json"]);
    assert!(log.contains("name, address and contacts are read for the forms"), "{log}");
}

#[test]
fn at_most_twenty_requests_of_one_person_wait() {
    let stand = Stand::open("", "");
    let mut visitor = stand.visitor();
    visitor.enter(PERSON, 0);
    stand.direct(
        "INSERT INTO privacy.requests (asked, people, subject_id, form, identified, received_on, strict_by, legal_by, known_until) \
         SELECT 'access', 'public.customers', 12, 'email', 'x', current_date, current_date, current_date, current_date FROM generate_series(1, 20)",
    );
    visitor.get("/en/ask/see");
    assert_eq!(visitor.post("/en/ask/see", &[("what", "")]).status, 429);
    stand.direct("UPDATE privacy.requests SET outcome = 'granted', closed_at = now() WHERE request_id = 1");
    assert_eq!(visitor.post("/en/ask/see", &[("what", "")]).status, 200);
}

#[test]
fn one_click_ends_a_purpose_and_a_look_at_the_link_does_not() {
    let stand = Stand::open("", "");
    stand.direct("INSERT INTO privacy.consents (subject_id, purpose, evidence) SELECT i, 'marketing', 'test' FROM generate_series(11, 13) i");
    let mut links = Command::new(env!("CARGO_BIN_EXE_pgpurpose"))
        .args(["centre", "--links", "marketing", "--config"])
        .arg(&stand.config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    links.stdin.take().unwrap().write_all(b"12\n13\n").unwrap();
    let output = String::from_utf8(links.wait_with_output().unwrap().stdout).unwrap();
    let links: Vec<&str> = output.lines().map(|link| link.strip_prefix(&stand.base).unwrap()).collect();
    let live = || {
        stand.direct("SELECT string_agg(subject_id::text, ' ' ORDER BY subject_id) FROM privacy.consents WHERE withdrawn_at IS NULL")
    };
    let mut visitor = stand.visitor();
    let page = visitor.get(links[0]);
    assert!(page.status == 200 && page.body.contains("name=\"List-Unsubscribe\" value=\"One-Click\""), "{}", page.body);
    assert_eq!(live(), "11 12 13", "whoever looks at links changes nothing");
    // A mail program has no cookie and no page of ours (RFC 8058, section 3.2).
    let post = |link: &str, body: &str| stand.visitor().send("POST", link, "", body).status;
    assert_eq!(post(links[0], "x=y"), 405);
    let forged = format!("{}/{}", links[0].rsplit_once('/').unwrap().0, links[1].rsplit('/').next().unwrap());
    assert_eq!(post(&forged, "List-Unsubscribe=One-Click"), 404);
    assert_eq!(live(), "11 12 13");
    assert_eq!(post(links[0], "List-Unsubscribe=One-Click"), 200);
    assert_eq!(live(), "11 13");
    assert_eq!(post(links[0], "List-Unsubscribe=One-Click"), 200, "and once more is no fault");
    // Each is a record of the log, so that there are not any number of them.
    assert_eq!((0..20).map(|_| post(links[0], "List-Unsubscribe=One-Click")).find(|status| *status != 200), Some(429));
    assert_eq!(post(links[1], "List-Unsubscribe=One-Click"), 200, "the links of others still work");
    let log = stand.proxy.access_log();
    assert!(log.iter().any(|record| record["step"] == "withdraw consent" && record["login"] == "pgpurpose_centre"));
}

#[test]
fn what_is_told_follows_the_policies_in_force() {
    let stand = Stand::open("", "");
    let mut visitor = stand.visitor();
    let read =
        || -> Value { serde_json::from_str(&stand.visitor().send("GET", "/privacy.json", "", "").body).unwrap() };
    let first = read();
    let offers =
        |told: &Value| told["purposes"].as_array().unwrap().iter().find(|one| one["purpose"] == "offers").cloned();
    assert_eq!(offers(&first).unwrap()["basis"], "legitimate_interest");
    assert_eq!(first["receipts"]["ed25519"].as_str().unwrap().len(), 64);
    assert!(visitor.get("/en/").body.contains("A legitimate interest"));
    let policy = fs::read_dir(stand.config.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let policy = policy
        .into_iter()
        .find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("[purposes.offers]")))
        .unwrap();
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(
        &policy,
        text.replace("[purposes.offers]\nbasis = \"legitimate_interest\"", "[purposes.offers]\nbasis = \"contract\""),
    )
    .unwrap();
    let begun = Instant::now();
    while read()["policy"] == first["policy"] {
        assert!(begun.elapsed() < Duration::from_secs(30), "the policies are not read again");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(offers(&read()).unwrap()["basis"], "contract");
    assert!(!visitor.get("/en/").body.contains("A legitimate interest"));
    for (language, word) in [("af", "Wat ons oor jou hou"), ("zu", "Esikugcinayo ngawe")] {
        let page = visitor.get(&format!("/{language}/")).body;
        assert!(page.contains(&format!("<html lang=\"{language}\">")) && page.contains(word));
    }
    assert_eq!(
        stand.visitor().send("GET", "/", "Accept-Language: zu-ZA,en;q=0.5\r\n", "").header("location"),
        Some("/zu/")
    );
}
