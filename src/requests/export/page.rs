//! The page of an export, in the words of the person who asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::Written;
use crate::audit::Sightings;
use crate::catalog::RelationName;
use crate::config::{Organisation, Zone};
use crate::page::{Block, Cell, Page, Section, Table, Words, count, heads, html};
use crate::policy::{Basis, OURSELVES, PolicySet, Way};
use crate::requests::map::PersonMap;

/// What the answer is about, besides the rows.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The key, as text.
    pub subject: &'a str,
    /// Whose key it is.
    pub people: &'a RelationName,
    /// The request's number, where there is one.
    pub request: Option<i64>,
    /// The day on which it was made.
    pub today: Date,
    /// Who answers.
    pub organisation: &'a Organisation,
    /// Who has seen it.
    pub seen: Option<Seen<'a>>,
}

/// What the access log says.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Who was seen, by whom.
    pub found: &'a Sightings,
    /// Whose days and times.
    pub zone: &'a Zone,
}

/// What stands beside the page.
pub(super) const READ_ME: &str = "index.html    what is held about you, why, and who has seen it: open it in a browser\r\n\
tables/       every row, one table a file: open them in a spreadsheet, and choose `text` for columns of numbers that begin with 0\r\n\
data.json     the same for a program (POPIA s23; a right to take your data along is not in the Act, and yet here it is)\r\n\
\r\n\
In each table the column `whose` says `own` where the row is about you, and `names the person` where it is about somebody else and\r\n\
names you; of those rows only what concerns you is shown.\r\n\
\r\n\
You may ask that what is inaccurate, irrelevant, excessive, out of date, incomplete, misleading or unlawfully obtained is corrected or deleted,\r\n\
and that what may no longer be kept is destroyed or deleted (POPIA s24(1), of which s23(3) asks us to tell you). It costs nothing.\r\n";

pub(super) fn index(all: &[Written], map: &PersonMap<'_>, policies: &PolicySet, about: &About<'_>) -> String {
    let name = about.organisation.get("name").and_then(|name| name.first()).cloned();
    let title = name.map_or_else(|| "What is held about you".to_owned(), |name| format!("What {name} holds about you"));
    let mut sections = vec![summary(all, about), why(all, policies, about.organisation)];
    sections.push(held(all, map));
    sections.push(seen(about));
    sections.push(rights(about.organisation));
    html::render(&Page { language: "en", title, sections })
}

fn section(id: &'static str, title: &'static str, blocks: Vec<Block>) -> Section {
    Section { id, title: title.into(), blocks }
}

fn summary(all: &[Written], about: &About<'_>) -> Section {
    let (own, named) = all.iter().fold((0, 0), |(own, named), written| (own + written.own, named + written.named));
    let mut blocks = Vec::new();
    let request = about.request.map(|id| format!("your request {id}, ")).unwrap_or_default();
    blocks.push(Block::Text(
        Words::from(format!(
            "This is the answer to {request}under section 23 of the Protection of Personal Information Act, made on {}. It is about the \
             record with the number ",
            about.today
        ))
        .name(about.subject)
        .plain("."),
    ));
    let tables = count(all.len() as u64, "table");
    blocks.push(Block::Text(
        format!(
            "{tables} hold {} about you, and {} of other people that name you.",
            count(own, "row"),
            count(named, "row")
        )
        .into(),
    ));
    let rows = all
        .iter()
        .map(|written| {
            vec![
                Cell::Words(Words::code(&*written.table)),
                Cell::Number(written.own),
                Cell::Number(written.named),
                Cell::Words(Words::code(&*written.file)),
            ]
        })
        .collect();
    blocks.push(Block::Table(Table {
        caption: String::new(),
        heads: heads([("Table", false), ("Rows about you", true), ("Rows that name you", true), ("File", false)]),
        rows,
    }));
    section("summary", "In short", blocks)
}

fn because(basis: Basis) -> &'static str {
    match basis {
        Basis::Consent => "you agreed to it",
        Basis::Contract => "a contract with you needs it",
        Basis::LegalObligation => "a law demands it",
        Basis::SubjectInterest => "it protects your interests",
        Basis::PublicDuty => "a public body needs it for its duty",
        Basis::LegitimateInterest => "there is a legitimate interest in it",
    }
}

