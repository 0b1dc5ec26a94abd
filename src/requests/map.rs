//! Where a person's rows are: each table's way to the person, by the policies and, where they are silent, by foreign keys.
//!
//! A *register* is the table whose key the people of a request have (`public.customers`). A table whose subject is a key of its own is one;
//! several kinds of people (customers, staff) are several registers, and 5 in one is not 5 in another. Tables of consents, objections and the
//! like name a key without a foreign key, and belong to the register that the request is about.

use std::collections::{BTreeMap, BTreeSet};

use super::shape::{Reference, Shape, Table};
use crate::catalog::{RelationName, quote_ident};
use crate::policy::{Governance, PolicySet, SubjectPath};

/// The person's own rows, and those of others in which the person stands.
#[derive(Debug, Clone)]
pub struct PersonMap<'a> {
    /// The tables.
    pub shape: &'a Shape,
    /// The position of the register.
    pub register: usize,
    /// The positions of every register: this one, and those of other kinds of people.
    pub registers: BTreeSet<usize>,
    /// The column of it that is the person's key.
    pub key: String,
    /// Tables with rows of the person, in the order of their names.
    pub held: Vec<Held>,
}

/// A table that holds something about the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its position.
    pub table: usize,
    /// How its rows lead to whose they are; `None` where only others' rows name the person.
    pub owned: Option<Way>,
    /// Foreign keys by which a row of somebody else, or of nobody, names the person.
    pub mentions: Vec<usize>,
    /// Whether the policies list it with columns, or keep wishes there.
    pub listed: bool,
}

/// How a row leads to its data subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A column holds the person's key.
    Column(String),
    /// Columns refer to a row of another table, which leads on.
    Through {
        /// The row's own.
        columns: Vec<String>,
        /// The other table's position.
        table: usize,
        /// The columns there.
        to: Vec<String>,
        /// How it goes on.
        next: Box<Way>,
    },
}

/// Why there is no map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoMap {
    /// The policies and the database name no table whose key is a person's.
    NoRegister,
    /// Several, and none was chosen.
    Several(Vec<RelationName>),
    /// What was chosen is none.
    NotOne(RelationName, Vec<RelationName>),
}

impl std::fmt::Display for NoMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed =
            |names: &[RelationName]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::NoRegister => f.write_str(
                "no table of the policies has people of its own: one whose `subject` is its primary key, such as customers",
            ),
            Self::Several(names) => {
                write!(f, "the policies know several kinds of people: say which with --of, one of {}", listed(names))
            }
            Self::NotOne(name, names) => {
                write!(f, "`{name}` has no people of its own; those that have are {}", listed(names))
            }
        }
    }
}

/// Where the subject column of a listed table leads, without the last step's value.
enum Leads {
    Register(usize),
    Unlinked,
}

impl<'a> PersonMap<'a> {
    /// The map for one kind of people: those of `of`, else the only ones, else those to whom most tables lead.
    ///
    /// # Errors
    /// [`NoMap`].
    pub fn new(shape: &'a Shape, policies: &PolicySet, of: Option<&RelationName>) -> Result<Self, NoMap> {
        let listed = listed(shape, policies);
        let leads: BTreeMap<usize, Leads> =
            listed.iter().map(|(table, path)| (*table, leads(shape, &listed, *table, path, 0))).collect();
        let registers: BTreeSet<usize> = leads
            .iter()
            .filter_map(|(table, leads)| {
                matches!(leads, Leads::Register(register) if register == table).then_some(*table)
            })
            .collect();
        let register = choose(shape, &registers, &leads, of)?;
        let key = listed.get(&register).map(|path| path.column().to_owned()).unwrap_or_default();
        let mut owned: BTreeMap<usize, Way> = BTreeMap::new();
        for (table, path) in &listed {
            let ours = match leads.get(table) {
                Some(Leads::Register(of)) => *of == register,
                Some(Leads::Unlinked) => true,
                None => false,
            };
            if let (true, Some(way)) = (ours, way(shape, path)) {
                owned.insert(*table, way);
            }
        }
        adopt(shape, policies, &listed, &mut owned);
        let held = held(shape, policies, &owned);
        Ok(Self { shape, register, registers, key, held })
    }

