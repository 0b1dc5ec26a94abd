//! Cursors and portals over rows that rest on consent: a row is not delivered once its consent is withdrawn, however long before
//! it was opened.

use super::raw::{
    Client, batch, bind, cluster, describe, execute, message, parse, query, rows, servers, shown, socket, start, sync,
};
use super::{IDS, POLICY, market, refusal, stand, withdraw};
use pgpurpose::server::Options;

const READERS: &str = "SELECT person FROM readers ORDER BY person";

/// Runs with the consents of these people withdrawn before, and given again after.
pub(super) fn without(ids: &[i32], run: impl FnOnce()) {
    let all: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let set = |granted: bool| {
        let sql = format!("UPDATE privacy.consents SET granted = {granted} WHERE subject_id IN ({})", all.join(", "));
        cluster().run_sql("postgres", &sql).unwrap();
    };
    set(false);
    run();
    set(true);
}

/// The tag of a simple query, and its rows' first values.
pub(super) fn fetched(client: &mut Client, sql: &str) -> (String, Vec<String>) {
    client.send(&query(sql));
    let messages = client.until_ready();
    let tag = shown(&messages).split_once("C(").map_or_else(|| shown(&messages), |(_, tag)| tag.replace(") ZT", ""));
    (tag, rows(&messages))
}

#[test]
fn a_row_whose_consent_was_withdrawn_before_a_fetch_is_not_delivered_by_it() {
    // What is fetched before the withdrawals, who withdraws, and what each FETCH brings then.
    for (before, gone, fetches) in [
        ("", &[1003][..], &[("FETCH 4 FROM c", "FETCH 4", "1001 1002 1004 1005"), ("FETCH c", "FETCH 1", "1006")][..]),
        ("FETCH 2 FROM c", &[1003, 1004], &[("FETCH NEXT FROM c", "FETCH 1", "1005")]),
        (
            "FETCH 2 FROM c",
            &[1002],
            &[("FETCH PRIOR FROM c", "FETCH 1", "1001"), ("FETCH 2 IN c", "FETCH 2", "1003 1004")],
        ),
        ("FETCH 5 FROM c", &[1002, 1004], &[("FETCH BACKWARD 2 FROM c", "FETCH 2", "1003 1001")]),
        ("FETCH 5 FROM c", &[1002], &[("FETCH -3 FROM c", "FETCH 3", "1004 1003 1001")]),
        ("FETCH 5 FROM c", &[1002], &[("FETCH BACKWARD ALL FROM c", "FETCH 3", "1004 1003 1001")]),
        ("", &[1002, 1001], &[("FETCH FIRST FROM c", "FETCH 0", ""), ("FETCH ABSOLUTE 3 FROM c", "FETCH 1", "1003")]),
        (
            "MOVE LAST FROM c",
            &[3999],
            &[("FETCH RELATIVE -1 FROM c", "FETCH 0", ""), ("FETCH 0 FROM c", "FETCH 0", "")],
        ),
        (
            "MOVE 2995 FROM c",
            &[3997, 4000],
            &[("FETCH 9 FROM c", "FETCH 3", "3996 3998 3999"), ("FETCH c", "FETCH 0", "")],
        ),
    ] {
        let mut client = market();
        client.query("BEGIN");
        assert_eq!(client.query(&format!("DECLARE c SCROLL CURSOR FOR {READERS}")), "C(DECLARE CURSOR) ZT");
        if !before.is_empty() {
            client.query(before);
        }
        without(gone, || {
            for (fetch, tag, expected) in fetches {
                let (found, rows) = fetched(&mut client, fetch);
                assert_eq!((found.as_str(), rows.join(" ").as_str()), (*tag, *expected), "{before}; {gone:?}; {fetch}");
            }
        });
        assert_eq!(client.query("COMMIT"), "C(COMMIT) ZI");
    }
}

