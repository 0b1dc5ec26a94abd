//! What definitions give away: defaults, constraints, index predicates, views, policies, comments and the like may hold values of
//! the tables that they belong to.
//!
//! They stay as they are for relations that the session sees unmasked and unfiltered. Elsewhere constants are taken out of
//! what is text, and what is a tree of PostgreSQL's stays only if its constants are as small as `true`, `''` or `1`.

mod lists;

use std::collections::HashSet;

use self::lists::Treatment::{
    self, Count, Default, DefaultText, Label, Never, Number, OfColumn, Statement, Text, Tree, Value,
};
use self::lists::{Answer, COLUMNS, COUNTERS, FUNCTIONS};
use crate::catalog::{Oid, Relation, RelationName, quote_ident};
use crate::policy::{
    AccessRequest, Action, ColumnAccess, Decision, Lineage, RelationAccess, RelationObligation, Shape, Use, Verb,
    decide,
};
use crate::sql::form::context::Context;

/// What the base relation is called inside its derived table.
pub(in crate::sql) const ROW: &str = "pgpurpose_row";

/// Oids below this number belong to the system.
const FIRST_OWN: Oid = 16384;

/// What of the database's definitions a session may see whole.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Sight {
    /// Relations that are seen unmasked and unfiltered.
    relations: String,
    /// Columns that are seen unmasked, of other relations: `relation.number`.
    columns: String,
    /// Types of which every column is masked or closed.
    hidden_types: String,
    /// The policy hides nothing.
    everything: bool,
}

impl Sight {
    /// Works it out from the policy.
    pub(in crate::sql) fn of(context: &Context<'_>) -> Self {
        let (mut relations, mut columns) = (Vec::new(), Vec::new());
        let (mut shown, mut used) = (HashSet::new(), HashSet::new());
        let mut own: Vec<&Relation> =
            context.catalog.relations().map(AsRef::as_ref).filter(|relation| relation.oid >= FIRST_OWN).collect();
        own.sort_by_key(|relation| relation.oid);
        for relation in own {
            used.extend(relation.columns.iter().map(|column| column.base_oid));
            let request = everything_of(relation, context);
            let Decision::Permit(permit) = decide(context.policies, &request) else { continue };
            match permit.relations() {
                [obligation] if is_whole(relation, obligation) => {
                    shown.extend(relation.columns.iter().map(|column| column.base_oid));
                    relations.push(relation.oid.to_string());
                }
                [RelationObligation::Governed { columns: seen, .. }] => {
                    let read = |name: &str| seen.get(name).is_some_and(|column| column.action == Action::Read);
                    let open = relation.columns.iter().filter(|column| read(&column.name));
                    shown.extend(open.map(|column| column.base_oid));
                    columns.extend(
                        relation
                            .columns
                            .iter()
                            .filter(|column| seen.get(&column.name).is_some_and(|column| column.action == Action::Read))
                            .map(|column| format!("{}.{}", relation.oid, column.number)),
                    );
                }
                _ => {}
            }
        }
        let hidden = used.difference(&shown).filter(|oid| **oid >= FIRST_OWN);
        // A type's own elements are shown with it.
        let of_arrays = |oid: &Oid| context.catalog.type_by_oid(*oid).and_then(|ty| ty.element);
        let elements: HashSet<Oid> = shown.iter().filter_map(of_arrays).collect();
        let hidden = hidden.flat_map(|oid| std::iter::once(*oid).chain(of_arrays(oid)));
        let mut hidden: Vec<Oid> = hidden.filter(|oid| !elements.contains(oid) && !shown.contains(oid)).collect();
        hidden.sort_unstable();
        hidden.dedup();
        let hidden_types: Vec<String> = hidden.iter().map(ToString::to_string).collect();
        Self {
            relations: relations.join(","),
            columns: columns.join(","),
            hidden_types: hidden_types.join(","),
            everything: context.policies.hides_nothing(),
        }
    }

    fn relation(&self, oid: &str) -> String {
        if self.everything {
            return "true".to_owned();
        }
        format!("({oid} < {FIRST_OWN}::pg_catalog.oid OR {oid} = ANY ('{{{}}}'::pg_catalog.oid[]))", self.relations)
    }

