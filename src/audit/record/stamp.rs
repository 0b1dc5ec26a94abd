//! Numbers and times as text, written straight into the bytes of a record.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Appends a number in decimal digits.
pub(in crate::audit) fn number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Appends bytes in lower-case hexadecimal digits.
pub(in crate::audit) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| value + b'0' + (value / 10) * (b'a' - b'0' - 10);
    // A block at a time: two hashes a record are half of what sealing one takes, but for the hash itself.
    for block in bytes.chunks(32) {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(block) {
            if let [high, low] = pair {
                (*high, *low) = (digit(byte >> 4), digit(byte & 15));
            }
        }
        out.extend_from_slice(digits.get(..block.len() * 2).unwrap_or_default());
    }
}

/// Appends milliseconds to the microsecond, as JSON has numbers: `0.8`, `12.0`.
pub(in crate::audit) fn milliseconds(out: &mut Vec<u8>, milliseconds: f64) {
    // Up to here whole microseconds are exact; nothing runs for longer.
    let micros = (milliseconds * 1000.0).round().clamp(0.0, 1e15) as u64;
    number(out, micros / 1000);
    out.push(b'.');
    let from = out.len();
    number(out, 1000 + micros % 1000);
    out.remove(from);
    while out.len() > from + 1 && out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Writes times as `2026-11-22T10:00:00.000001Z`. What belongs to the second is formatted once a second.
#[derive(Debug, Default)]
pub(in crate::audit) struct Clock {
    second: Option<i64>,
    /// Up to and with the point.
    until_second: String,
    text: Vec<u8>,
}

impl Clock {
    pub(in crate::audit) fn text(&mut self, time: Timestamp) -> &[u8] {
        let (second, within) = (time.as_second(), time.subsec_microsecond());
        // Before 1970 the part of a second counts downwards.
        let Some(within) = u64::try_from(within).ok().filter(|_| second >= 0) else {
            self.text = format!("{time:.6}").into_bytes();
            return &self.text;
        };
        if self.second != Some(second) {
            self.until_second = format!("{time:.6}");
            self.until_second.truncate("2026-11-22T10:00:00.".len());
            self.second = Some(second);
        }
        self.text.clear();
        self.text.extend_from_slice(self.until_second.as_bytes());
        let from = self.text.len();
        // A digit more in front, so that zeros are not lost.
        number(&mut self.text, 1_000_000 + within);
        self.text.remove(from);
        self.text.push(b'Z');
        &self.text
    }
}

/// The day in UTC, worked out once a day.
#[derive(Debug, Default)]
pub(in crate::audit) struct Today(Option<(i64, Date)>);

impl Today {
    pub(in crate::audit) fn at(&mut self, time: Timestamp) -> Date {
        let day = time.as_second().div_euclid(24 * 60 * 60);
        match self.0 {
            Some((known, date)) if known == day => date,
            Some(_) | None => {
                let date = time.to_zoned_datetime(TimeZone::UTC).date();
                self.0 = Some((day, date));
                date
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_hexadecimal_digits_are_those_of_the_standard_library() {
        for value in [0, 1, 9, 10, 99, 100, 4_711, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = b"x".to_vec();
            number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{value}"));
        }
        let (mut out, all) = (Vec::new(), (0..=u8::MAX).collect::<Vec<u8>>());
        hex(&mut out, &all);
        assert_eq!(String::from_utf8(out).unwrap(), all.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }

    #[test]
    fn milliseconds_read_back_as_what_they_were() {
        for ms in [0.0, 0.001, 0.01, 0.8, 0.812, 1.0, 12.0, 999.999, 1_000.0, 1_234_567.001, 86_400_000.5] {
            let mut out = Vec::new();
            milliseconds(&mut out, ms);
            assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&ms).unwrap());
        }
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            let mut out = Vec::new();
            milliseconds(&mut out, odd);
            assert!(serde_json::from_slice::<f64>(&out).is_ok_and(|ms| ms >= 0.0), "{odd}");
        }
    }

    #[test]
    fn times_are_those_of_the_formatter_whatever_came_before() {
        let (mut clock, mut today) = (Clock::default(), Today::default());
        let mut micros: i64 = 1_764_000_000_000_000;
        for step in [0, 1, 999_999, 1, 59_000_000, 86_400_000_000, -3_600_000_000, 7, -2_000_000_000_000_000, 123_456] {
            micros += step;
            let time = Timestamp::from_microsecond(micros).unwrap();
            assert_eq!(today.at(time), time.to_zoned_datetime(TimeZone::UTC).date());
            assert_eq!(std::str::from_utf8(clock.text(time)).unwrap(), format!("{time:.6}"));
        }
    }
}
