//! Tables that stand on more than one page: on the console, in what an auditor is given, and in the report.

use jiff::Timestamp;

use super::pages::Frame;
use crate::audit::report::{Exception, Review};
use crate::page::{Cell, Table, Words, heads};

/// Exceptions, and who granted and approved each.
pub(super) fn exceptions<'a>(frame: &Frame<'_>, exceptions: impl IntoIterator<Item = &'a Exception>) -> Table {
    let rows = exceptions.into_iter().map(|exception| {
        let by = match &exception.approved_by {
            Some(approved) => format!("{}, approved by {approved}", exception.by),
            None => exception.by.clone(),
        };
        vec![
            Words::code(&exception.login).into(),
            Words::code(&exception.purpose).into(),
            frame.time_of(&exception.until).into(),
            exception.reason.clone().into(),
            by.into(),
            frame.record(exception.at.seq),
        ]
    });
    Table {
        caption: String::new(),
        heads: heads([
            ("login", false),
            ("purpose", false),
            ("until", false),
            ("why", false),
            ("granted by", false),
            ("record", true),
        ]),
        rows: rows.collect(),
    }
}

/// What was judged; `time` and `record` say in which zone and of which log.
pub(crate) fn reviews<'a>(
    reviews: impl Iterator<Item = &'a Review>,
    time: impl Fn(Timestamp) -> String,
    record: impl Fn(u64) -> Cell,
) -> Table {
    let rows = reviews.map(|review| {
        let login = Words::code(&review.login);
        let about = match &review.actor {
            Some(actor) => login.plain(" as ").name(actor),
            None => login,
        };
        vec![
            time(review.at.time).into(),
            about.into(),
            format!("{}: {}", review.day, review.what).into(),
            review.verdict.clone().into(),
            review.comment.clone().into(),
            review.by.clone().into(),
            record(review.at.seq),
        ]
    });
    Table {
        caption: String::new(),
        heads: heads([
            ("when", false),
            ("about", false),
            ("what was found", false),
            ("judged", false),
            ("why", false),
            ("by", false),
            ("record", true),
        ]),
        rows: rows.collect(),
    }
}