/// Purposes with their grounds, what they see, who is behind them, and how long rows are kept: from the policies that are enforced.
fn why(all: &[Written], policies: &PolicySet, organisation: &Organisation) -> Section {
    let tables: BTreeSet<&str> = all.iter().map(|written| written.table.as_str()).collect();
    let mut sees: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for grant in policies.grants() {
        if tables.contains(grant.relation.as_str()) && grant.way != Way::Write {
            sees.entry((grant.purpose, grant.role)).or_default().insert(grant.category);
        }
    }
    let rows = sees
        .iter()
        .map(|((purpose, role), categories)| {
            let known = policies.purpose(purpose);
            let what = known.and_then(|known| known.description.clone()).unwrap_or_else(|| purpose.clone());
            let basis = known.map_or_else(String::new, |known| {
                format!("{} (section {})", because(known.basis), known.basis.section().trim_start_matches('s'))
            });
            let role = policies.roles().find(|known| known.name == *role);
            let who = role.map_or_else(String::new, |role| {
                if role.recipient == OURSELVES {
                    "ourselves".to_owned()
                } else {
                    format!("{}, in {}", role.recipient, role.country)
                }
            });
            let categories: Vec<&String> = categories.iter().collect();
            vec![Cell::from(what), Cell::from(basis), Cell::from(who), Cell::Words(Words::names(categories))]
        })
        .collect();
    let mut blocks = vec![Block::Table(Table {
        caption: String::new(),
        heads: heads([
            ("What for", false),
            ("Why that is lawful", false),
            ("Who", false),
            ("Kinds of information", false),
        ]),
        rows,
    })];
    let kept: Vec<Words> = policies
        .retained()
        .iter()
        .filter(|retained| tables.contains(retained.table.to_string().as_str()))
        .flat_map(|retained| {
            let name = retained.table.to_string();
            let limits = retained
                .limits
                .iter()
                .map(|(purpose, limit)| (purpose.unwrap_or("every other purpose"), limit.to_string()));
            limits
                .map(move |(purpose, limit)| Words::code(name.clone()).plain(format!(": {limit}, for {purpose}")))
                .collect::<Vec<_>>()
        })
        .collect();
    blocks.push(Block::Heading("Where it comes from".into()));
    match organisation.get("sources") {
        Some(sources) => blocks.push(Block::List(sources.iter().map(|source| Words::from(source.clone())).collect())),
        None => blocks.push(Block::Text("This is not written down here: ask the information officer.".into())),
    }
    blocks.push(Block::Heading("How long it is kept".into()));
    if kept.is_empty() {
        blocks.push(Block::Text("No table of these says how long its rows are kept.".into()));
    } else {
        blocks.push(Block::List(kept));
    }
    section("why", "What it is used for, and who may see it", blocks)
}

fn held(all: &[Written], map: &PersonMap<'_>) -> Section {
    let mut blocks = Vec::new();
    for written in all {
        blocks.push(Block::Heading(Words::code(&*written.table)));
        if !written.listed {
            blocks.push(Block::Text("This table was found by its reference to you.".into()));
        }
        let shown: Vec<usize> = (0..written.columns.len())
            .filter(|at| written.first.iter().any(|row| row.get(at + 1).is_some_and(Option::is_some)))
            .collect();
        blocks.push(Block::Table(rows(written, &shown)));
        let more = (written.own + written.named).saturating_sub(written.first.len() as u64);
        if more > 0 {
            blocks.push(Block::Text(
                Words::from(format!("{} more are in ", count(more, "row"))).name(&*written.file).plain("."),
            ));
        }
    }
    if all.is_empty() {
        let people = map.shape.tables.get(map.register).map(|table| table.name.to_string()).unwrap_or_default();
        blocks.push(Block::Text(
            Words::from("Nothing: no row of any table leads to that key of ").name(people).plain("."),
        ));
    }
    section("held", "What is held", blocks)
}

