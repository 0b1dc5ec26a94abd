//! Purposes and contracts that have run out, or soon will.

use jiff::civil::Date;

use crate::document::Fault;
use crate::policy::model::PolicySet;

/// What ends within so many days is worth a warning.
const SOON: i32 = 30;

/// Negative for a day that is past.
fn days_until(today: Date, day: Date) -> i32 {
    // Both lie within years 1 to 9999, so that the difference in days is small.
    (day - today).get_days()
}

/// `after 2026-12-01, in 9 days`.
fn on(day: Date, days: i32) -> String {
    match days {
        0 => format!("after {day}, which is today"),
        1 => format!("after {day}, in 1 day"),
        days => format!("after {day}, in {days} days"),
    }
}

impl PolicySet {
    /// What has run out, or should have been looked at, by that day, and what will within [`SOON`]: purposes and contracts.
    pub fn overdue(&self, today: Date) -> Vec<Fault> {
        let mut faults = Vec::new();
        for purpose in self.purposes.values() {
            let name = &purpose.name;
            match purpose.expires.map(|expires| (expires, days_until(today, expires))) {
                Some((expires, ..0)) => {
                    let message = format!("purpose `{name}` expired on {expires}, and is refused");
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some((expires, days @ 0..=SOON)) => {
                    let message =
                        format!("purpose `{name}` expires {}, and is refused from then on", on(expires, days));
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some(_) | None => {}
            }
            match purpose.review.map(|review| (review, days_until(today, review))) {
                Some((review, ..0)) => {
                    let message = format!("purpose `{name}` should have been reviewed by {review}");
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some((review, days @ 0..=SOON)) => {
                    let message = format!("purpose `{name}` is to be reviewed by {review}, in {days} days");
                    faults.push(Fault::warning(&purpose.place, message));
                }
                Some(_) | None => {}
            }
        }
        for role in self.roles.values() {
            let (name, recipient) = (&role.name, &role.recipient);
            match role.operator_expires.map(|expires| (expires, days_until(today, expires))) {
                Some((expires, ..0)) => {
                    let message =
                        format!("the contract with `{recipient}` ended on {expires}: role `{name}` is refused");
                    faults.push(Fault::warning(&role.place, message));
                }
                Some((expires, days @ 0..=SOON)) => {
                    let ends = on(expires, days);
                    let message =
                        format!("the contract with `{recipient}` ends {ends}: role `{name}` is refused from then on");
                    faults.push(Fault::warning(&role.place, message));
                }
                Some(_) | None => {}
            }
        }
        faults
    }
}