    /// The table at a position.
    pub fn table(&self, held: &Held) -> Option<&'a Table> {
        self.shape.tables.get(held.table)
    }

    /// Whether the rows of a table are people.
    pub fn is_of_people(&self, table: usize) -> bool {
        self.registers.contains(&table)
    }

    /// What is held of a table.
    pub fn held_at(&self, table: usize) -> Option<&Held> {
        self.held.iter().find(|held| held.table == table)
    }

    /// That a row called `row` is the person's; `$1` is the key as text. `None` where no row of the table is anybody's.
    pub fn is_owned(&self, held: &Held, row: &str) -> Option<String> {
        Some(self.way(held.owned.as_ref()?, held.table, row, 0))
    }

    fn way(&self, way: &Way, table: usize, row: &str, depth: usize) -> String {
        match way {
            Way::Column(column) => {
                let found = self.shape.tables.get(table).and_then(|table| table.column(column));
                let type_sql = found.map_or("pg_catalog.text", |column| column.type_sql.as_str());
                format!("{}.{} = ($1::pg_catalog.text)::{type_sql}", quote_ident(row), quote_ident(column))
            }
            Way::Through { columns, table, to, next } => {
                let step = format!("way{depth}");
                let name = self.shape.tables.get(*table).map(|table| table.name.to_sql()).unwrap_or_default();
                format!(
                    "({}) IN (SELECT {} FROM {name} AS {step} WHERE {})",
                    list(row, columns),
                    list(&step, to),
                    self.way(next, *table, &step, depth + 1)
                )
            }
        }
    }

    /// That a row called `row` names the person by this foreign key.
    pub fn is_mentioned(&self, reference: &Reference, row: &str) -> Option<String> {
        let target = self.held_at(reference.to)?;
        let name = self.table(target)?.name.to_sql();
        Some(format!(
            "({}) IN (SELECT {} FROM {name} AS named WHERE {})",
            list(row, &reference.columns),
            list("named", &reference.to_columns),
            self.is_owned(target, "named")?
        ))
    }
}

/// `a."x", a."y"`.
pub(super) fn list(row: &str, columns: &[String]) -> String {
    columns.iter().map(|column| format!("{}.{}", quote_ident(row), quote_ident(column))).collect::<Vec<_>>().join(", ")
}

/// The tables whose rows' subject the policies name, as far as they exist.
fn listed(shape: &Shape, policies: &PolicySet) -> BTreeMap<usize, SubjectPath> {
    let wishes = policies.wish_subjects();
    let wish =
        |name: &RelationName| wishes.iter().find(|(table, _)| *table == name).map(|(_, subject)| (*subject).to_owned());
    let path = |table: &Table| {
        policies.listed_subject(&table.name).cloned().or_else(|| wish(&table.name).map(SubjectPath::Column))
    };
    shape.tables.iter().enumerate().filter_map(|(at, table)| Some((at, path(table)?))).collect()
}

/// Which register the rows of a listed table lead to.
fn leads(
    shape: &Shape,
    listed: &BTreeMap<usize, SubjectPath>,
    table: usize,
    path: &SubjectPath,
    depth: usize,
) -> Leads {
    let on = |next: usize| match listed.get(&next) {
        // As many steps as there are tables are a circle.
        Some(path) if depth <= shape.tables.len() => leads(shape, listed, next, path, depth + 1),
        Some(_) | None => Leads::Unlinked,
    };
    match path {
        SubjectPath::Through { relation, .. } => shape.position(relation).map_or(Leads::Unlinked, on),
        SubjectPath::Column(column) => {
            let only = std::slice::from_ref(column);
            let mut references =
                shape.references.iter().filter(|reference| reference.from == table && reference.columns == only);
            // To a table of people, by the column that names them there.
            let to = references.find(|reference| {
                let there = listed.get(&reference.to);
                reference.to != table
                    && matches!(there, Some(SubjectPath::Column(subject)) if reference.to_columns == [subject.as_str()])
            });
            match to {
                Some(reference) => on(reference.to),
                None if shape.tables.get(table).is_some_and(|known| known.key == only) => Leads::Register(table),
                None => Leads::Unlinked,
            }
        }
    }
}

