//! What differs from a login's own past.

use super::*;

#[test]
fn a_first_use_of_a_category_is_told_once_the_login_has_a_past() {
    let mut log = made(40, None);
    log.usual_days("a", 0..10);
    // Too early to say, so it is usual from now on.
    log.reads(time(10, 8), "a", "contact");
    log.usual_days("a", 11..20);
    // A refusal is no use of it, nor is a column that a star left out.
    log.access(time(20, 8), "a", json!({"verdict": "deny", "relations": of(&[column("h", "health", "deny")])}));
    log.access(time(20, 9), "a", json!({"relations": of(&[column("h", "health", "omit")])}));
    log.reads(time(21, 8), "a", "contact");
    let first = log.reads(time(21, 9), "a", "health");
    log.reads(time(21, 10), "a", "health");
    // Of one who comes now and then, five days are too few.
    for day in [1, 8, 15, 22] {
        log.reads(time(day, 10), "rare", "reference");
    }
    log.reads(time(29, 10), "rare", "health");
    let report = log.finish();
    let usual = vec!["contact".to_owned(), "reference".to_owned()];
    let what = What::NewCategory { category: "health".into(), purpose: "support".into(), usual, known_days: 21 };
    assert_eq!(findings(&report), [(first, "a", &what)]);
    assert_eq!((report.unusual.judged, report.unusual.too_new), (1, vec!["rare".to_owned()]));
}

#[test]
fn a_login_that_comes_late_is_told_where_the_log_is_old_enough() {
    let mut log = made(40, None);
    log.usual_days("a", 0..21);
    log.reads(time(13, 8), "soon", "reference");
    let late = log.reads(time(14, 8), "late", "reference");
    let report = log.finish();
    assert_eq!(findings(&report), [(late, "late", &What::NewLogin { log_days: 14 })]);
}

#[test]
fn a_day_beyond_its_own_past_is_told_with_the_record_that_went_beyond() {
    let mut log = made(40, None);
    log.usual_days("a", 0..20);
    log.usual_days("small", 0..20);
    let before = log.seq;
    // Ten a day are usual, twice as many are still, and below fifty nothing is unusual.
    for _ in 0..50 {
        log.reads(time(20, 9), "small", "reference");
    }
    for _ in 0..80 {
        log.reads(time(20, 10), "a", "reference");
    }
    let report = log.finish();
    let what = What::Volume { measure: Measure::Statements, count: 80, limit: 50, median: 10, days: 20 };
    assert_eq!(findings(&report), [(before + 50 + 51, "a", &what)]);
}

#[test]
fn rows_and_data_subjects_count_too_and_a_varied_past_allows_more() {
    let day = |log: &mut Made, day: i64, statements: u64, rows: u64, subjects: u64| {
        let mut last = 0;
        for _ in 0..statements {
            last = log.reads(time(day, 9), "a", "reference");
        }
        let names: Vec<String> = (0..subjects).map(|n| n.to_string()).collect();
        let disclosure = json!({"event": "disclosure", "of": last, "relations": [{"name": "public.people", "columns": [], "subjects": names}]});
        log.add(time(day, 9), joined(disclosure, who("a")));
        log.outcome(last, rows);
        last
    };
    let mut log = made(40, None);
    for n in 0..20 {
        // 100 or 200 statements a day: a median of 100 and a distance of 0 to it in half of the days.
        day(&mut log, n, if n % 3 == 0 { 200 } else { 100 + n as u64 }, 300, 10);
    }
    let usual = day(&mut log, 20, 205, 600, 20);
    let unusual = day(&mut log, 21, 100, 601, 21);
    let report = log.finish();
    assert_eq!(
        findings(&report),
        [
            (unusual, "a", &What::Volume { measure: Measure::Rows, count: 601, limit: 600, median: 300, days: 21 }),
            (
                unusual + 1,
                "a",
                &What::Volume { measure: Measure::Subjects, count: 21, limit: 20, median: 10, days: 21 }
            ),
        ],
        "{usual} is not unusual"
    );
}

#[test]
fn what_is_before_the_period_is_the_past_and_no_finding() {
    let mut log = made(10, None);
    log.usual_days("a", 0..20);
    for _ in 0..80 {
        log.reads(time(20, 10), "a", "health");
    }
    log.usual_days("a", 21..35);
    let first = log.reads(time(36, 10), "a", "birth");
    let report = log.finish();
    assert_eq!(findings(&report).iter().map(|found| found.0).collect::<Vec<_>>(), [first]);
}

#[test]
fn statements_outside_of_its_hours_are_told_in_the_zone_of_the_report() {
    let mut log = made(40, None);
    log.usual_days("a", 0..20);
    // Usual from nine to six there, from seven to four in UTC.
    log.reads(time(20, 7), "a", "reference");
    let first = log.reads(time(20, 18), "a", "reference");
    log.reads(time(20, 20), "a", "reference");
    log.reads(time(20, 20), "a", "reference");
    // With under a hundred statements nobody knows its hours.
    for day in 0..20 {
        log.reads(time(day, 9), "quiet", "reference");
    }
    log.reads(time(20, 21), "quiet", "reference");
    let report = log.finish();
    let what = What::Hours { hours: vec![20, 22], statements: 3, usual: (9..19).collect(), earlier: 200 };
    assert_eq!(findings(&report), [(first, "a", &what)]);
    assert_eq!(report.unusual.findings[0].day, "2026-09-21");
}

#[test]
fn a_clock_that_is_set_back_and_records_that_are_none_break_nothing() {
    let mut log = made(40, None);
    log.usual_days("a", 0..20);
    log.reads(time(2, 10), "a", "reference");
    log.usual_days("a", 20..21);
    for record in [
        "{}",
        r#"{"event":"access"}"#,
        r#"{"event":"access","seq":1,"time":"2026-10-01T00:00:00Z","relations":7}"#,
        r#"{"event":"outcome","of":-1}"#,
        r#"{"event":"disclosure","seq":2,"time":"2026-10-01T00:00:00Z","relations":[{"subjects":{}}]}"#,
        r#"{"event":"policy","seq":3,"time":"9999-12-31T00:00:00Z","faults":"x"}"#,
        r#"{"event":"access","seq":4,"time":"-009999-01-02T01:59:59Z","relations":[{"columns":[1,{"use":1}]}]}"#,
    ] {
        log.reporter.add(&Entry::parse(record.as_bytes()).unwrap());
    }
    let report = log.finish();
    assert!(report.unusual.findings.iter().all(|found| found.login != "a"), "{:?}", report.unusual.findings);
    assert_eq!(report.activity.all.total.statements, 20 * 10 + 1 + 10 + 1);
}