#[test]
fn many_rows_come_in_parts_and_each_of_those_who_agree_comes_once() {
    let mut client = market();
    client.query("BEGIN");
    client.query(&format!("DECLARE c NO SCROLL CURSOR FOR {READERS}"));
    let gone: Vec<i32> = (1500..1900).chain([2001, 4000]).collect();
    without(&gone, || {
        let (tag, rows) = fetched(&mut client, "FETCH 1000 FROM c");
        assert_eq!((tag.as_str(), rows.len(), rows[999].as_str()), ("FETCH 1000", 1000, "2401"));
        let (tag, more) = fetched(&mut client, "FETCH ALL FROM c");
        assert_eq!((tag.as_str(), more.len(), more[0].as_str()), ("FETCH 1598", 1598, "2402"));
        assert!(rows.iter().chain(&more).all(|id| !gone.contains(&id.parse().unwrap())));
    });
    client.query("ROLLBACK");
}

#[test]
fn a_cursor_with_hold_is_asked_about_long_after_its_transaction() {
    let mut client = market();
    let declare = "DECLARE held CURSOR WITH HOLD FOR SELECT l.id, r.name FROM loans l JOIN readers r ON r.person = l.reader ORDER BY l.id";
    assert_eq!(client.query(declare), "C(DECLARE CURSOR) ZI");
    without(&[1003], || {
        client.send(&query("FETCH 3 FROM held"));
        let messages = client.until_ready();
        // T and Z are those of a simple query.
        assert_eq!(shown(&messages), "T D D D C(FETCH 3) ZI");
        assert_eq!(rows(&messages), ["1|name1002", "3|name1004", "4|name1005"]);
    });
    assert_eq!(client.rows("FETCH 1 FROM held"), ["5|name1006"]);
    client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(refusal(&mut client, "FETCH 1 FROM held").0, "42501");
    client.query("ROLLBACK");
    assert_eq!(client.query("CLOSE held"), "C(CLOSE CURSOR) ZI");
}

#[test]
fn a_portal_that_is_read_in_parts_is_asked_about_at_each_of_them() {
    let mut client = market();
    client.send(&batch(&[
        query("BEGIN"),
        parse("", READERS),
        bind("p", ""),
        describe('P', "p"),
        execute("p", 3),
        sync(),
    ]));
    client.until_ready();
    let messages = client.until_ready();
    assert_eq!(shown(&messages), "1 2 T D D D s ZT");
    without(&[1004, 1006], || {
        client.send(&batch(&[execute("p", 3), sync()]));
        let messages = client.until_ready();
        assert_eq!((shown(&messages).as_str(), rows(&messages).join(" ").as_str()), ("D D D s ZT", "1005 1007 1008"));
        client.send(&batch(&[execute("p", 0), sync()]));
        let messages = client.until_ready();
        assert!(shown(&messages).ends_with("C(SELECT 2992) ZT"), "{}", &shown(&messages)[..40]);
        assert_eq!(rows(&messages).len(), 2992);
    });
    client.query("ROLLBACK");
}

#[test]
fn a_portal_that_was_opened_and_not_begun_is_read_as_rows_are_now() {
    for between in [sync(), message(b'H', b"")] {
        let mut client = market();
        client.send(&batch(&[query("BEGIN"), parse("", READERS), bind("b", ""), between.clone()]));
        client.until_ready();
        if between == sync() {
            client.until_ready();
        } else {
            for _ in 0..2 {
                client.receive().unwrap();
            }
        }
        without(&[1001], || {
            client.send(&batch(&[execute("b", 2), sync()]));
            let messages = client.until_ready();
            assert_eq!((shown(&messages).as_str(), rows(&messages).join(" ").as_str()), ("D D s ZT", "1002 1003"));
        });
        client.query("ROLLBACK");
    }
}

#[test]
fn fetch_by_the_extended_protocol_brings_each_column_in_the_format_that_was_asked_for() {
    let mut client = market();
    client.query("BEGIN");
    client.query("DECLARE c CURSOR FOR SELECT person, name FROM readers ORDER BY person");
    without(&[1002, 1003], || {
        // person as binary, name as text.
        let body = b"\0\0\0\0\0\0\0\x02\0\x01\0\0";
        client.send(&batch(&[parse("", "FETCH 3 FROM c"), message(b'B', body), execute("", 0), sync()]));
        let messages = client.until_ready();
        assert_eq!(shown(&messages), "1 2 D D D C(FETCH 3) ZT");
        let last = &messages.iter().rfind(|(tag, _)| *tag == b'D').unwrap().1;
        assert_eq!(last[..], b"\0\x02\0\0\0\x04\0\0\x03\xed\0\0\0\x08name1005"[..]);
    });
    client.query("ROLLBACK");
}

