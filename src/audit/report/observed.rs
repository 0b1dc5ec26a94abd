//! What enforcement would break: statements that ran in observe mode, by application.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::facts::Facts;
use super::{At, shortened};

/// So many applications are told apart.
const MOST_APPLICATIONS: usize = 500;
/// So many shapes of statements, over all of them.
const MOST_SHAPES: usize = 5000;
/// So many columns of one shape are named.
const MOST_COLUMNS: usize = 50;

/// What ran in observe mode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Observed {
    /// The columns that what was done names and would not get as they are, by whom and how often, the most frequent first.
    pub needed: Vec<Needed>,
    /// By application, those that would be refused most first.
    pub applications: Vec<Application>,
    /// Statements that would be changed or refused, and whose shapes were too many to be told apart.
    pub others: u64,
}

/// A column that a role needs for a purpose and would not get as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Needed {
    /// `public.customers.health_note`.
    pub column: String,
    /// Its category, where the log says it.
    pub category: Option<String>,
    /// `closed`, `masked` or `left out`.
    pub would_be: &'static str,
    /// The role of the policies.
    pub role: String,
    /// For what.
    pub purpose: String,
    /// The applications that asked.
    pub applications: Vec<String>,
    /// How many statements.
    pub statements: u64,
}

/// One application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Application {
    /// `application_name`.
    pub application: String,
    /// PostgreSQL login.
    pub login: String,
    /// Role of the policies.
    pub role: String,
    /// The purpose that was in force.
    pub purpose: String,
    /// Statements.
    pub statements: u64,
    /// Of these, that would run as they are.
    pub unchanged: u64,
    /// Of these, whose values or rows would be others.
    pub changed: u64,
    /// Of these, that would be refused.
    pub refused: u64,
    /// The statements that would be changed or refused; those refused first, the most frequent first.
    pub shapes: Vec<Shape>,
}

/// Statements that differ in literals only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// `deny` or `mask`.
    pub verdict: &'static str,
    /// How many.
    pub statements: u64,
    /// The newest.
    pub newest: At,
    /// The statement, literals as `$n`.
    pub statement: String,
    /// Why it would be refused.
    pub reason: Option<String>,
    /// The columns that are in the way.
    pub closed: Vec<Closed>,
    /// Columns that would come through a mask.
    pub masked: Vec<Masked>,
    /// Columns that a star would leave out.
    pub left_out: Vec<String>,
    /// Relations of which rows would be left out, and by what.
    pub filters: Vec<Filtered>,
}

/// A column that is in the way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Closed {
    /// `public.customers.health_note`.
    pub column: String,
    /// Its category.
    pub category: String,
    /// The rule that closes it; `None` where no rule opens it.
    pub rule: Option<String>,
}

/// A column that would be masked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Masked {
    /// `public.customers.email`.
    pub column: String,
    /// The mask.
    pub mask: String,
    /// The rule that masks it.
    pub rule: Option<String>,
}

/// A relation of which rows would be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filtered {
    /// The relation.
    pub relation: String,
    /// By what: `consent(marketing)`, `retain(5 years after closed_at)` ...
    pub filter: String,
}

/// Application, login, role, purpose.
type Who = (String, String, String, String);

#[derive(Debug, Default)]
struct Seen {
    statements: u64,
    changed: u64,
    refused: u64,
    /// By fingerprint, verdict and reason.
    shapes: HashMap<(String, bool, String), Shape>,
}

#[derive(Debug, Default)]
pub(super) struct Collector {
    applications: BTreeMap<Who, Seen>,
    shapes: usize,
    others: u64,
}

impl Collector {
    pub(super) fn access(&mut self, facts: &Facts<'_>, at: At) {
        if !facts.observed {
            return;
        }
        let who = |application: &str| {
            (shortened(application), shortened(facts.login), facts.role.to_owned(), shortened(facts.purpose))
        };
        let mut key = who(facts.application);
        if self.applications.len() >= MOST_APPLICATIONS && !self.applications.contains_key(&key) {
            key = ("others".to_owned(), "others".to_owned(), "others".to_owned(), "others".to_owned());
        }
        let seen = self.applications.entry(key).or_default();
        seen.statements += 1;
        seen.refused += u64::from(facts.denied);
        seen.changed += u64::from(facts.masked);
        if !facts.denied && !facts.masked {
            return;
        }
        let reason = shortened(facts.reason.unwrap_or_default());
        let shape = (facts.fingerprint.to_owned(), facts.denied, reason);
        if let Some(known) = seen.shapes.get_mut(&shape) {
            known.statements += 1;
            known.newest = at;
        } else if self.shapes < MOST_SHAPES {
            self.shapes += 1;
            seen.shapes.insert(shape, Shape::of(facts, at));
        } else {
            self.others += 1;
        }
    }