    /// Whether labels of the type are seen.
    pub(in crate::sql) fn shows_labels_of(&self, oid: Oid) -> bool {
        !self.hidden_types.split(',').any(|hidden| hidden == oid.to_string())
    }

    /// Whether every type's labels are seen.
    pub(in crate::sql) fn shows_every_label(&self) -> bool {
        self.hidden_types.is_empty()
    }

    fn label(&self, oid: &str) -> String {
        format!("({oid} <> ALL ('{{{}}}'::pg_catalog.oid[]))", self.hidden_types)
    }

    fn column(&self, oid: &str, number: &str) -> String {
        let name = format!("pg_catalog.concat({oid}, '.', {number})");
        format!("({} OR {name} = ANY ('{{{}}}'::pg_catalog.text[]))", self.relation(oid), self.columns)
    }
}

/// Whether a relation's every column and row is seen as it is, and nobody records who sees it.
pub(in crate::sql) fn sees_whole(relation: &Relation, context: &Context<'_>) -> bool {
    if relation.oid < FIRST_OWN {
        return true;
    }
    let Decision::Permit(permit) = decide(context.policies, &everything_of(relation, context)) else { return false };
    match permit.relations() {
        [RelationObligation::Open { .. }] => true,
        [obligation @ RelationObligation::Governed { record: None, .. }] => is_whole(relation, obligation),
        _ => false,
    }
}

/// Whether all of a governed relation is seen as it is.
fn is_whole(relation: &Relation, obligation: &RelationObligation) -> bool {
    match obligation {
        RelationObligation::Open { .. } => true,
        RelationObligation::Governed { columns, min_group, .. } => {
            let read = |name: &str| columns.get(name).is_some_and(|column| column.action == Action::Read);
            min_group.is_none()
                && !obligation.leaves_rows_out()
                && relation.columns.iter().all(|column| read(&column.name))
        }
    }
}

fn everything_of(relation: &Relation, context: &Context<'_>) -> AccessRequest {
    let lineage = Lineage::of(context.catalog, relation.oid);
    let columns = relation
        .columns
        .iter()
        .map(|column| ColumnAccess { name: column.name.clone(), class: column.class, uses: [Use::Star].into() })
        .collect();
    AccessRequest {
        login: context.login.to_owned(),
        purpose: context.purpose.to_owned(),
        actor: context.actor.map(str::to_owned),
        today: context.today,
        relations: vec![RelationAccess {
            relation: relation.name.clone(),
            ancestors: lineage.ancestors,
            reaches: lineage.reaches,
            opaque: lineage.opaque,
            verb: Verb::Select,
            star: true,
            columns,
            temporary: false,
            filled: std::collections::BTreeSet::new(),
            whole_row_write: false,
            automatic: crate::policy::Automatic::default(),
        }],
        consequences: Vec::new(),
        shape: Shape::default(),
        structure: None,
    }
}

/// A text without its constants: strings become `'…'`, longer numbers 0. NULL where a string and a quoted name could be
/// taken for each other.
fn without_constants(text: &str) -> String {
    let bare = format!("pg_catalog.regexp_replace({text}, '''(?:[^'']|'''')*''', '', 'g')");
    let quotes = |of: &str| format!("pg_catalog.length({of}) - pg_catalog.length(pg_catalog.replace({of}, '\"', ''))");
    let strings = format!("pg_catalog.regexp_replace({text}, '''(?:[^'']|'''')+''', '''…''', 'g')");
    format!(
        "CASE WHEN {text} ~ '^nextval[(]''[^'']+''::regclass[)]$' THEN {text}::pg_catalog.text \
         WHEN {} = {} THEN pg_catalog.regexp_replace({strings}, '\\m[0-9]{{3,}}(?:[.][0-9]+)?|\\m[0-9]+[.][0-9]+', '0', 'g') END",
        quotes(&format!("{text}::pg_catalog.text")),
        quotes(&bare),
    )
}

/// Whether a tree's constants are all NULL or no more than a first byte: `true`, `''`, numbers below 256; and names of relations.
fn has_small_constants(tree: &str) -> String {
    format!(
        "pg_catalog.regexp_replace({tree}::pg_catalog.text, '[{{]CONST :consttype 2205 [^}}]*[}}]', '', 'g') \
         !~ ':constvalue [0-9]+ \\[ -?[0-9]+( 0)* -?[1-9]'"
    )
}

