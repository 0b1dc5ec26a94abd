//! A line of the log as far as an index wants to know it.

use std::borrow::Cow;
use std::ops::Deref;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::tally::Tally;
use crate::audit::record::entry::{Entry, objects};

/// What an index is made of.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::audit) struct Indexed<'a> {
    line: &'a [u8],
    time: Option<Text<'a>>,
    pub(in crate::audit) seq: Option<u64>,
    pub(in crate::audit) event: Option<Text<'a>>,
    pub(in crate::audit) login: Option<Text<'a>>,
    pub(in crate::audit) role: Option<Text<'a>>,
    pub(in crate::audit) recipient: Option<Text<'a>>,
    pub(in crate::audit) purpose: Option<Text<'a>>,
    pub(in crate::audit) actor: Option<Text<'a>>,
    pub(in crate::audit) ticket: Option<Text<'a>>,
    pub(in crate::audit) verdict: Option<Text<'a>>,
    pub(in crate::audit) of: Option<u64>,
    pub(in crate::audit) relations: Vec<Text<'a>>,
    pub(in crate::audit) subjects: Vec<Text<'a>>,
    /// Digests of what was looked up.
    pub(in crate::audit) lookups: Vec<Text<'a>>,
    /// Whether it counts in a [`Tally`].
    pub(in crate::audit) tallied: bool,
}

/// Text that stands in the line itself where it can.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(in crate::audit) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A line as the writer writes it. Any other is read as a whole, by [`Entry`].
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Option<Text<'a>>,
    seq: Option<u64>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    login: Option<Text<'a>>,
    #[serde(borrow)]
    role: Option<Text<'a>>,
    #[serde(borrow)]
    recipient: Option<Text<'a>>,
    #[serde(borrow)]
    purpose: Option<Text<'a>>,
    #[serde(borrow)]
    actor: Option<Text<'a>>,
    #[serde(borrow)]
    ticket: Option<Text<'a>>,
    #[serde(borrow)]
    verdict: Option<Text<'a>>,
    #[serde(borrow)]
    unrestricted: Option<Text<'a>>,
    of: Option<u64>,
    #[serde(borrow, default)]
    relations: Vec<Relation<'a>>,
    #[serde(borrow, default)]
    lookups: Vec<Lookup<'a>>,
    #[serde(default)]
    aggregate: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Relation<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    subjects: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Lookup<'a> {
    #[serde(borrow)]
    digest: Option<Text<'a>>,
}

impl<'a> Indexed<'a> {
    /// `None` where the line is no JSON object.
    pub(in crate::audit) fn parse(line: &'a [u8]) -> Option<Self> {
        Self::as_written(line).or_else(|| Self::of_any(line))
    }

    fn as_written(line: &'a [u8]) -> Option<Self> {
        let read: Line<'a> = serde_json::from_slice(line).ok()?;
        let (mut relations, mut subjects) = (Vec::with_capacity(read.relations.len()), Vec::new());
        for mut relation in read.relations {
            relations.push(relation.name);
            subjects.append(&mut relation.subjects);
        }
        Some(Self {
            line,
            time: read.time,
            seq: read.seq,
            event: read.event,
            login: read.login,
            role: read.role,
            recipient: read.recipient,
            purpose: read.purpose,
            actor: read.actor,
            ticket: read.ticket,
            verdict: read.verdict,
            of: read.of,
            relations,
            subjects,
            lookups: read.lookups.into_iter().filter_map(|lookup| lookup.digest).collect(),
            tallied: read.unrestricted.is_some() || !read.aggregate.is_empty(),
        })
    }

    fn of_any(line: &'a [u8]) -> Option<Self> {
        let entry = Entry::parse(line)?;
        let own = |text: &str| Text(Cow::Owned(text.to_owned()));
        let text = |field| entry.text(field).map(own);
        Some(Self {
            line,
            time: text("time"),
            seq: entry.seq(),
            event: text("event"),
            login: text("login"),
            role: text("role"),
            recipient: text("recipient"),
            purpose: text("purpose"),
            actor: text("actor"),
            ticket: text("ticket"),
            verdict: text("verdict"),
            of: entry.number("of"),
            relations: entry.relations().map(|(name, _)| own(name)).collect(),
            subjects: entry.subjects().map(own).collect(),
            lookups: entry.lookups().map(own).collect(),
            tallied: entry.text("unrestricted").is_some() || objects(entry.field("aggregate")).next().is_some(),
        })
    }

    /// Microseconds since 1970.
    pub(in crate::audit) fn time(&self) -> Option<i64> {
        self.time.as_deref()?.parse().ok().map(Timestamp::as_microsecond)
    }

    /// The tally with this record; `None` where it has no time, so that a tally of a time could not say whether it counts.
    pub(in crate::audit) fn add_to(&self, mut tally: Tally, time: Option<i64>) -> Option<Tally> {
        let (entry, text) = (Entry::parse(self.line)?, self.time.as_deref().filter(|_| time.is_some())?);
        tally.add(&entry, text, |_| true);
        Some(tally)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_line_as_it_is_written_and_one_that_is_not_say_the_same() {
        let lines = [
            r#"{"seq":1,"time":"2026-11-22T10:00:00.000001Z","event":"access","login":"a\"d\u00e9","role":null,"purpose":"x.y","actor":"u42","ticket":null,"unrestricted":"why","relations":[{"name":"public.t","filter":null,"columns":[{"name":"c"}]}]}"#,
            r#"{"seq":2,"event":"outcome","of":1,"status":"ok"}"#,
            r#"{"seq":3,"event":"disclosure","of":1,"relations":[{"name":"public.t","columns":[],"subjects":["1","ps_2"]}],"aggregate":[{"name":"public.u"}]}"#,
            r#"{"event":"lookup","of":1,"lookups":[{"digest":"lk_1"},{"digest":null,"reason":"why"}]}"#,
            "{}",
        ];
        for line in lines {
            let read = Indexed::as_written(line.as_bytes()).expect("as it is written");
            assert_eq!(Some(read), Indexed::of_any(line.as_bytes()), "{line}");
        }
        // What only the other way reads: a field twice, numbers where text should be.
        for line in [
            r#"{"login":"a","login":"b"}"#,
            r#"{"login":1,"of":-1,"relations":3,"aggregate":{}}"#,
            r#"{"relations":[{"subjects":["x",1]},2],"time":"yesterday"}"#,
        ] {
            assert!(Indexed::as_written(line.as_bytes()).is_none());
            assert!(Indexed::parse(line.as_bytes()).is_some(), "{line}");
        }
        assert!(Indexed::parse(b"no JSON").is_none() && Indexed::parse(b"[]").is_none());
    }
}
