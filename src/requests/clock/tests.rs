#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use jiff::civil::{Date, date};

use super::{Deadline, FIRST, Ground, Holidays, Standing};

fn known() -> Holidays {
    Holidays::new([], None)
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// Another's list of each day of thirty-two years, proclaimed ones included.
#[test]
fn every_day_of_thirty_two_years_is_as_another_list_has_it() {
    let mut listed = BTreeSet::new();
    for line in include_str!("tests/days.txt").lines().filter(|line| !line.starts_with('#')) {
        let (year, days) = line.split_once(' ').unwrap();
        for written in days.split(' ') {
            let (month, day) = written.split_at(2);
            listed.insert(Date::new(year.parse().unwrap(), month.parse().unwrap(), day.parse().unwrap()).unwrap());
        }
    }
    assert_eq!(listed.len(), 443);
    let holidays = known();
    let mut at = FIRST;
    while at < date(2027, 1, 1) {
        assert_eq!(holidays.contains(at), listed.contains(&at), "{at}");
        at = at.tomorrow().unwrap();
    }
}

/// Reckoned without this program, from another list of holidays.
#[test]
fn the_deadlines_of_ten_years_are_those_of_a_table_made_apart() {
    let mut rows = 0;
    for line in include_str!("tests/deadlines.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [received, strict, legal, longer] = words.get(..4).unwrap().try_into().unwrap();
        let deadline = Deadline::of(day(received), false, &known()).unwrap();
        assert_eq!((deadline.strict, deadline.legal), (day(strict), day(legal)), "{line}");
        assert_eq!(Deadline::of(day(received), true, &known()).unwrap().legal, day(longer), "{line}");
        rows += 1;
    }
    assert!(rows >= 20);
}

#[test]
fn no_deadline_falls_on_a_sunday_or_holiday_nor_before_the_strict_one() {
    let holidays = known();
    let mut at = date(2017, 1, 1);
    while at < date(2027, 1, 1) {
        for extended in [false, true] {
            let deadline = Deadline::of(at, extended, &holidays).unwrap();
            assert!(!holidays.bars(deadline.legal), "{at}");
            let days = if extended { 60 } else { 30 };
            let counted = (deadline.legal - at).get_days();
            assert!((days..days + 5).contains(&counted), "{at}: {counted}");
            assert_eq!((deadline.strict - at).get_days(), days - 1);
            // Every day that was passed over was no day to end on.
            let mut passed = at.checked_add(jiff::Span::new().days(days)).unwrap();
            while passed < deadline.legal {
                assert!(holidays.bars(passed), "{at}: {passed}");
                passed = passed.tomorrow().unwrap();
            }
        }
        at = at.tomorrow().unwrap();
    }
}

#[test]
fn a_deadline_behind_the_known_days_says_so() {
    let holidays = Holidays::new([], Some(date(2026, 12, 31)));
    assert!(!Deadline::of(date(2026, 11, 2), false, &holidays).unwrap().may_move());
    assert!(Deadline::of(date(2026, 12, 20), false, &holidays).unwrap().may_move());
}

#[test]
fn a_request_stands_in_time_past_the_strict_day_or_late() {
    // 2026-11-02 is a Monday: strict 1 December, legal 2 December.
    let deadline = Deadline::of(date(2026, 11, 2), false, &known()).unwrap();
    assert_eq!(deadline.on(date(2026, 11, 30)), Standing::InTime(1));
    assert_eq!(deadline.on(date(2026, 12, 1)), Standing::InTime(0));
    assert_eq!(deadline.on(date(2026, 12, 2)), Standing::PastStrict(0));
    assert_eq!(deadline.on(date(2026, 12, 3)), Standing::Late(1));
    assert!(Standing::Late(1) < Standing::PastStrict(0) && Standing::PastStrict(0) < Standing::InTime(0));
}

#[test]
fn grounds_are_those_of_the_act() {
    assert_eq!("consultation".parse::<Ground>().unwrap().section(), "PAIA s57(1)(c)");
    assert!("busy".parse::<Ground>().unwrap_err().contains("volume"));
}
