//! Days and hours in the zone of the report, and the steps of its charts.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::Serialize;

use super::At;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Days and hours in one zone.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    zone: TimeZone,
}

/// A record, with its day and hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: At,
    /// Seconds since 1970 on the clocks of the zone.
    local: i64,
}

impl Moment {
    /// Days since 1970.
    pub(super) fn day(self) -> i64 {
        self.local.div_euclid(DAY)
    }

    /// 0 to 23.
    pub(super) fn hour(self) -> usize {
        usize::try_from(self.local.rem_euclid(DAY) / HOUR).unwrap_or_default()
    }
}

impl Clock {
    /// Until it is known in which zone.
    pub(super) fn unset() -> Self {
        Self { zone: TimeZone::UTC }
    }

    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone }
    }

    pub(super) fn moment(&self, at: At) -> Moment {
        let offset = self.zone.to_offset(at.time).seconds();
        Moment { at, local: at.time.as_second() + i64::from(offset) }
    }

    /// The zone's name, or its distance from UTC.
    pub(super) fn name(&self) -> String {
        self.zone.iana_name().map_or_else(|| self.zone.to_offset(Timestamp::UNIX_EPOCH).to_string(), str::to_owned)
    }

    fn civil(&self, time: Timestamp) -> ZonedDateTime {
        time.to_zoned_datetime(self.zone.clone())
    }

    pub(super) fn day_of(&self, time: Timestamp) -> String {
        self.civil(time).date().to_string()
    }
}

/// The step of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// For a period of up to three days.
    Hour,
    /// Up to two months.
    Day,
    /// Up to a year.
    Week,
    /// Longer.
    Month,
}

impl Grain {
    pub(super) fn for_span(from: Timestamp, to: Timestamp) -> Self {
        match (to.as_second() - from.as_second()).div_euclid(DAY) {
            ..3 => Self::Hour,
            3..62 => Self::Day,
            62..371 => Self::Week,
            _ => Self::Month,
        }
    }

    /// `hour`, `day` ...
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    pub(super) fn bucket(self, moment: Moment) -> i64 {
        match self {
            Self::Hour => moment.local.div_euclid(HOUR),
            Self::Day => moment.day(),
            // 1970 began on a Thursday, weeks begin on Mondays.
            Self::Week => (moment.day() + 3).div_euclid(7),
            Self::Month => {
                let date = civil(moment.local).date();
                i64::from(date.year()) * 12 + i64::from(date.month()) - 1
            }
        }
    }

    /// `2026-11-22 10:00`, `2026-11-22`, the week's Monday, `2026-11`.
    fn label(self, bucket: i64) -> String {
        match self {
            Self::Hour => civil(bucket * HOUR).strftime("%Y-%m-%d %H:%M").to_string(),
            Self::Day => civil(bucket * DAY).date().to_string(),
            Self::Week => civil((bucket * 7 - 3) * DAY).date().to_string(),
            Self::Month => format!("{:04}-{:02}", bucket.div_euclid(12), bucket.rem_euclid(12) + 1),
        }
    }
}

/// Seconds on the clocks of a zone, as date and time.
fn civil(local: i64) -> ZonedDateTime {
    Timestamp::from_second(local).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(TimeZone::UTC)
}

/// One step of a chart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Bucket(pub String);

/// All steps of a period.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    pub(super) grain: Grain,
    first: i64,
    last: i64,
}

/// No chart has more.
const MOST_STEPS: i64 = 2000;

impl Steps {
    pub(super) fn new(clock: &Clock, from: Timestamp, to: Timestamp) -> Self {
        let grain = Grain::for_span(from, to);
        let bucket = |time| grain.bucket(clock.moment(At { time, seq: 0 }));
        let last = bucket(to);
        Self { grain, first: bucket(from).max(last - MOST_STEPS + 1), last }
    }

    pub(super) fn count(self) -> usize {
        usize::try_from(self.last - self.first + 1).unwrap_or(1)
    }

    /// The step that a moment belongs to. Where the clock was set, that is the nearest one.
    pub(super) fn at(self, moment: Moment) -> usize {
        usize::try_from(self.grain.bucket(moment).clamp(self.first, self.last) - self.first).unwrap_or_default()
    }

    pub(super) fn labels(self) -> Vec<Bucket> {
        (self.first..=self.last).map(|bucket| Bucket(self.grain.label(bucket))).collect()
    }
}
