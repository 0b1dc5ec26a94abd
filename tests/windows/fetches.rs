//! A FETCH that fails in the middle, or waits: what it told of people is in the log before the client has it, and whose consent was withdrawn
//! while it waited is not in its rows.

use super::cursors::{fetched, holding, until_it_waits, without};
use super::raw::{Client, Message, batch, bind, cluster, execute, field, parse, query, rows, shown, sync};
use super::{market, stand};

const FAILS: &str =
    "SELECT person, 1 / (person - 1604) AS one FROM readers WHERE person BETWEEN 1601 AND 1608 ORDER BY person";

/// What the log says by now of one session's disclosures: subjects in their order, and relations that were counted.
fn told(application: &str) -> (Vec<String>, Vec<String>) {
    let (mut subjects, mut counted) = (Vec::new(), Vec::new());
    let of_it = |record: &serde_json::Value| record["event"] == "disclosure" && record["application"] == application;
    let files = std::fs::read_dir(stand().log.path()).unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    // Without waiting for anything: what is written by now, but for a line that is just being written.
    let records = texts.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str(line).ok());
    for record in records.filter(of_it) {
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        for relation in list(&record["relations"]) {
            subjects.extend(list(&relation["subjects"]).iter().map(|subject| subject.as_str().unwrap().to_owned()));
        }
        counted.extend(list(&record["aggregate"]).iter().map(|relation| relation["name"].as_str().unwrap().to_owned()));
    }
    (subjects, counted)
}

/// Messages up to the error, and what the log said when it came.
fn until_error(client: &mut Client, application: &str) -> (Vec<Message>, (Vec<String>, Vec<String>)) {
    let mut messages = Vec::new();
    loop {
        let message = client.receive().unwrap();
        assert_ne!(message.0, b'Z', "no error came: {}", shown(&messages));
        let failed = message.0 == b'E';
        messages.push(message);
        if failed {
            return (messages, told(application));
        }
    }
}

#[test]
fn an_error_in_the_midst_of_a_fetch_is_recorded_before_the_client_has_it() {
    stand();
    // Read by the key's index, one row after the other.
    cluster().run_sql("postgres", "ANALYZE readers").unwrap();
    for purpose in ["marketing", "support"] {
        for way in ["simple", "extended", "portal", "held"] {
            let application = format!("fails, {purpose}, {way}");
            let mut client = market();
            client.query(&format!("SET pgpurpose.purpose = '{purpose}'"));
            client.query(&format!("SET application_name = '{application}'"));
            client.query("BEGIN");
            match way {
                "portal" => {
                    client.send(&batch(&[parse("", FAILS), bind("p", ""), execute("p", 1), sync()]));
                    client.until_ready();
                    client.send(&batch(&[execute("p", 7), sync()]));
                }
                "extended" => {
                    client.query(&format!("DECLARE c NO SCROLL CURSOR FOR {FAILS}"));
                    client.query("FETCH 1 FROM c");
                    client.send(&batch(&[parse("", "FETCH 7 FROM c"), bind("", ""), execute("", 0), sync()]));
                }
                "held" => {
                    // PostgreSQL reads it whole when the transaction ends.
                    client.query(&format!("DECLARE c CURSOR WITH HOLD FOR {FAILS}"));
                    client.send(&query("COMMIT"));
                }
                _ => {
                    client.query(&format!("DECLARE c NO SCROLL CURSOR FOR {FAILS}"));
                    client.query("FETCH 1 FROM c");
                    client.send(&query("FETCH 7 FROM c"));
                }
            }
            let (messages, (subjects, counted)) = until_error(&mut client, &application);
            let error = &messages.last().unwrap().1;
            assert_eq!(field(error, b'C'), "22012", "{application}: {}", shown(&messages));
            client.until_ready();
            let shown_rows = rows(&messages);
            assert!(
                shown_rows.iter().all(|row| subjects.iter().any(|one| row.starts_with(one.as_str()))),
                "{application}"
            );
            assert_eq!(counted.last().map(String::as_str), Some("public.readers"), "{application}: {subjects:?}");
            client.query("ROLLBACK");
        }
    }
}

#[test]
fn a_fetch_that_waited_brings_no_row_whose_consent_was_withdrawn_meanwhile() {
    let locking = |first: i32| {
        format!("SELECT person FROM readers WHERE person BETWEEN {first} AND {} ORDER BY person FOR UPDATE", first + 2)
    };
    // FETCH, by both protocols.
    for (number, extended) in [false, true].into_iter().enumerate() {
        let first = 1401 + 10 * i32::try_from(number).unwrap();
        let mut other = holding(first);
        let mut client = market();
        client.query("BEGIN");
        assert_eq!(client.query(&format!("DECLARE c CURSOR FOR {}", locking(first))), "C(DECLARE CURSOR) ZT");
        let fetch = "FETCH 2 FROM c";
        if extended {
            client.send(&batch(&[parse("", fetch), bind("", ""), execute("", 0), sync()]));
        } else {
            client.send(&query(fetch));
        }
        until_it_waits(&mut other);
        without(&[first], || {
            other.query("COMMIT");
            let answer = client.until_ready();
            assert_eq!(rows(&answer), [(first + 1).to_string(), (first + 2).to_string()], "{}", shown(&answer));
            assert!(shown(&answer).contains("C(FETCH 2)"), "{}", shown(&answer));
        });
        assert_eq!(fetched(&mut client, "FETCH ALL FROM c"), ("FETCH 0".to_owned(), Vec::new()));
        client.query("ROLLBACK");
    }
    // A portal that is read on.
    let mut other = holding(1432);
    let mut client = market();
    client.send(&batch(&[query("BEGIN"), parse("", &locking(1431)), bind("p", ""), execute("p", 1), sync()]));
    client.until_ready();
    let answer = client.until_ready();
    assert_eq!(rows(&answer), ["1431"], "{}", shown(&answer));
    client.send(&batch(&[execute("p", 0), sync()]));
    until_it_waits(&mut other);
    without(&[1432], || {
        other.query("COMMIT");
        let answer = client.until_ready();
        assert_eq!(rows(&answer), ["1433"], "{}", shown(&answer));
        assert!(shown(&answer).contains("C(SELECT 1)"), "{}", shown(&answer));
    });
    client.query("ROLLBACK");
}
