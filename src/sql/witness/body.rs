//! What the statements of a function's body refer to, and what they call without naming it.

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use pg_raw_parse::Node;

use super::facts::Facts;
use super::tree::{Kind, Part, Tree};
use super::{built, collect, names};

/// A write of a body: the relation as it is written, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sql) struct Written {
    /// Schema, where one is written, and name.
    pub(in crate::sql) relation: (Option<String>, String),
    /// INSERT, UPDATE or DELETE.
    pub(in crate::sql) way: WrittenBy,
}

/// How a body writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sql) enum WrittenBy {
    /// INSERT.
    Insert,
    /// UPDATE, and what ON CONFLICT does.
    Update,
    /// DELETE.
    Delete,
}

/// The statements of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sql) struct Body {
    /// Relations, functions, columns. What is written stands among the relations too.
    pub(in crate::sql) facts: Facts,
    /// What is written.
    pub(in crate::sql) writes: BTreeSet<Written>,
    /// Where INSERT writes to, each time: it does not read there.
    pub(in crate::sql) inserts: Vec<(Option<String>, String)>,
    /// Names of WITH queries, which stand among the relations.
    pub(in crate::sql) with: BTreeSet<String>,
    /// Names of operators, without their schemas.
    pub(in crate::sql) operators: BTreeSet<String>,
    /// Last parts of the names of types.
    pub(in crate::sql) types: BTreeSet<String>,
    /// Names of fields and last parts of columns: each may call a function of that name.
    pub(in crate::sql) fields: BTreeSet<String>,
    /// What is read by `current_setting`; `None` where the name is no plain string.
    pub(in crate::sql) settings: Vec<Option<String>>,
}

/// Operators that the grammar calls without writing them: by CASE, IN, BETWEEN, ORDER BY and the like.
const IMPLIED: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// Reads a body. `None` where it holds anything but SELECT, INSERT, UPDATE and DELETE.
pub(in crate::sql) fn body_of(text: &str) -> Option<Body> {
    let parsed = catch_unwind(|| pg_raw_parse::parse(text)).ok()?.ok()?.into_inner();
    let mut body = Body::empty();
    for node in parsed.stmts() {
        let carried =
            matches!(node, Node::SelectStmt(_) | Node::InsertStmt(_) | Node::UpdateStmt(_) | Node::DeleteStmt(_));
        if !carried {
            return None;
        }
        body.read(node)?;
    }
    Some(body)
}

/// The same of an expression with a query in it.
pub(in crate::sql) fn body_within(node: Node<'_>) -> Option<Body> {
    let mut body = Body::empty();
    body.read(node)?;
    Some(body)
}

impl Body {
    /// One in which nothing stands.
    pub(super) fn empty() -> Self {
        Self { operators: IMPLIED.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }

    fn read(&mut self, node: Node<'_>) -> Option<()> {
        let tree = built(|| Tree::of(node)).ok()?;
        collect(&tree, &mut self.facts).ok()?;
        (0..tree.len()).try_for_each(|at| noted(tree.part(at), self))
    }
}

/// What one node says beside [`Facts`]; `None` where it is not known what it does.
fn noted(part: Part<'_>, body: &mut Body) -> Option<()> {
    let Kind::Node(kind) = part.kind() else { return Some(()) };
    let mut wrote = |way| {
        let target = part.field("relation")?;
        let schema = Some(target.text_of("schemaname")).filter(|schema| !schema.is_empty()).map(str::to_owned);
        let relation = (schema, target.text_of("relname").to_owned());
        if way == WrittenBy::Insert {
            body.inserts.push(relation.clone());
        }
        body.writes.insert(Written { relation, way });
        Some(())
    };
    match kind {
        "InsertStmt" => {
            wrote(WrittenBy::Insert)?;
            if part.field("on_conflict_clause").is_some() {
                wrote(WrittenBy::Update)?;
            }
        }
        "UpdateStmt" => wrote(WrittenBy::Update)?,
        "DeleteStmt" => wrote(WrittenBy::Delete)?,
        "MergeStmt" => return None,
        "FuncCall" => reads_a_setting(part, body)?,
        "CommonTableExpr" => {
            body.with.insert(part.text_of("ctename").to_owned());
        }
        "A_Expr" => last(part, "name", &mut body.operators)?,
        "SubLink" => last(part, "oper_name", &mut body.operators)?,
        "SortBy" => last(part, "use_op", &mut body.operators)?,
        "TypeName" => last(part, "names", &mut body.types)?,
        "ColumnRef" => last(part, "fields", &mut body.fields)?,
        "A_Indirection" => {
            let steps = part.field("indirection").into_iter().flat_map(Part::items);
            body.fields.extend(steps.map(|step| step.text_of("sval").to_owned()).filter(|name| !name.is_empty()));
        }
        _ => {}
    }
    Some(())
}

/// Notes which setting a call reads, where it reads one.
fn reads_a_setting(part: Part<'_>, body: &mut Body) -> Option<()> {
    if names(part, "funcname").ok()?.last().is_some_and(|name| name == "current_setting") {
        let first = part.field("args").and_then(|args| args.items().next());
        body.settings.push(first.and_then(plain_text));
    }
    Some(())
}

/// A plain string, also one that is cast.
fn plain_text(part: Part<'_>) -> Option<String> {
    match part.kind() {
        Kind::Node("TypeCast") => part.field("arg").and_then(plain_text),
        Kind::Node("A_Const") => part
            .field("val")
            .filter(|value| value.kind() == Kind::Node("String"))
            .map(|value| value.text_of("sval").to_owned()),
        Kind::Node(_) | Kind::Field(_) | Kind::Other => None,
    }
}

/// The last part of a name.
fn last(part: Part<'_>, field: &str, into: &mut BTreeSet<String>) -> Option<()> {
    into.extend(names(part, field).ok()?.pop());
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_with_all_that_it_calls_or_not_at_all() {
        let body = body_of(
            "WITH w AS (INSERT INTO s.log VALUES (1) ON CONFLICT DO NOTHING RETURNING *) SELECT f(x.a) #> 'b', (y).c, z::kind FROM t, w \
             ORDER BY 1 USING <<; DELETE FROM u",
        )
        .unwrap();
        let words = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&body.operators), "#> < << <= <> = > >=");
        assert_eq!(
            (words(&body.types), words(&body.fields), words(&body.with)),
            ("kind".into(), "* a c y z".into(), "w".into())
        );
        assert_eq!(body.facts.functions(), [["f"]]);
        let writes: Vec<_> = body.writes.iter().map(|write| (write.relation.1.as_str(), write.way)).collect();
        assert_eq!(writes, [("u", WrittenBy::Delete), ("log", WrittenBy::Insert), ("log", WrittenBy::Update)]);
        assert_eq!(body.inserts, [(Some("s".to_owned()), "log".to_owned())]);
        let settings =
            "SELECT current_setting('a.b'), pg_catalog.current_setting('c'::text, true), current_setting('d' || x)";
        let settings = body_of(settings).unwrap().settings;
        assert_eq!(settings, [Some("a.b".to_owned()), Some("c".to_owned()), None]);
        for other in [
            "SET role x",
            "SELECT 1 INTO t",
            "CREATE TABLE t ()",
            "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE",
            "SELECT",
            "COMMIT",
            "SELECT 1; CALL p()",
            "SELECT (",
            "SELECT a FROM d.s.t",
        ] {
            assert_eq!(body_of(other).is_some(), other == "SELECT", "{other}");
        }
        assert_eq!(body_of("").unwrap().facts, Facts::default());
    }
}