#[test]
fn what_has_no_keys_is_read_in_the_exchange_that_opened_it() {
    let mut client = market();
    for query_of in [
        "SELECT count(*) FROM readers",
        "SELECT city, count(*) FROM readers GROUP BY city",
        "SELECT DISTINCT city FROM readers",
        "SELECT k FROM things WHERE EXISTS (SELECT FROM people WHERE id = k)",
        "SELECT k, (SELECT max(name) FROM readers) FROM things",
        "SELECT person, rank() OVER (ORDER BY name) FROM readers",
        "SELECT person FROM readers UNION SELECT 5",
        "SELECT k FROM things EXCEPT SELECT person FROM readers",
    ] {
        for declare in
            [format!("DECLARE c CURSOR FOR {query_of}"), format!("DECLARE c CURSOR WITH HOLD FOR {query_of}")]
        {
            client.query("BEGIN");
            let (state, hint) = refusal(&mut client, &declare);
            assert_eq!(state, "42501", "{declare}");
            assert!(hint.contains("without a cursor"), "{hint}");
            client.query("ROLLBACK");
        }
        // Read at once it is answered, and read later it is refused.
        client.send(&batch(&[
            query("BEGIN"),
            parse("", query_of),
            bind("p", ""),
            execute("p", 1),
            execute("p", 0),
            sync(),
        ]));
        client.until_ready();
        assert!(shown(&client.until_ready()).ends_with("ZT"), "{query_of}");
        client.send(&batch(&[execute("p", 1), sync()]));
        assert_eq!(shown(&client.until_ready()), "E42501 ZE", "{query_of}");
        client.query("ROLLBACK");
    }
    client.query("BEGIN");
    assert_eq!(client.query("DECLARE c CURSOR FOR SELECT k FROM things"), "C(DECLARE CURSOR) ZT");
    assert_eq!(client.rows("FETCH 1 FROM c"), ["1"]);
    client.query("ROLLBACK");
    // What rests on no consent is a cursor like any other.
    client.query("SET pgpurpose.purpose = 'support'");
    assert_eq!(client.query("DECLARE c CURSOR WITH HOLD FOR SELECT count(*) FROM readers"), "C(DECLARE CURSOR) ZI");
    assert_eq!(client.rows("FETCH 1 FROM c"), ["3000"]);
}

#[test]
fn a_portal_is_read_in_pieces_within_one_exchange() {
    let mut client = market();
    client.send(&batch(&[
        query("BEGIN"),
        parse("", IDS),
        bind("a", ""),
        describe('P', "a"),
        execute("a", 1),
        execute("a", 2),
        sync(),
    ]));
    client.until_ready();
    assert_eq!(shown(&client.until_ready()), "1 2 T D s D D s ZT");
    withdraw(4, false);
    client.send(&batch(&[execute("a", 2), sync()]));
    let messages = client.until_ready();
    withdraw(4, true);
    assert_eq!(shown(&messages), "C(SELECT 0) ZT");
    client.query("ROLLBACK");
    client.query("SET pgpurpose.purpose = 'support'");
    client.send(&batch(&[
        query("BEGIN"),
        parse("", IDS),
        bind("c", ""),
        execute("c", 1),
        sync(),
        execute("c", 1),
        sync(),
    ]));
    client.until_ready();
    assert_eq!(shown(&client.until_ready()), "1 2 D s ZT");
    assert_eq!(shown(&client.until_ready()), "D s ZT");
    client.query("ROLLBACK");
}

#[test]
fn the_log_names_those_whose_rows_went_out_and_nobody_else() {
    let proxy = stand();
    let mut client = market();
    client.query("SET application_name = 'cursor of the log'");
    client.query("BEGIN");
    client.query("DECLARE c CURSOR FOR SELECT name FROM readers WHERE person BETWEEN 3001 AND 3004 ORDER BY person");
    without(&[3002], || assert_eq!(client.rows("FETCH 2 FROM c"), ["name3001", "name3003"]));
    client.query("ROLLBACK");
    let records = proxy.records();
    let told: Vec<String> = records
        .iter()
        .filter(|record| record["event"] == "disclosure" && record["application"] == "cursor of the log")
        .flat_map(|record| record["relations"][0]["subjects"].as_array().unwrap().clone())
        .map(|subject| subject.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, ["3001", "3003"], "{records:#?}");
}

