//! The second parser: PostgreSQL's own grammar, which must read what the first one read.

mod body;
mod facts;
mod raised;
mod told;
mod tree;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pg_raw_parse::{Node, Owned, StmtList, nodes};

use crate::error::{Refusal, Stage};
use crate::sql::form::{self, Asked, Form, Found, Place};
pub(in crate::sql) use body::{Body, WrittenBy, body_of, body_within};
pub use facts::Facts;
pub use told::{in_its_words, words_against};
use tree::{Kind, Part, Tree};

/// Holds the AST, rendered, to the client's text: both must be exactly one statement with the same tree. Gives what the
/// tree refers to.
///
/// # Errors
/// 42601 where PostgreSQL's grammar does not read one of both, or reads them differently.
pub(in crate::sql) fn gate(text: &str, rendered: &str) -> Result<Facts, Refusal> {
    let asked = tree(text)?;
    let understood = tree(rendered).map_err(|_| two_ways())?;
    if asked != understood {
        return Err(two_ways());
    }
    facts(&asked)
}

/// The same for a statement whose constants are kept apart: each that PostgreSQL's tree does not have as a plain constant at
/// its place is pinned.
///
/// # Errors
/// As [`gate`].
pub(super) fn gate_form(form: &Form, text: &str, rendered: &str) -> Result<Facts, Refusal> {
    let (asked, found) = placed_tree(text)?;
    // What is written as it was asked has the same tree.
    if rendered != text.trim_end_matches([';', ' ', '\n']) && asked != tree(rendered).map_err(|_| two_ways())? {
        return Err(two_ways());
    }
    form::pin_others(text, form.places(), &found, form.constants());
    facts(&asked)
}

/// The same for SELECT INTO, where the AST is that of the query without INTO.
///
/// # Errors
/// As [`gate`].
pub(in crate::sql) fn gate_into(text: &str, rendered: &str) -> Result<Facts, Refusal> {
    let reading = read(text)?;
    let into = match reading.node() {
        Node::SelectStmt(select) => select.into_clause(),
        _ => None,
    };
    let asked = built(|| Tree::without_into(reading.node()))?;
    let understood = tree(rendered).map_err(|_| two_ways())?;
    if asked != understood {
        return Err(two_ways());
    }
    let mut facts = facts(&asked)?;
    collect(&built(|| Tree::of(into.into()))?, &mut facts)?;
    Ok(facts)
}

/// Holds a rewritten text to what the rewrite meant: exactly one statement, with exactly the relations, functions and
/// columns expected.
///
/// # Errors
/// 42601 where it is not so.
pub fn check_rewrite(text: &str, expected: &Facts) -> Result<(), Refusal> {
    facts(&tree(text)?)?.agrees(expected)
}

/// The same for a text with these constants at these places: one that PostgreSQL's tree does not have as a plain constant
/// there is pinned.
///
/// # Errors
/// As [`check_rewrite`].
pub(super) fn check_spliced(
    text: &str,
    expected: &Facts,
    places: &[Place],
    constants: Asked<'_>,
) -> Result<(), Refusal> {
    let (tree, found) = placed_tree(text)?;
    facts(&tree)?.agrees(expected)?;
    constants.pin_others(text, places, &found);
    Ok(())
}

/// Whether PostgreSQL's grammar reads both texts, and as the same statement.
pub fn reads_same(one: &str, other: &str) -> bool {
    matches!((tree(one), tree(other)), (Ok(one), Ok(other)) if one == other)
}

fn placed_tree(text: &str) -> Result<(Tree, Vec<Found>), Refusal> {
    let reading = read(text)?;
    built(|| Tree::with_constants(reading.node()))
}

/// What a text of our own refers to.
///
/// # Errors
/// 42601 where it is not exactly one statement of PostgreSQL's.
pub(in crate::sql) fn facts_of(text: &str) -> Result<Facts, Refusal> {
    Ok(facts(&tree(text)?)?.of_own(text.len()))
}

/// What a part of a tree refers to.
///
/// # Errors
/// 0A000 for a part that makes a table from a query.
pub(in crate::sql) fn facts_within(node: Node<'_>) -> Result<Facts, Refusal> {
    facts(&built(|| Tree::of(node))?)
}

fn two_ways() -> Refusal {
    Refusal::syntax(Stage::Witness, "the statement can be read in two ways")
        .hint("write the expression in a plainer form, with spaces around operators and without comments inside")
}

/// The tree of the one statement in `text`.
pub(in crate::sql) fn tree(text: &str) -> Result<Tree, Refusal> {
    let reading = read(text)?;
    built(|| Tree::of(reading.node()))
}

/// One statement as PostgreSQL's grammar has it, with the places of names.
#[derive(Debug, Clone)]
pub(in crate::sql) struct Reading(Arc<Owned<StmtList>>);

impl Reading {
    /// Its node.
    pub(in crate::sql) fn node(&self) -> Node<'_> {
        self.0.stmts().next().unwrap_or(Node::None)
    }
}

