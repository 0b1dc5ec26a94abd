//! Whose days count: one zone for the dates of policies, for what is asked of the access log, and for what is shown of it.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};

/// South Africa's, which has no daylight saving.
const DEFAULT: &str = "Africa/Johannesburg";

/// A time zone by its name: one name is one zone, so that whoever compares two need not compare their rules.
#[derive(Debug, Clone)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Default for Zone {
    fn default() -> Self {
        Self { name: DEFAULT.to_owned(), zone: johannesburg() }
    }
}

/// Needs no database of zones.
fn johannesburg() -> TimeZone {
    TimeZone::get(DEFAULT).unwrap_or_else(|_| TimeZone::fixed(Offset::constant(2)))
}

/// `Africa/Johannesburg`, `UTC`, `America/New_York`.
impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match TimeZone::get(name) {
            Ok(zone) => Ok(Self { name: zone.iana_name().unwrap_or(name).to_owned(), zone }),
            Err(_) if name == DEFAULT => Ok(Self::default()),
            Err(_) => Err(format!("there is no time zone `{name}`: write a name such as `{DEFAULT}` or `UTC`")),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Zone {
    /// What it is called: `Africa/Johannesburg`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zone itself.
    pub fn tz(&self) -> &TimeZone {
        &self.zone
    }

    /// The day that it is now.
    pub fn today(&self) -> Date {
        self.day_of(Timestamp::now())
    }

    /// The day that a moment belongs to.
    pub fn day_of(&self, time: Timestamp) -> Date {
        time.to_zoned_datetime(self.zone.clone()).date()
    }

    /// The first moment of a day: not always midnight, where a clock is put forward then.
    ///
    /// # Errors
    /// The day is beyond the times that can be told.
    pub fn begin(&self, day: Date) -> Result<Timestamp, String> {
        let midnight = day.to_zoned_datetime(self.zone.clone()).map_err(|error| error.to_string())?;
        Ok(midnight.start_of_day().map_err(|error| error.to_string())?.timestamp())
    }

    /// The moment with which a day is over: the first of the next.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn end(&self, day: Date) -> Result<Timestamp, String> {
        self.begin(day.tomorrow().map_err(|error| error.to_string())?)
    }

    /// `2026-11-22T12:00:00.000001+02:00`.
    pub fn show(&self, time: Timestamp) -> String {
        time.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
    }

    /// A record's `time`, shown in this zone; what is no time stays as it is.
    pub fn show_text(&self, time: &str) -> String {
        time.parse::<Timestamp>().map_or_else(|_| time.to_owned(), |time| self.show(time))
    }

    /// The minute of a record's `time`, `2026-11-22 12:00`; what is no time stays as it is.
    pub fn minute(&self, time: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(time) => time.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            Err(_) => time.to_owned(),
        }
    }

    /// A text with each of its words that is a time shown in this zone.
    pub fn show_within(&self, text: &str) -> String {
        let shown = text.split(' ').map(|word| match word.parse::<Timestamp>() {
            Ok(time) => self.show(time),
            Err(_) => word.to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }
}

/// A bound of a time that is asked for, before it is known in whose days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A moment, with its distance from UTC.
    Moment(Timestamp),
    /// A time of a day in the zone that counts.
    Clock(DateTime),
    /// A whole day there.
    Day(Date),
}

/// `2026-11-22`, `2026-11-22T10:00`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`.
impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::Moment(time));
        }
        if let Ok(day) = text.parse::<Date>()
            && !text.contains(['T', ' ', 't'])
        {
            return Ok(Self::Day(day));
        }
        if let Ok(clock) = text.parse::<DateTime>() {
            return Ok(Self::Clock(clock));
        }
        let wrong = || "a time is `2026-11-22`, `2026-11-22T10:00:00Z`, or so long ago: `2h`, `7d`".to_owned();
        let span: Span = text.parse().map_err(|_| wrong())?;
        // Days of 24 hours: `1d` is the same length of time in every zone.
        let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
        now.checked_sub(span.abs()).map(|then| Self::Moment(then.timestamp())).map_err(|_| wrong())
    }
}

impl When {
    /// The first moment that it takes in.
    ///
    /// # Errors
    /// The day is beyond the times that can be told.
    pub fn first(&self, zone: &Zone) -> Result<Timestamp, String> {
        match self {
            Self::Moment(time) => Ok(*time),
            Self::Clock(clock) => Self::at(*clock, zone),
            Self::Day(day) => zone.begin(*day),
        }
    }

    /// The moment with which it is over: a day counts whole.
    ///
    /// # Errors
    /// As [`Self::first`].
    pub fn over(&self, zone: &Zone) -> Result<Timestamp, String> {
        match self {
            Self::Moment(time) => Ok(*time),
            Self::Clock(clock) => Self::at(*clock, zone),
            Self::Day(day) => zone.end(*day),
        }
    }

    fn at(clock: DateTime, zone: &Zone) -> Result<Timestamp, String> {
        clock.to_zoned_datetime(zone.zone.clone()).map(|zoned| zoned.timestamp()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_whole_in_its_zone_also_where_the_clock_is_put_forward_or_back() {
        for (zone, day, first, over) in [
            ("Africa/Johannesburg", "2026-11-22", "2026-11-21T22:00:00Z", "2026-11-22T22:00:00Z"),
            ("UTC", "2026-11-22", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            // 23 hours, and 25.
            ("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            // The day that begins at one o'clock.
            ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"),
        ] {
            let zone: Zone = zone.parse().unwrap();
            let when: When = day.parse().unwrap();
            let time = |text: &str| text.parse::<Timestamp>().unwrap();
            assert_eq!(when.first(&zone).unwrap(), time(first), "{zone} {day}");
            assert_eq!(when.over(&zone).unwrap(), time(over), "{zone} {day}");
            let just_before = time(over) - jiff::SignedDuration::from_nanos(1000);
            assert_eq!(zone.day_of(just_before).to_string(), day);
            assert_eq!(zone.day_of(time(first)).to_string(), day);
        }
    }

    #[test]
    fn a_bound_is_a_day_a_time_of_a_day_a_moment_or_so_long_ago() {
        let zone = Zone::default();
        let at = |text: &str| text.parse::<When>().unwrap().over(&zone).unwrap().to_string();
        assert_eq!(at("2026-11-22T10:00"), "2026-11-22T08:00:00Z");
        assert_eq!(at("2026-11-22T10:00:00Z"), "2026-11-22T10:00:00Z");
        assert_eq!(at("2026-11-22T10:00:00+02:00"), "2026-11-22T08:00:00Z");
        assert!(matches!("7d".parse::<When>(), Ok(When::Moment(_))));
        assert!("yesterday".parse::<When>().is_err());
        assert!("Africa/Nowhere".parse::<Zone>().is_err());
        assert_eq!(
            zone.show_within("at 2026-11-22T10:00:00.5Z it was torn"),
            "at 2026-11-22T12:00:00.500000+02:00 it was torn"
        );
    }
}
