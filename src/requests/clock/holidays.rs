//! South Africa's public holidays: the Act's own days by rule, and days that were proclaimed once, from a dated table.
//!
//! The rule is that of the Public Holidays Act 36 of 1994, in force since 1 January 1995: twelve days a year, two of them by Easter, and the
//! Monday after one that falls on a Sunday (s2(1)). What is proclaimed (s2A) cannot be computed: `proclaimed.toml` has what was known on its
//! day, and the configuration adds to it.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday, date};
use serde::Deserialize;

/// The days of the Act that fall on one day of each year (Schedule 1).
const FIXED: &[(i8, i8)] = &[(1, 1), (3, 21), (4, 27), (5, 1), (6, 16), (8, 9), (9, 24), (12, 16), (12, 25), (12, 26)];

/// The table that is shipped.
const SHIPPED: &str = include_str!("proclaimed.toml");

/// Which days are public holidays, and how far that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holidays {
    proclaimed: BTreeSet<Date>,
    known_until: Date,
}

#[derive(Deserialize)]
struct Shipped {
    known_until: toml::value::Datetime,
    days: Vec<Proclaimed>,
}

#[derive(Deserialize)]
struct Proclaimed {
    day: toml::value::Datetime,
}

impl Holidays {
    /// The Act's days, those of the shipped table, and `more` that were proclaimed since. `known_until` is the last day for which whoever adds
    /// `more` has looked; the table's own day where that is later, or where nothing is said.
    pub fn new(more: impl IntoIterator<Item = Date>, known_until: Option<Date>) -> Self {
        // The table is part of the program, and a test reads it; a table that cannot be read knows nothing.
        let (mut proclaimed, shipped_until) = shipped().unwrap_or((BTreeSet::new(), Date::MIN));
        proclaimed.extend(more);
        Self { proclaimed, known_until: known_until.map_or(shipped_until, |until| until.max(shipped_until)) }
    }

    /// The last day up to which proclaimed days are known.
    pub fn known_until(&self) -> Date {
        self.known_until
    }

    /// Whether the day is a public holiday.
    pub fn contains(&self, day: Date) -> bool {
        self.proclaimed.contains(&day) || is_by_the_act(day)
    }

    /// Whether a period may not end on that day: a Sunday or a public holiday (Interpretation Act 33 of 1957, s4).
    pub fn bars(&self, day: Date) -> bool {
        day.weekday() == Weekday::Sunday || self.contains(day)
    }
}

fn shipped() -> Option<(BTreeSet<Date>, Date)> {
    let read: Shipped = toml::from_str(SHIPPED).ok()?;
    let days: Option<BTreeSet<Date>> = read.days.iter().map(|proclaimed| civil(proclaimed.day)).collect();
    Some((days?, civil(read.known_until)?))
}

fn civil(written: toml::value::Datetime) -> Option<Date> {
    written.to_string().parse().ok()
}

/// By the rule of the Act alone; never before it was in force.
fn is_by_the_act(day: Date) -> bool {
    if day.year() < 1995 {
        return false;
    }
    let listed = |day: Date| FIXED.contains(&(day.month(), day.day()));
    // The Monday after a listed day that is a Sunday; Easter's two days are never Sundays.
    let moved = day.weekday() == Weekday::Monday && day.yesterday().is_ok_and(listed);
    listed(day) || moved || is_by_easter(day)
}

/// Good Friday and Family Day, the Monday after Easter.
fn is_by_easter(day: Date) -> bool {
    let Some(easter) = easter(day.year()) else { return false };
    (day - easter).get_days() == -2 || (day - easter).get_days() == 1
}

/// Easter Sunday of the Gregorian calendar, by the anonymous algorithm (Meeus, Astronomical Algorithms, chapter 8).
fn easter(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// The first day of the Act's calendar.
pub const FIRST: Date = date(1995, 1, 1);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn known() -> Holidays {
        Holidays::new([], None)
    }

    #[test]
    fn the_shipped_table_can_be_read() {
        let (days, until) = shipped().unwrap();
        assert_eq!(days.len(), 19);
        assert!(days.iter().all(|day| *day <= until && *day >= FIRST));
        // What a rule gives needs no proclamation.
        assert!(days.iter().all(|day| !is_by_the_act(*day)));
    }

    #[test]
    fn a_listed_day_on_a_sunday_gives_its_monday_and_no_more() {
        assert!(known().contains(date(2023, 1, 2)));
        assert!(!known().contains(date(2023, 1, 3)));
        // Christmas Day on a Sunday: the Monday is a holiday of its own, and nothing moves further.
        assert!(known().contains(date(2033, 12, 26)));
        assert!(!known().contains(date(2033, 12, 27)));
    }

    #[test]
    fn what_is_proclaimed_later_is_added_with_how_far_it_reaches() {
        let day = date(2027, 10, 13);
        assert!(!known().contains(day));
        let more = Holidays::new([day], Some(date(2027, 12, 31)));
        assert!(more.contains(day) && more.contains(date(2024, 5, 29)));
        assert_eq!(more.known_until(), date(2027, 12, 31));
        assert_eq!(Holidays::new([], Some(date(2020, 1, 1))).known_until(), known().known_until());
    }
}