/// The columns of a system relation that may hold values.
fn treated(name: &RelationName) -> impl Iterator<Item = (&'static str, Treatment)> {
    COLUMNS
        .iter()
        .filter(|(schema, relation, ..)| *schema == name.schema && *relation == name.name)
        .map(|(_, _, column, treatment)| (*column, *treatment))
}

/// What happens to a column of a view of counters that is none of its names.
fn counter(relation: &RelationName, column: &str) -> Option<Treatment> {
    let (_, oid, names) = counters(relation)?;
    (!names.split_ascii_whitespace().any(|name| name == column)).then_some(Value(oid))
}

/// Whether it shows the text of statements, or a secret.
pub(in crate::sql) fn holds_statements(name: &RelationName) -> bool {
    // A subscription's connection has a password.
    name.name == "pg_subscription" || treated(name).any(|(_, treatment)| matches!(treatment, Statement))
}

/// Whether it holds what no session sees whatever the policies are: statements, secrets, what is the proxy's own.
pub(in crate::sql) fn is_kept_in_part(name: &RelationName) -> bool {
    let has_own = name.schema == "pg_catalog" && ["pg_prepared_statements", "pg_cursors"].contains(&&*name.name);
    has_own || holds_statements(name) || treated(name).any(|(_, treatment)| matches!(treatment, Never))
}

fn counters(relation: &RelationName) -> Option<&'static (&'static str, &'static str, &'static str)> {
    COUNTERS.iter().find(|(name, ..)| relation.schema == "pg_catalog" && *name == relation.name)
}

/// Whether a statement that uses such names (columns' names, `*`, what relations are called) could see a column that may hold values.
pub(in crate::sql) fn concerns(name: &RelationName, called: &str, used: &HashSet<String>) -> bool {
    let mut columns = treated(name).peekable();
    let has_own = name.schema == "pg_catalog" && ["pg_prepared_statements", "pg_cursors"].contains(&&*name.name);
    if has_own || counters(name).is_some() {
        return true;
    }
    columns.peek().is_some()
        && (used.contains("*") || used.contains(called) || columns.any(|(column, _)| used.contains(column)))
}

/// The select list of the derived table that stands where the system relation stood.
pub(in crate::sql) fn select_list(relation: &Relation, used: &HashSet<String>, sight: &Sight) -> String {
    let row = quote_ident(ROW);
    let sql = |text: &str| text.replace("r.", &format!("{row}."));
    let hidden = ["tableoid", "xmin", "ctid"].into_iter().filter(|name| used.contains(*name));
    let names = relation.columns.iter().map(|column| column.name.as_str()).chain(hidden);
    let items: Vec<String> = names
        .map(|name| {
            let value = format!("{row}.{}", quote_ident(name));
            let found = treated(&relation.name).find(|(column, _)| *column == name).map(|(_, treatment)| treatment);
            let expression = match found.or_else(|| counter(&relation.name, name)) {
                None => value,
                Some(Statement) => format!("CASE WHEN {} THEN {value} END", sight.everything),
                Some(Never) => format!("CASE WHEN false THEN {value} END"),
                Some(Count(oid)) => format!("CASE WHEN {} THEN {value} ELSE -1 END", sight.relation(&sql(oid))),
                Some(Label(oid)) => format!("CASE WHEN {} THEN {value} END", sight.label(&sql(oid))),
                Some(Value(oid)) => format!("CASE WHEN {} THEN {value} END", sight.relation(&sql(oid))),
                Some(Number(oid)) => format!(
                    "CASE WHEN {} OR pg_catalog.length({value}::pg_catalog.text) < 3 THEN {value} END",
                    sight.relation(&sql(oid))
                ),
                Some(OfColumn(oid, number)) => {
                    format!("CASE WHEN {} THEN {value} END", sight.column(&parenthesized(&sql(oid)), &sql(number)))
                }
                Some(Tree(oid)) => {
                    let (open, small) = (sight.relation(&sql(oid)), has_small_constants(&value));
                    format!("CASE WHEN {open} THEN {value} WHEN {small} THEN {value} END")
                }
                Some(Default(oid, number)) => {
                    let (open, small) = (sight.column(&sql(oid), &sql(number)), has_small_constants(&value));
                    format!("CASE WHEN {open} THEN {value} WHEN {small} THEN {value} END")
                }
                Some(Text(oid)) => {
                    let open = sight.relation(&sql(oid));
                    format!("CASE WHEN {open} THEN {value}::pg_catalog.text ELSE {} END", without_constants(&value))
                }
                Some(DefaultText(oid, number)) => {
                    let open = sight.column(&sql(oid), &sql(number));
                    let without = without_constants(&value);
                    format!(
                        "CASE WHEN {open} THEN {value}::pg_catalog.text WHEN {without} = {value}::pg_catalog.text \
                         THEN {value}::pg_catalog.text END"
                    )
                }
            };
            format!("{expression} AS {}", quote_ident(name))
        })
        .collect();
    items.join(", ")
}