fn choose(
    shape: &Shape,
    registers: &BTreeSet<usize>,
    leads: &BTreeMap<usize, Leads>,
    of: Option<&RelationName>,
) -> Result<usize, NoMap> {
    let names = |registers: &BTreeSet<usize>| -> Vec<RelationName> {
        registers.iter().filter_map(|at| shape.tables.get(*at)).map(|table| table.name.clone()).collect()
    };
    if let Some(of) = of {
        let found = shape.position(of).filter(|at| registers.contains(at));
        return found.ok_or_else(|| NoMap::NotOne(of.clone(), names(registers)));
    }
    let count = |register: usize| {
        leads.values().filter(|leads| matches!(leads, Leads::Register(of) if *of == register)).count()
    };
    let most = registers.iter().map(|register| count(*register)).max().ok_or(NoMap::NoRegister)?;
    let best: BTreeSet<usize> = registers.iter().copied().filter(|register| count(*register) == most).collect();
    match (best.first(), best.len()) {
        (Some(only), 1) => Ok(*only),
        (_, _) => Err(NoMap::Several(names(&best))),
    }
}

fn way(shape: &Shape, path: &SubjectPath) -> Option<Way> {
    Some(match path {
        SubjectPath::Column(column) => Way::Column(column.clone()),
        SubjectPath::Through { column, relation, references, next } => Way::Through {
            columns: vec![column.clone()],
            table: shape.position(relation)?,
            to: vec![references.clone()],
            next: Box::new(way(shape, next)?),
        },
    })
}

/// Tables of which the policies do not say whose rows they have: a single foreign key to rows that are somebody's makes theirs such rows too.
fn adopt(shape: &Shape, policies: &PolicySet, listed: &BTreeMap<usize, SubjectPath>, owned: &mut BTreeMap<usize, Way>) {
    loop {
        let mut found = Vec::new();
        for (at, table) in shape.tables.iter().enumerate() {
            if owned.contains_key(&at) || listed.contains_key(&at) || !may_hold_people(policies, &table.name) {
                continue;
            }
            let mut keys =
                shape.references.iter().filter(|key| key.from == at && key.to != at && owned.contains_key(&key.to));
            if let (Some(key), None) = (keys.next(), keys.next())
                && let Some(next) = owned.get(&key.to)
            {
                let way = Way::Through {
                    columns: key.columns.clone(),
                    table: key.to,
                    to: key.to_columns.clone(),
                    next: Box::new(next.clone()),
                };
                found.push((at, way));
            }
        }
        if found.is_empty() {
            return;
        }
        owned.extend(found);
    }
}

/// What the policies call open, or of no data subject, is not looked into.
fn may_hold_people(policies: &PolicySet, table: &RelationName) -> bool {
    match policies.governance(table) {
        Governance::Open => false,
        Governance::Governed => !policies.is_of_nobody(table),
        Governance::UnlistedDeny | Governance::UnlistedAllow => true,
    }
}

fn held(shape: &Shape, policies: &PolicySet, owned: &BTreeMap<usize, Way>) -> Vec<Held> {
    let mut held = Vec::new();
    for (at, table) in shape.tables.iter().enumerate() {
        let way = owned.get(&at);
        let own_step = |reference: &Reference| match way {
            Some(Way::Column(column)) => reference.columns == [column.as_str()],
            Some(Way::Through { columns, table, .. }) => reference.columns == *columns && reference.to == *table,
            None => false,
        };
        let mentions: Vec<usize> = shape
            .references
            .iter()
            .enumerate()
            .filter(|(_, key)| key.from == at && owned.contains_key(&key.to) && !own_step(key))
            .map(|(key, _)| key)
            .collect();
        let looked_into = way.is_some() || may_hold_people(policies, &table.name);
        if looked_into && (way.is_some() || !mentions.is_empty()) {
            let wished = policies.wish_subjects().iter().any(|(wish, _)| **wish == table.name);
            let listed = wished || policies.governance(&table.name) == Governance::Governed;
            held.push(Held { table: at, owned: way.cloned(), mentions, listed });
        }
    }
    held
}