/// One row reads best downwards; of several it is said whose each is where not all are the person's own.
fn rows(written: &Written, shown: &[usize]) -> Table {
    let cell = |row: &[Option<String>], at: usize| Cell::from(row.get(at).cloned().flatten().unwrap_or_default());
    let name = |at: usize| written.columns.get(at).cloned().unwrap_or_default();
    if let ([row], 0) = (written.first.as_slice(), written.named) {
        let rows = shown.iter().map(|at| vec![Cell::Words(Words::code(name(*at))), cell(row, at + 1)]).collect();
        return Table { caption: String::new(), heads: heads([("Column", false), ("What stands there", false)]), rows };
    }
    let whose = (written.named > 0).then_some(0);
    let heads = whose.map(|_| "whose".to_owned()).into_iter().chain(shown.iter().map(|at| name(*at)));
    let columns: Vec<usize> = whose.into_iter().chain(shown.iter().map(|at| at + 1)).collect();
    let rows = written.first.iter().map(|row| columns.iter().map(|at| cell(row, *at)).collect()).collect();
    Table { caption: String::new(), heads: heads.map(|name| (name.into(), false)).collect(), rows }
}

fn seen(about: &About<'_>) -> Section {
    let Some(Seen { found, zone }) = about.seen else {
        return section("seen", "Who has seen it", vec![Block::Text("There is no access log.".into())]);
    };
    let mut blocks = Vec::new();
    if let (Some(from), Some(to)) = (&found.log_from, &found.log_to) {
        blocks.push(Block::Text(format!("From {} to {}, in {zone}.", moment(from, zone), moment(to, zone)).into()));
    }
    let rows = found
        .seen
        .iter()
        .map(|(whom, seen)| {
            let who = if whom.recipient == OURSELVES { &whom.role } else { &whom.recipient };
            let columns: Vec<String> = seen
                .columns
                .iter()
                .flat_map(|(table, columns)| columns.iter().map(move |(name, how)| (table, name, how.plain)))
                .map(
                    |(table, name, plain)| {
                        if plain { format!("{table}.{name}") } else { format!("{table}.{name} (hidden in part)") }
                    },
                )
                .collect();
            vec![
                Cell::from(who.clone()),
                Cell::from(whom.purpose.clone()),
                Cell::Words(Words::some(&columns)),
                Cell::Number(seen.statements as u64),
                Cell::from(moment(&seen.first, zone)),
                Cell::from(moment(&seen.last, zone)),
            ]
        })
        .collect();
    blocks.push(Block::Table(Table {
        caption: String::new(),
        heads: heads([
            ("Who", false),
            ("For what", false),
            ("What", false),
            ("Times", true),
            ("First", false),
            ("Last", false),
        ]),
        rows,
    }));
    if found.seen.is_empty() {
        blocks.push(Block::Text("Nobody, of those tables whose log names people one by one.".into()));
    }
    for (login, times) in &found.tally.unrestricted {
        blocks.push(Block::Text(Words::from("What the login ").name(login.clone()).plain(format!(
            " saw while it maintained the database is not known row by row: {}.",
            count(times.statements as u64, "statement")
        ))));
    }
    section("seen", "Who has seen it", blocks)
}

/// `2026-11-22 10:00`
fn moment(time: &str, zone: &Zone) -> String {
    zone.show_text(time).chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn rights(organisation: &Organisation) -> Section {
    let whom = organisation.get("information_officer").and_then(|officer| officer.first()).cloned();
    let reach = organisation.get("email").and_then(|email| email.first()).cloned();
    let mut ask = Words::from("Ask ");
    ask = match whom {
        Some(whom) => ask.plain(whom),
        None => ask.plain("the information officer"),
    };
    if let Some(reach) = reach {
        ask = ask.plain(", ").name(reach);
    }
    section(
        "rights",
        "What you may ask for",
        vec![
            Block::List(vec![
                "that what is inaccurate, irrelevant, excessive, out of date, incomplete, misleading or unlawfully obtained is corrected or deleted (section 24(1)(a))".into(),
                "that a record which may no longer be kept is destroyed or deleted (section 24(1)(b))".into(),
                "that a purpose which rests on somebody's interest ends for you, and direct marketing at any time (section 11(3))".into(),
                "that a consent ends, at any time (section 11(2)(b))".into(),
            ]),
            Block::Text(ask.plain(". It costs nothing.")),
            Block::Text(
                "If you are not content with this answer you can complain to the Information Regulator (section 74), or apply to a court.".into(),
            ),
        ],
    )
}