/// Which rows of a system relation are there at all: a label that is missing would break who reads it, and a default of no text would
/// break what pg_dump writes.
pub(in crate::sql) fn row_filter(relation: &Relation, sight: &Sight) -> String {
    let row = quote_ident(ROW);
    match (relation.name.schema.as_str(), relation.name.name.as_str()) {
        ("pg_catalog", "pg_enum") if !sight.shows_every_label() => {
            format!(" WHERE {}", sight.label(&format!("{row}.enumtypid")))
        }
        ("pg_catalog", "pg_attrdef") if !sight.everything => {
            let open = sight.column(&format!("{row}.adrelid"), &format!("{row}.adnum"));
            format!(" WHERE {open} OR {}", has_small_constants(&format!("{row}.adbin")))
        }
        // The proxy's own are none of the session's.
        ("pg_catalog", "pg_prepared_statements" | "pg_cursors") => {
            format!(" WHERE NOT pg_catalog.starts_with({row}.name, 'pgpurpose.')")
        }
        _ => String::new(),
    }
}

fn parenthesized(text: &str) -> String {
    format!("({text})")
}

/// Whether a function of `pg_catalog` gives definitions back.
pub(in crate::sql) fn defines(function: &str) -> bool {
    FUNCTIONS.iter().any(|(name, ..)| *name == function)
}

/// An expression in place of a call of such a function, over so many arguments, and the same without the call. The arguments are the
/// parameters from [`FIRST_VALUE`](crate::sql::ast::fragment::FIRST_VALUE) on.
pub(in crate::sql) fn call(function: &str, arguments: usize, sight: &Sight) -> Option<(String, String)> {
    let (name, cast, relation, answer) = FUNCTIONS.iter().find(|(name, ..)| *name == function)?;
    let first = crate::sql::ast::fragment::FIRST_VALUE;
    let names = ["o", "p", "q"];
    let inner: Vec<String> = names
        .iter()
        .take(arguments)
        .enumerate()
        .map(|(at, name)| {
            let is_object = at == 0 && !matches!(answer, Answer::Whole);
            let cast = if is_object { format!("{cast}::pg_catalog.oid") } else { String::new() };
            format!("${}{cast} AS {name}", first.saturating_add(at))
        })
        .collect();
    let arguments: Vec<String> = names.iter().take(arguments).map(|name| format!("a.{name}")).collect();
    // With one argument there is no class of objects to ask for.
    let relation = if arguments.len() < 2 && relation.contains("a.p") { "a.o" } else { relation };
    let number = if matches!(answer, Answer::OfColumn) { ", a.p AS n" } else { "" };
    let seen = match answer {
        Answer::Text => format!("CASE WHEN {} THEN d.v ELSE {} END", sight.relation("d.r"), without_constants("d.v")),
        Answer::Value => format!("CASE WHEN {} THEN d.v END", sight.relation("d.r")),
        Answer::OfColumn => format!("CASE WHEN {} THEN d.v END", sight.column("d.r", "d.n")),
        Answer::Whole => format!("CASE WHEN {} THEN d.v END", sight.everything),
    };
    // A subquery names its column as the call would have.
    let template = |call: &str| {
        format!(
            "(SELECT {seen} AS {name} FROM (SELECT {relation} AS r{number}, {call} AS v FROM (SELECT {}) AS a) AS d)",
            inner.join(", ")
        )
    };
    let called = format!("pg_catalog.{name}({})", arguments.join(", "));
    // The columns that the call refers to count, the function does not: it was counted where it stood.
    let counted = format!("ROW({})", arguments.join(", "));
    Some((template(&called), template(&counted)))
}
