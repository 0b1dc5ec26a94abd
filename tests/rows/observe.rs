//! Observe mode, where nothing but the rows of a purpose is held back.

use pgpurpose::server::Options;

use super::raw::{self, servers, socket};
use super::{privacy, run, session};

const POLICY: &str = r#"
version = 1
[tables."public.people"]
subject = "id"
columns = { id = "reference", name = "identity" }
[consent]
table = "privacy.consents"
subject = "subject_id"
purpose = "purpose"
active = "granted AND withdrawn_at IS NULL"
[objections]
table = "privacy.objections"
subject = "subject_id"
purpose = "purpose"
active = "lifted_at IS NULL"
[purposes.letters]
basis = "consent"
[purposes.study]
basis = "legitimate_interest"
[purposes.support]
basis = "contract"
[roles.r]
logins = ["support"]
purposes = ["letters", "study", "support"]
[[rules]]
name = "all"
roles = ["r"]
purposes = ["letters", "study", "support"]
read = ["reference", "identity"]
write = ["identity"]
delete = ["public.people"]
"#;

const NAME: &str = "observed";

#[test]
fn a_row_filter_alone_is_logged_as_it_would_have_been_and_leaves_out_nothing() {
    raw::cluster().run_statements("postgres", &format!("CREATE DATABASE {NAME}")).unwrap();
    let schema = format!(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text);
         INSERT INTO people SELECT n, 'x' FROM generate_series(1, 4) AS n;
         {}
         INSERT INTO privacy.consents (subject_id, purpose, evidence) VALUES (1, 'letters', 'x');
         INSERT INTO privacy.objections (subject_id, purpose, evidence) VALUES (2, 'study', 'x');
         GRANT USAGE ON SCHEMA privacy TO support;
         GRANT SELECT ON ALL TABLES IN SCHEMA privacy TO support;
         GRANT ALL ON people TO support;",
        privacy()
    );
    run(NAME, &schema);
    let start = |observe| {
        let options = Options::new("127.0.0.1:0", servers(&socket()));
        raw::start_in(observe, options, POLICY, raw::catalog(NAME))
    };
    let read = "SELECT id FROM people ORDER BY id";
    let update = "UPDATE people SET name = 'y'";
    let whole = ["1", "2", "3", "4"];
    let enforced = start(false);
    assert_eq!(session(&enforced, NAME, "letters").rows(read), ["1"]);
    assert_eq!(session(&enforced, NAME, "study").rows(read), ["1", "3", "4"]);

    let observed = start(true);
    for purpose in ["letters", "study", "support"] {
        let mut client = session(&observed, NAME, purpose);
        assert_eq!(client.rows(read), whole, "{purpose}");
        client.send(&raw::batch(&[raw::parse("", read), raw::bind("", ""), raw::execute("", 0), raw::sync()]));
        assert_eq!(raw::rows(&client.until_ready()), whole, "{purpose}");
        assert_eq!(
            client.query(&format!("BEGIN; {update}; DELETE FROM people; ROLLBACK")),
            "C(BEGIN) C(UPDATE 4) C(DELETE 4) C(ROLLBACK) ZI",
            "{purpose}"
        );
        // What enforcement refuses for the sake of fresh rows goes on too.
        client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
        assert_eq!(client.rows(read), whole, "{purpose}");
        assert_eq!(client.query("DECLARE c CURSOR FOR SELECT id FROM people"), "C(DECLARE CURSOR) ZT");
        client.query("ROLLBACK");
    }

    // The log says what the same statement gets where it is enforced, and that it was not. Outcomes are written after the answer.
    let told = |proxy: &raw::Proxy, purpose: &str, sql: &str| {
        for _ in 0..200 {
            let records = proxy.records();
            let asked = |record: &&serde_json::Value| {
                record["event"] == "access" && record["purpose"] == purpose && record["statement"] == sql
            };
            let record = records.iter().find(asked).unwrap_or_else(|| panic!("no record of `{sql}` for {purpose}"));
            let ended = |outcome: &&serde_json::Value| outcome["event"] == "outcome" && outcome["of"] == record["seq"];
            if let Some(outcome) = records.iter().find(ended) {
                let filter = record["relations"][0]["filter"].clone();
                return (record["verdict"].clone(), filter, record["mode"].clone(), outcome["rows"].clone());
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("no outcome of `{sql}` for {purpose}");
    };
    let json = |text: &str| serde_json::Value::from(text);
    let nothing = serde_json::Value::Null;
    for (purpose, verdict, filter, rows) in
        [("letters", "mask", json("consent(letters), no objections"), 1), ("study", "mask", json("no objections"), 3)]
    {
        assert_eq!(
            told(&enforced, purpose, read),
            (json(verdict), filter.clone(), nothing.clone(), rows.into()),
            "{purpose}"
        );
        for sql in [read, "UPDATE people SET name = $1"] {
            assert_eq!(
                told(&observed, purpose, sql),
                (json(verdict), filter.clone(), json("observe"), 4.into()),
                "{purpose} {sql}"
            );
        }
    }
}
