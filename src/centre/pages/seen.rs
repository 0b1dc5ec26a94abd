//! Who looked, from the access log.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Frame, facts};
use crate::audit::{Sightings, Wanted};
use crate::centre::Centre;
use crate::centre::words::Tongue;
use crate::page::html::escape;
use crate::page::{Block, Cell, Page, Section, Table, Words, number};
use crate::policy::{OURSELVES, PolicySet};
use crate::requests::deletion::Trouble;
use crate::requests::told::Step;

/// What the log says of a person; `None` where it cannot be read from here. Recorded first.
///
/// # Errors
/// The record cannot be written, or the log cannot be read.
pub(in crate::centre) async fn read(centre: &Centre, subject: &str) -> Result<Option<Sightings>, Trouble> {
    let Some(directory) = centre.parts.log.clone().filter(|folder| folder.is_dir()) else { return Ok(None) };
    let step = Step { step: "who looked", request: None, subject: Some(subject), says: "", lookups: &[] };
    centre.parts.told.tell(&step).await?;
    let key = centre.parts.told.key.as_ref();
    let subjects = std::iter::once(subject.to_owned()).chain(key.map(|key| key.pseudonym(subject))).collect();
    let wanted = Wanted { subjects, login: None, actor: Vec::new(), relation: None, since: None, until: None };
    let _place = centre.readers.acquire().await.map_err(|error| Trouble::Refused(error.to_string()))?;
    let read = tokio::task::spawn_blocking(move || Sightings::collect(&directory, &wanted, false, &mut |_| {}));
    match read.await {
        Ok(Ok((found, _))) => Ok(Some(found)),
        Ok(Err(error)) => Err(Trouble::Refused(format!("the access log cannot be read: {error}"))),
        Err(error) => Err(Trouble::Refused(error.to_string())),
    }
}

/// At most so many are told one by one; pages stay small.
const MOST: usize = 30;

pub(in crate::centre) fn render(frame: &Frame<'_>, found: Option<&Sightings>) -> String {
    let t = frame.tongue;
    let Some(found) = found else {
        return frame.page(t.plain("seen.title"), &format!("<p class=\"lead\">{}</p>\n", t.html("seen.unavailable")));
    };
    let policies = frame.centre.parts.policies.load_full();
    let zone = policies.zone();
    let (from, to) = (found.log_from.as_deref().unwrap_or("–"), found.log_to.as_deref().unwrap_or("–"));
    let day = |time: &str| frame.day(&zone.minute(time).chars().take(10).collect::<String>());
    let mut out =
        format!("<p class=\"lead\">{}</p>\n", t.with("seen.intro", &[("from", &day(from)), ("to", &day(to))]));
    if found.seen.is_empty() {
        let _ = writeln!(
            out,
            "<div class=\"note\"><p><strong>{}</strong></p><p>{}</p></div>",
            t.html("seen.none"),
            t.html("seen.none_text")
        );
    }
    let mut newest: Vec<_> = found.seen.iter().collect();
    newest.sort_by(|(_, a), (_, b)| b.last.cmp(&a.last));
    out.push_str("<div class=\"cards\">\n");
    for (whom, seen) in newest.iter().take(MOST) {
        let who = if whom.recipient == OURSELVES {
            t.with("seen.ourselves", &[("role", &whom.role.replace(['_', '-'], " "))])
        } else {
            escape(&whom.recipient)
        };
        let purpose = policies.purpose(&whom.purpose).map_or_else(|| escape(&whom.purpose), |one| frame.purpose(one));
        let mut kinds: BTreeMap<String, bool> = BTreeMap::new();
        for column in seen.columns.values().flat_map(BTreeMap::values) {
            let kind = frame.kind(column.category.as_deref().unwrap_or("reference"));
            *kinds.entry(kind).or_default() |= column.plain;
        }
        let kinds: String = kinds
            .iter()
            .map(|(kind, plain)| {
                let part = if *plain { String::new() } else { format!(" <small>({})</small>", t.html("seen.part")) };
                format!("<li>{kind}{part}</li>")
            })
            .collect();
        let _ = write!(
            out,
            "<section class=\"card\">\n<h2>{who}</h2>\n{}</section>\n",
            facts(
                frame,
                &[
                    ("seen.why", purpose),
                    ("seen.what", format!("<ul class=\"chips\">{kinds}</ul>")),
                    ("seen.times", number(seen.statements as u64)),
                    ("seen.first", escape(&zone.minute(&seen.first))),
                    ("seen.last", escape(&zone.minute(&seen.last))),
                ]
            )
        );
    }
    out.push_str("</div>\n");
    let groups: u64 = found.tally.groups.values().map(|times| times.statements as u64).sum();
    if groups > 0 {
        let _ = writeln!(out, "<p>{}</p>", t.with("seen.groups", &[("count", &number(groups))]));
    }
    for (login, times) in &found.tally.unrestricted {
        let holes = [("count", number(times.statements as u64)), ("login", login.clone())];
        let holes: Vec<(&str, &str)> = holes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let _ = writeln!(out, "<p>{}</p>", t.with("seen.maintained", &holes));
    }
    let _ = write!(
        out,
        "<p class=\"quiet\">{}</p>\n<p><a href=\"/{}/ask/see\">{}</a></p>\n",
        t.with("seen.zone", &[("zone", &zone.to_string())]),
        t.code(),
        t.html("seen.wrong")
    );
    frame.page(t.plain("seen.title"), &out)
}