/// The one statement in `text`.
///
/// # Errors
/// 42601 where it is not exactly one statement of PostgreSQL's.
pub(in crate::sql) fn read(text: &str) -> Result<Reading, Refusal> {
    let parsed = catch_unwind(|| pg_raw_parse::parse(text)).map_err(|_| Refusal::internal(Stage::Witness))?;
    let parsed =
        parsed.map_err(|_| Refusal::syntax(Stage::Witness, "PostgreSQL's grammar does not read the statement"))?;
    let parsed = parsed.into_inner();
    if parsed.len() != 1 {
        return Err(Refusal::syntax(Stage::Witness, "the text is not exactly one statement"));
    }
    Ok(Reading(Arc::new(parsed)))
}

/// What is built of a tree. The binding panics where a node is not of the kind that it thinks.
fn built<T>(build: impl FnOnce() -> Option<T>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(build)).ok().flatten().ok_or_else(|| Refusal::internal(Stage::Witness))
}

/// What a tree refers to, by the rules of [`Facts`].
pub(in crate::sql) fn facts(tree: &Tree) -> Result<Facts, Refusal> {
    let mut facts = Facts::default();
    collect(tree, &mut facts)?;
    Ok(facts)
}

fn collect(tree: &Tree, facts: &mut Facts) -> Result<(), Refusal> {
    let (mut at, mut passed) = (0, None);
    while at < tree.len() {
        let part = tree.part(at);
        at = match part.kind() {
            // `SET (a, b) = (SELECT ..)`: the tree has the same source once for each column.
            Kind::Node("MultiAssignRef") if part.number_of("colno") != 1 => part.end(),
            // The names after FOR UPDATE OF are those of FROM once more; constraints have names like tables.
            Kind::Field("locked_rels") => part.end(),
            Kind::Field(_) if passed == Some(at) => part.end(),
            Kind::Node(kind) => {
                if kind == "ConstraintsSetStmt" {
                    passed = part.place_of("constraints");
                }
                node_facts(kind, part, facts)?;
                at.saturating_add(1)
            }
            Kind::Field(_) | Kind::Other => at.saturating_add(1),
        };
    }
    Ok(())
}

/// What PostgreSQL says of INTO within a statement.
pub(super) const INTO: &str = "SELECT ... INTO is not allowed here";

/// What one node says; what it holds comes after it.
fn node_facts(kind: &str, node: Part<'_>, facts: &mut Facts) -> Result<(), Refusal> {
    match kind {
        "RangeTableSample" => sample(node, facts),
        "RangeVar" => relation(node, facts),
        "FuncCall" => function(node, facts),
        "ColumnRef" => {
            facts.add_column(names(node, "fields")?);
            Ok(())
        }
        "SelectStmt" if node.field("into_clause").is_some() => {
            Err(Refusal::syntax(Stage::Witness, "a table cannot be made from a query here")
                .told(INTO)
                .said_by("analyze.c", "transformSelectStmt")
                .named(into(node)))
        }
        _ => Ok(()),
    }
}

/// The relation that INTO would make, part by part.
fn into(select: Part<'_>) -> Vec<String> {
    let made = select.field("into_clause").and_then(|into| into.field("rel"));
    let parts = made.into_iter().flat_map(|made| [made.text_of("schemaname"), made.text_of("relname")]);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn relation(table: Part<'_>, facts: &mut Facts) -> Result<(), Refusal> {
    let catalog = table.text_of("catalogname");
    if !catalog.is_empty() {
        let named = [catalog, table.text_of("schemaname"), table.text_of("relname")].join(".");
        return Err(Refusal::unsupported(Stage::Witness, "a table is named with another database")
            .told(format!("cross-database references are not implemented: \"{named}\"")));
    }
    let schema = Some(table.text_of("schemaname")).filter(|schema| !schema.is_empty());
    facts.add_relation(schema.map(str::to_owned), table.text_of("relname").to_owned());
    Ok(())
}

fn function(call: Part<'_>, facts: &mut Facts) -> Result<(), Refusal> {
    // What the grammar itself spells, EXTRACT(..), AT TIME ZONE and the like, is marked as such.
    if call.number_of("funcformat") != i64::from(nodes::CoercionForm::COERCE_SQL_SYNTAX) {
        facts.add_function(names(call, "funcname")?);
    }
    Ok(())
}

/// The method of TABLESAMPLE is a function, but for the two that PostgreSQL has.
fn sample(sample: Part<'_>, facts: &mut Facts) -> Result<(), Refusal> {
    let method = names(sample, "method")?;
    if !matches!(method.as_slice(), [name] if name == "system" || name == "bernoulli") {
        facts.add_function(method);
    }
    Ok(())
}

/// The parts of a name.
fn names(node: Part<'_>, field: &str) -> Result<Vec<String>, Refusal> {
    let parts = node.field(field).into_iter().flat_map(Part::items);
    let name = |part: Part<'_>| match part.kind() {
        Kind::Node("String") => Ok(part.text_of("sval").to_owned()),
        Kind::Node("A_Star") => Ok("*".to_owned()),
        Kind::Node(_) | Kind::Field(_) | Kind::Other => Err(Refusal::internal(Stage::Witness)),
    };
    parts.map(name).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::read_link;
    use std::os::fd::AsRawFd;

    #[test]
    fn the_proxys_own_log_stays_where_it_is_while_threads_parse() {
        let place = read_link("/proc/self/fd/2").unwrap();
        let log = crate::telemetry::output().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..2_000).for_each(|_| drop(super::tree("SELECT 1").unwrap())));
            }
        });
        assert_eq!(read_link(format!("/proc/self/fd/{}", log.as_raw_fd())).unwrap(), place);
    }
}