    pub(super) fn finish(self) -> Observed {
        let mut applications: Vec<Application> = self
            .applications
            .into_iter()
            .map(|((application, login, role, purpose), seen)| {
                let mut shapes: Vec<Shape> = seen.shapes.into_values().collect();
                shapes.sort_by(|a, b| (a.verdict, b.statements, b.newest).cmp(&(b.verdict, a.statements, a.newest)));
                let Seen { statements, changed, refused, .. } = seen;
                let unchanged = statements - changed - refused;
                Application { application, login, role, purpose, statements, unchanged, changed, refused, shapes }
            })
            .collect();
        // Stable: within the same number they stay in the order of their names.
        applications.sort_by_key(|known| std::cmp::Reverse((known.refused, known.changed)));
        Observed { needed: needed(&applications), applications, others: self.others }
    }
}

/// The columns of all shapes, together.
fn needed(applications: &[Application]) -> Vec<Needed> {
    /// What is known of a column, a role, a purpose, and what the column would be.
    #[derive(Default)]
    struct Asked<'a> {
        category: Option<&'a str>,
        applications: BTreeSet<&'a str>,
        statements: u64,
    }
    let mut found: BTreeMap<(&str, &str, &str, &'static str), Asked<'_>> = BTreeMap::new();
    for known in applications {
        for shape in &known.shapes {
            let closed = shape.closed.iter().map(|closed| (&closed.column, "closed", Some(closed.category.as_str())));
            let masked = shape.masked.iter().map(|masked| (&masked.column, "masked", None));
            let left_out = shape.left_out.iter().map(|column| (column, "left out", None));
            for (column, would_be, category) in closed.chain(masked).chain(left_out) {
                let entry = found.entry((column, &known.role, &known.purpose, would_be)).or_default();
                entry.category = entry.category.or(category);
                entry.applications.insert(&known.application);
                entry.statements += shape.statements;
            }
        }
    }
    let mut all: Vec<Needed> = found
        .into_iter()
        .map(|((column, role, purpose, would_be), asked)| Needed {
            column: column.to_owned(),
            category: asked.category.map(str::to_owned),
            would_be,
            role: role.to_owned(),
            purpose: purpose.to_owned(),
            applications: asked.applications.into_iter().map(str::to_owned).collect(),
            statements: asked.statements,
        })
        .collect();
    // What is refused stands before what is changed; within one number they stay in the order of their names.
    all.sort_by_key(|needed| (needed.would_be != "closed", std::cmp::Reverse(needed.statements)));
    all
}

impl Shape {
    fn of(facts: &Facts<'_>, at: At) -> Self {
        let mut masked = BTreeSet::new();
        let mut left_out = BTreeSet::new();
        for relation in &facts.relations {
            for column in &relation.columns {
                let name = || format!("{}.{}", relation.name, column.name);
                match (column.action, column.mask) {
                    ("mask", Some(mask)) => {
                        let rule = column.rule.map(str::to_owned);
                        masked.insert(Masked { column: name(), mask: mask.to_owned(), rule });
                    }
                    ("omit", _) => {
                        left_out.insert(name());
                    }
                    (_, _) => {}
                }
            }
        }
        let closed: BTreeSet<Closed> = facts
            .closed()
            .map(|(relation, column)| Closed {
                column: format!("{}.{}", relation.name, column.name),
                category: column.category.to_owned(),
                rule: column.rule.map(str::to_owned),
            })
            .collect();
        let filters = facts.relations.iter().filter_map(|relation| {
            Some(Filtered { relation: relation.name.to_owned(), filter: shortened(relation.filter?) })
        });
        Self {
            verdict: if facts.denied { "deny" } else { "mask" },
            statements: 1,
            newest: at,
            statement: shortened(facts.statement),
            reason: facts.reason.map(shortened),
            closed: closed.into_iter().take(MOST_COLUMNS).collect(),
            masked: masked.into_iter().take(MOST_COLUMNS).collect(),
            left_out: left_out.into_iter().take(MOST_COLUMNS).collect(),
            filters: filters.collect(),
        }
    }
}
