//! Letters: to whom information was disclosed, that it was corrected, deleted or made anonymous (POPIA s24(3)), and to the person, what was done
//! (s24(4)).
//!
//! Who was given it is known from two places: the policies, which open tables to third parties, and the access log, which says who really
//! saw the person. A letter names the person by the key alone; the recipient has it, or was given it with the rows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::audit::Sightings;
use crate::catalog::RelationName;
use crate::config::{Organisation, Zone};
use crate::policy::{OURSELVES, PolicySet, Role};

/// What was done, for letters.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The request's number.
    pub request: i64,
    /// Whose key it is.
    pub people: &'a RelationName,
    /// The key.
    pub subject: &'a str,
    /// The day.
    pub today: Date,
    /// What was done, as a past participle: `deleted or made anonymous`, `corrected`.
    pub done: &'static str,
    /// What it was done to: tables, as the policies write them, and a column of one where no more was changed.
    pub tables: BTreeSet<String>,
    /// The only column that was changed.
    pub column: Option<&'a str>,
}

/// A third party that was given some of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Its name.
    pub name: String,
    /// Where it is: `ZA`.
    pub country: String,
    /// The contract with it.
    pub contract: Option<String>,
    /// The tables of which it was given anything, of those that were changed.
    pub tables: BTreeSet<String>,
    /// For which purposes what was opened to it: purpose, and categories.
    pub opened: BTreeMap<String, BTreeSet<String>>,
    /// When the log last saw it look at this person.
    pub last_seen: Option<String>,
}

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The file's name.
    pub file: String,
    /// What it says.
    pub text: String,
}

/// Third parties to whom the policies opened what was changed, and those who saw this person by the log, in the order of their names.
pub fn recipients(policies: &PolicySet, change: &Change<'_>, seen: Option<&Sightings>) -> Vec<Recipient> {
    let mut found: BTreeMap<String, Recipient> = BTreeMap::new();
    let third = |name: &str| policies.roles().find(|role| role.name == name && role.recipient != OURSELVES);
    let of = |name: &str, role: Option<&Role>| Recipient {
        name: name.to_owned(),
        country: role.map_or_else(|| "not known".to_owned(), |role| role.country.clone()),
        contract: role.and_then(|role| role.operator_contract.clone()),
        tables: BTreeSet::new(),
        opened: BTreeMap::new(),
        last_seen: None,
    };
    for grant in policies.grants() {
        let concerns =
            change.tables.contains(&grant.relation) && change.column.is_none_or(|column| column == grant.column);
        if let (true, Some(role)) = (concerns, third(&grant.role)) {
            let recipient = found.entry(role.recipient.clone()).or_insert_with(|| of(&role.recipient, Some(role)));
            recipient.tables.insert(grant.relation);
            recipient.opened.entry(grant.purpose).or_default().insert(grant.category);
        }
    }
    for (whom, seen) in seen.into_iter().flat_map(|seen| &seen.seen).filter(|(whom, _)| whom.recipient != OURSELVES) {
        let tables: BTreeSet<String> = seen
            .columns
            .iter()
            .filter(|(table, columns)| {
                change.tables.contains(*table) && change.column.is_none_or(|column| columns.contains_key(column))
            })
            .map(|(table, _)| table.clone())
            .collect();
        if tables.is_empty() {
            continue;
        }
        let recipient = found
            .entry(whom.recipient.clone())
            .or_insert_with(|| of(&whom.recipient, policies.roles().find(|role| role.recipient == whom.recipient)));
        recipient.tables.extend(tables);
        recipient.last_seen = recipient.last_seen.take().max(Some(seen.last.clone()));
    }
    found.into_values().collect()
}

/// One letter a recipient, and one to the person.
pub fn letters(recipients: &[Recipient], change: &Change<'_>, organisation: &Organisation, zone: &Zone) -> Vec<Letter> {
    let mut letters: Vec<Letter> = recipients
        .iter()
        .enumerate()
        .map(|(at, recipient)| Letter {
            file: format!("request-{}-recipient-{}.txt", change.request, at + 1),
            text: to_recipient(recipient, change, organisation, zone),
        })
        .collect();
    letters.push(Letter {
        file: format!("request-{}-person.txt", change.request),
        text: to_person(recipients, change, organisation),
    });
    letters
}

fn said<'a>(organisation: &'a Organisation, key: &str, gap: &'a str) -> &'a str {
    organisation.get(key).and_then(|texts| texts.first()).map_or(gap, String::as_str)
}

fn head(to: &str, change: &Change<'_>, organisation: &Organisation) -> String {
    format!(
        "{}\n{}\n\nTo {to}\n\nRequest {}: personal information that was {}\n\n",
        said(organisation, "name", "[to be filled in: name of the responsible party]"),
        change.today,
        change.request,
        change.done
    )
}

fn foot(organisation: &Organisation) -> String {
    format!(
        "\n{}\nInformation officer\n{}\n",
        said(organisation, "information_officer", "[to be filled in: information officer]"),
        said(organisation, "email", "[to be filled in: e-mail address]"),
    )
}

fn what(change: &Change<'_>, tables: &BTreeSet<String>) -> String {
    match change.column {
        Some(column) => {
            let table = tables.first().map_or("", String::as_str);
            format!("the value of `{column}` in `{table}`")
        }
        None => {
            let tables: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
            format!("the rows of {}", tables.join(", "))
        }
    }
}

fn to_recipient(recipient: &Recipient, change: &Change<'_>, organisation: &Organisation, zone: &Zone) -> String {
    let contract = recipient.contract.as_deref().map(|contract| format!(" ({contract})")).unwrap_or_default();
    let mut text = head(&format!("{}, {}{contract}", recipient.name, recipient.country), change, organisation);
    text.push_str(&format!(
        "We inform you, as section 24(3) of the Protection of Personal Information Act 4 of 2013 asks us to, of what we did on {}: {} were {}.\n\
         The person is the one with the number {} in `{}`.\n",
        change.today,
        what(change, &recipient.tables),
        change.done,
        change.subject,
        change.people
    ));
    for (purpose, categories) in &recipient.opened {
        let categories: Vec<&str> = categories.iter().map(String::as_str).collect();
        text.push_str(&format!("For `{purpose}` this was open to you: {}.\n", categories.join(", ")));
    }
    if let Some(seen) = &recipient.last_seen {
        text.push_str(&format!("By our log you last saw this person on {} ({zone}).\n", zone.minute(seen)));
    }
    text.push_str(
        "\nPlease do the same with what you hold of it, unless a law asks you to keep it, pass this on to those to whom you gave it, and tell us\n\
         in writing what you did.\n",
    );
    text + &foot(organisation)
}

fn to_person(recipients: &[Recipient], change: &Change<'_>, organisation: &Organisation) -> String {
    let mut text =
        head(&format!("the person with the number {} in `{}`", change.subject, change.people), change, organisation);
    text.push_str(&format!(
        "You asked, and this is what we did (section 24(4) of the Protection of Personal Information Act 4 of 2013): on {} {} were {}.\n",
        change.today,
        what(change, &change.tables),
        change.done
    ));
    if recipients.is_empty() {
        text.push_str("Nobody outside of our business was given it through our database.\n");
    } else {
        text.push_str("We have told those who were given it:\n");
        for recipient in recipients {
            text.push_str(&format!("  {}, {}\n", recipient.name, recipient.country));
        }
    }
    text.push_str(
        "\nIf you are not content you can complain to the Information Regulator (section 74), or apply to a court.\n",
    );
    text + &foot(organisation)
}