/// The same as a page that stands by itself, for who is sent it.
pub(in crate::centre) fn alone(t: Tongue<'_>, subject: &str, found: &Sightings, policies: &PolicySet) -> Page {
    let zone = policies.zone();
    let day = |time: &Option<String>| {
        time.as_deref().map_or_else(|| "–".to_owned(), |time| zone.minute(time).chars().take(10).collect())
    };
    let (from, to) = (day(&found.log_from), day(&found.log_to));
    let mut blocks = vec![Block::Text(t.filled("seen.intro", &[("from", &from), ("to", &to)]).into())];
    let rows: Vec<Vec<Cell>> = found
        .seen
        .iter()
        .map(|(whom, seen)| {
            let who = if whom.recipient == OURSELVES {
                t.filled("seen.ourselves", &[("role", &whom.role.replace(['_', '-'], " "))])
            } else {
                whom.recipient.clone()
            };
            let purpose = policies.purpose(&whom.purpose);
            let why = purpose.and_then(|one| one.description.clone()).unwrap_or_else(|| whom.purpose.clone());
            let because = purpose
                .map_or(String::new(), |one| format!(" ({})", t.plain(&format!("because.{}", one.basis.name()))));
            let mut kinds: BTreeMap<String, bool> = BTreeMap::new();
            for column in seen.columns.values().flat_map(BTreeMap::values) {
                let category = column.category.as_deref().unwrap_or("reference");
                let key = format!("kinds.{}", category.rsplit('.').next().unwrap_or(category));
                let kind = if t.has(&key) { t.filled(&key, &[]) } else { category.replace('_', " ") };
                *kinds.entry(kind).or_default() |= column.plain;
            }
            let part = |plain: bool| if plain { String::new() } else { format!(" ({})", t.plain("seen.part")) };
            let kinds: Vec<String> = kinds.iter().map(|(kind, plain)| format!("{kind}{}", part(*plain))).collect();
            vec![
                who.into(),
                format!("{why}{because}").into(),
                kinds.join(", ").into(),
                Cell::Number(seen.statements as u64),
                zone.minute(&seen.first).into(),
                zone.minute(&seen.last).into(),
            ]
        })
        .collect();
    if rows.is_empty() {
        blocks.push(Block::Text(
            Words::from(t.filled("seen.none", &[])).plain(" ").plain(t.filled("seen.none_text", &[])),
        ));
    } else {
        let head = |key: &str, number: bool| (Cow::Owned(t.filled(key, &[])), number);
        let heads = vec![
            head("seen.who", false),
            head("seen.why", false),
            head("seen.what", false),
            head("seen.times", true),
            head("seen.first", false),
            head("seen.last", false),
        ];
        let caption = t.filled("seen.zone", &[("zone", &zone.to_string())]);
        blocks.push(Block::Table(Table { caption, heads, rows }));
    }
    let groups: u64 = found.tally.groups.values().map(|times| times.statements as u64).sum();
    if groups > 0 {
        blocks.push(Block::Text(t.filled("seen.groups", &[("count", &number(groups))]).into()));
    }
    for (login, times) in &found.tally.unrestricted {
        let count = number(times.statements as u64);
        blocks.push(Block::Text(t.filled("seen.maintained", &[("count", &count), ("login", login)]).into()));
    }
    let section = Section { id: "seen", title: Cow::Owned(subject.to_owned()), blocks };
    Page { language: t.code(), title: t.filled("seen.title", &[]), sections: vec![section] }
}