#[test]
fn a_cursor_is_not_read_longer_than_the_policy_lets_it_be() {
    stand();
    let policy = POLICY.replace("[roles.support]", "cursor_seconds = 1\n[roles.support]");
    let proxy = start(Options::new("127.0.0.1:0", servers(&socket())), &policy, super::raw::catalog("postgres"));
    let mut client = proxy.login("support", &[]);
    client.query("BEGIN");
    client.query(&format!("DECLARE c CURSOR FOR {READERS}"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (state, hint) = refusal(&mut client, "FETCH 1 FROM c");
    assert_eq!(state, "42501");
    assert!(hint.contains("cursor_seconds"), "{hint}");
}

/// A superuser's session, straight on the database, that holds the row of a reader.
pub(super) fn holding(person: i32) -> Client {
    let mut other = stand().login("postgres", &[]);
    other.query("BEGIN");
    other.query(&format!("SELECT person FROM readers WHERE person = {person} FOR UPDATE"));
    other
}

/// Until somebody waits for a lock.
pub(super) fn until_it_waits(other: &mut Client) {
    for _ in 0..400 {
        if other.rows("SELECT count(*) FROM pg_locks WHERE NOT granted") != ["0"] {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nobody waits");
}

#[test]
fn whoever_agreed_is_asked_for_again_behind_a_row_lock() {
    for (number, (select, expected)) in [
        ("SELECT person FROM readers WHERE person IN (1201, 1202) ORDER BY person FOR UPDATE", "1202"),
        ("SELECT s.person FROM (SELECT person FROM readers WHERE person IN (1211, 1212) FOR SHARE) s ORDER BY 1", "1212"),
        ("SELECT l.id, r.person FROM loans l JOIN readers r ON r.person = l.reader WHERE l.id = 20 FOR NO KEY UPDATE OF r", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let person = [1201, 1211, 1021][number];
        for messages in [query(select), batch(&[parse("", select), bind("", ""), execute("", 0), sync()])] {
            let mut other = holding(person);
            let mut client = market();
            client.send(&messages);
            until_it_waits(&mut other);
            without(&[person], || {
                other.query("COMMIT");
                let answer = client.until_ready();
                assert_eq!(rows(&answer).join(" "), expected, "{select}: {}", shown(&answer));
                let tag = format!("C(SELECT {})", expected.split_terminator(' ').count());
                assert!(shown(&answer).contains(&tag), "{select}: {}", shown(&answer));
            });
        }
    }
}

#[test]
fn a_change_of_rows_that_rest_on_consent_does_not_wait_long() {
    stand();
    let policy = POLICY.replace("[roles.support]", "lock_seconds = 1\n[roles.support]");
    let proxy = start(Options::new("127.0.0.1:0", servers(&socket())), &policy, super::raw::catalog("postgres"));
    for change in
        ["UPDATE readers SET city = 'y' WHERE person = 1301", "UPDATE readers SET city = 'y' WHERE person / 1 = 1301"]
    {
        let mut other = holding(1301);
        let mut client = proxy.login("support", &[]);
        // A longer wait of the client's own counts no more than none.
        for set in ["SELECT 1", "SET lock_timeout = '1h'", "SET lock_timeout = 0"] {
            client.query(set);
            assert_eq!(client.query(change), "E55P03 ZI", "{set}; {change}");
        }
        client.query("SET lock_timeout = '20ms'");
        assert_eq!(client.query(change), "E55P03 ZI", "{change}");
        assert_eq!(client.rows("SHOW lock_timeout"), ["20ms"]);
        other.query("ROLLBACK");
        assert_eq!(client.query(change), "C(UPDATE 1) ZI", "{change}");
    }
}

/// A superuser's session, straight on the database, that has done this and not said yet whether it stays.
fn undecided(sql: &str) -> Client {
    let mut other = stand().login("postgres", &[]);
    other.query("BEGIN");
    let answer = other.query(sql);
    assert!(answer.contains("C("), "{sql}: {answer}");
    other
}

#[test]
fn no_write_waits_without_a_bound_beside_rows_that_rest_on_consent() {
    stand();
    let policy = POLICY.replace("[roles.support]", "lock_seconds = 1\n[roles.support]");
    let proxy = start(Options::new("127.0.0.1:0", servers(&socket())), &policy, super::raw::catalog("postgres"));
    // Behind a row of the same key that somebody else writes, behind a key that is referred to, from rows that are read.
    for (held, waiting) in [
        ("INSERT INTO readers VALUES (5001, 'a', 'x')", "INSERT INTO readers (person, city) VALUES (5001, 'y')"),
        (
            "INSERT INTO readers VALUES (5002, 'a', 'x')",
            "INSERT INTO readers (person, city) VALUES (5002, 'y') ON CONFLICT (person) DO UPDATE SET city = excluded.city RETURNING city",
        ),
        (
            "INSERT INTO readers VALUES (5003, 'a', 'x')",
            "INSERT INTO readers (person, city) VALUES (5003, 'y') ON CONFLICT DO NOTHING",
        ),
        ("INSERT INTO readers VALUES (5004, 'a', 'x')", "INSERT INTO readers (person, city) SELECT 5004, 'y'"),
        ("UPDATE readers SET person = 5005 WHERE person = 3990", "INSERT INTO loans (id, reader) VALUES (5005, 3990)"),
        ("UPDATE readers SET person = 5006 WHERE person = 3991", "UPDATE loans SET reader = 3991 WHERE id = 60"),
        ("INSERT INTO keyed VALUES (1351)", "INSERT INTO keyed SELECT person FROM readers WHERE person = 1351"),
        (
            "INSERT INTO keyed VALUES (1352)",
            "WITH w AS (INSERT INTO keyed SELECT person FROM readers WHERE person = 1352 RETURNING k) SELECT count(*) FROM w",
        ),
    ] {
        let mut other = undecided(held);
        let mut client = proxy.login("support", &[]);
        assert_eq!(client.query(waiting), "E55P03 ZI", "{waiting}");
        other.query("ROLLBACK");
        client.query("BEGIN");
        let answer = client.query(waiting);
        assert!(answer.contains("C(") && answer.ends_with("ZT"), "{waiting}: {answer}");
        client.query("ROLLBACK");
    }
}

#[test]
fn whoever_agreed_is_asked_for_again_behind_a_change_that_gives_rows_back() {
    for (number, (change, expected)) in [
        ("UPDATE readers SET city = city WHERE person IN (1401, 1402) RETURNING person", "1402"),
        ("WITH w AS (SELECT 1) UPDATE readers SET city = city WHERE person IN (1411, 1412) RETURNING name", "name1412"),
    ]
    .into_iter()
    .enumerate()
    {
        let person = [1401, 1411][number];
        for messages in [query(change), batch(&[parse("", change), bind("", ""), execute("", 0), sync()])] {
            let mut other = holding(person);
            let mut client = market();
            client.send(&messages);
            until_it_waits(&mut other);
            without(&[person], || {
                other.query("COMMIT");
                let answer = client.until_ready();
                assert_eq!(rows(&answer).join(" "), expected, "{change}: {}", shown(&answer));
            });
        }
    }
    // All of them, however many there are.
    let mut client = market();
    for many in [
        "SELECT person FROM readers WHERE person BETWEEN 2001 AND 2040 FOR UPDATE",
        "UPDATE readers SET city = city WHERE person BETWEEN 2001 AND 2040 RETURNING person",
    ] {
        let word = many.split(' ').next().unwrap();
        client.send(&query(many));
        let answer = client.until_ready();
        assert_eq!(rows(&answer).len(), 40, "{many}");
        assert!(shown(&answer).contains(&format!("C({word} 40)")), "{many}");
        client.send(&batch(&[parse("", many), bind("", ""), execute("", 0), sync()]));
        assert_eq!(rows(&client.until_ready()).len(), 40, "{many}");
    }
    // What cannot be asked about again is changed all the same, and bounded.
    assert_eq!(
        client.rows(
            "WITH w AS (UPDATE readers SET city = city WHERE person = 1421 RETURNING person) SELECT count(*) FROM w"
        ),
        ["1"]
    );
    assert_eq!(client.rows("UPDATE readers SET city = city WHERE person = 1422 RETURNING (SELECT count(*) FROM readers WHERE person = 1422)"), ["1"]);
}
