//! A finding in words: the same in the report, on the console, and in what an auditor is given.

use super::unusual::{Finding, Measure, STRANGER_DAYS, What};
use crate::page::{Words, count, number};

impl Finding {
    /// Names it as long as the log is there: the record that shows it, and what it shows.
    pub fn id(&self) -> String {
        let seq = self.at.seq;
        match &self.what {
            What::NewLogin { .. } => format!("{seq}-login"),
            What::NewCategory { category, .. } => format!("{seq}-category-{category}"),
            What::Volume { measure: Measure::Statements, .. } => format!("{seq}-statements"),
            What::Volume { measure: Measure::Subjects, .. } => format!("{seq}-subjects"),
            What::Volume { measure: Measure::Rows, .. } => format!("{seq}-rows"),
            What::Strangers { .. } => format!("{seq}-strangers"),
            What::Hours { .. } => format!("{seq}-hours"),
        }
    }

    /// The login, and the end user behind it where the finding is about one.
    pub(crate) fn whose(&self) -> Words {
        let login = Words::code(&self.login);
        match &self.actor {
            Some(actor) => login.plain(" as ").name(actor),
            None => login,
        }
    }

    /// What, and what was usual.
    pub(crate) fn told(&self) -> (Words, Words) {
        match &self.what {
            What::NewLogin { log_days } => {
                (Words::from("a login that was not seen before"), format!("the log goes back {log_days} days").into())
            }
            What::NewCategory { category, purpose, usual, known_days } => {
                let what =
                    Words::from("first use of the category ").name(category).plain(" (for ").name(purpose).plain(")");
                let before = if usual.is_empty() { Words::from("no category") } else { Words::names(usual) };
                (what, before.plain(format!(", in {known_days} days")))
            }
            What::Volume { measure, count: amount, limit, median, days } => {
                let what = match measure {
                    Measure::Statements => count(*amount, "statement"),
                    Measure::Subjects => count(*amount, "data subject"),
                    Measure::Rows => count(*amount, "row"),
                };
                let usual = format!("up to {}; {} in the middle of {days} days", number(*limit), number(*median));
                (format!("{what} on {}", self.day).into(), usual.into())
            }
            What::Strangers { people, limit, median, others } => {
                let what = format!(
                    "{} whom others look after, new to it within {STRANGER_DAYS} days",
                    count(*people, "data subject")
                );
                let usual = format!(
                    "up to {}; {} for the one in the middle of {others} others",
                    number(*limit),
                    number(*median)
                );
                (what.into(), usual.into())
            }
            What::Hours { hours: odd, statements, usual, earlier } => {
                let what = format!("{} in the hours {}", count(*statements, "statement"), hours(odd));
                let usual =
                    format!("{}, of {} before; under 1 % in others", hours(usual), count(*earlier, "statement"));
                (what.into(), usual.into())
            }
        }
    }
}

/// `8 to 17`: the hours of a day, those that follow each other together; each ends where the next one begins.
fn hours(hours: &[usize]) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for hour in hours {
        match spans.last_mut() {
            Some((_, end)) if *end == *hour => *end = hour + 1,
            Some(_) | None => spans.push((*hour, hour + 1)),
        }
    }
    let spans: Vec<String> = spans.iter().map(|(from, to)| format!("{from:02}:00 to {to:02}:00")).collect();
    spans.join(", ")
}

#[cfg(test)]
mod tests {
    use super::hours;

    #[test]
    fn hours_that_follow_each_other_are_told_together() {
        assert_eq!(hours(&[2, 3, 22, 23]), "02:00 to 04:00, 22:00 to 24:00");
        assert_eq!(hours(&[]), "");
    }
}
