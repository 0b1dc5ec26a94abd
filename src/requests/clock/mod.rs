//! By when a request must be answered.
//!
//! Two clocks run. The strict one is our own: so many days from the moment of receipt, that day counted, moved nowhere; who keeps to it is
//! never late. The legal one counts as the Interpretation Act 33 of 1957 does (s4): the first day out, the last day in, unless that is a
//! Sunday or a public holiday, which is left out too. Days are calendar days. A request for access or correction is to be answered within 30
//! days (PAIA s56(1), by POPIA s25 and regulation 3), once longer by at most 30 for a stated ground (PAIA s57).

mod holidays;

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::Date;

pub use holidays::{FIRST, Holidays};

/// Days within which a request is answered, and for which that can be extended once.
pub const DAYS: i32 = 30;

/// Why the time may be extended (PAIA s57(1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// s57(1)(a): so many records that it would interfere with the business.
    Volume,
    /// s57(1)(b): records must be searched for or collected elsewhere.
    Elsewhere,
    /// s57(1)(c): others must be consulted.
    Consultation,
    /// s57(1)(d): more than one of these together.
    Several,
    /// s57(1)(e): the requester agreed in writing.
    Agreed,
}

impl Ground {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Volume, "volume", "PAIA s57(1)(a)"),
        (Self::Elsewhere, "elsewhere", "PAIA s57(1)(b)"),
        (Self::Consultation, "consultation", "PAIA s57(1)(c)"),
        (Self::Several, "several", "PAIA s57(1)(d)"),
        (Self::Agreed, "agreed", "PAIA s57(1)(e)"),
    ];

    /// As it is typed and stored.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(ground, ..)| *ground == self).map_or("", |(_, name, _)| name)
    }

    /// Where PAIA names it.
    pub fn section(self) -> &'static str {
        Self::ALL.iter().find(|(ground, ..)| *ground == self).map_or("", |(.., section)| section)
    }
}

impl FromStr for Ground {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map(|(ground, ..)| *ground).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name, _)| *name).collect();
            format!("`{text}` is no ground for more time: one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// Our own: never after the legal one.
    pub strict: Date,
    /// The law's.
    pub legal: Date,
    /// Up to which day proclaimed holidays were known when this was reckoned.
    pub known_until: Date,
}

impl Deadline {
    /// For a request of that day, extended or not. `None` past the calendar's end.
    pub fn of(received: Date, extended: bool, holidays: &Holidays) -> Option<Self> {
        let days = if extended { 2 * DAYS } else { DAYS };
        let strict = received.checked_add((days - 1).days()).ok()?;
        let mut legal = received.checked_add(days.days()).ok()?;
        while holidays.bars(legal) {
            legal = legal.tomorrow().ok()?;
        }
        Some(Self { strict, legal, known_until: holidays.known_until() })
    }

    /// Whether a day may yet be proclaimed that would move the legal deadline further; never earlier.
    pub fn may_move(&self) -> bool {
        self.legal > self.known_until
    }

    /// Where the request stands on that day.
    pub fn on(&self, today: Date) -> Standing {
        if today > self.legal {
            Standing::Late((today - self.legal).get_days())
        } else if today > self.strict {
            Standing::PastStrict((self.legal - today).get_days())
        } else {
            Standing::InTime((self.strict - today).get_days())
        }
    }
}

/// How a request stands against its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// So many days past the legal deadline.
    Late(i32),
    /// Past the strict one; so many days to the legal one.
    PastStrict(i32),
    /// So many days to the strict one.
    InTime(i32),
}

#[cfg(test)]
mod tests;
