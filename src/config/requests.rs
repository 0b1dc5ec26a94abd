//! Reads `[requests]`: what the clocks of requests need beyond the table of public holidays that is shipped.

use jiff::civil::Date;

use crate::document::{Document, Section};

/// `[requests]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requests {
    /// Public holidays that were proclaimed since (Public Holidays Act 36 of 1994, s2A).
    pub proclaimed: Vec<Date>,
    /// The last day up to which whoever wrote them has looked.
    pub proclaimed_until: Option<Date>,
}

pub(super) fn read(document: &mut Document, section: Option<Section<'_>>) -> Requests {
    let mut requests = Requests::default();
    let Some(mut section) = section else { return requests };
    for text in section.strings("proclaimed", document) {
        match text.value.parse() {
            Ok(day) => requests.proclaimed.push(day),
            Err(_) => document.fault(&text.place, format!("`{}` is no day: write `\"2027-10-13\"`", text.value)),
        }
    }
    requests.proclaimed_until = section.date("proclaimed_until", document).map(|day| day.value);
    section.finish(document);
    requests
}
