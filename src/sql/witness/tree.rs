//! PostgreSQL's parse tree in a form that can be compared and searched: locations left out, wrappers folded.
//!
//! It is one list, each part followed by what it holds, with all texts in one buffer: most statements are new to the proxy
//! once, and a tree of strings and lists of its own took more time to build and drop than PostgreSQL's parser to parse.

mod build;
mod nodes;

use std::fmt::Write as _;

use crate::sql::form::FoundValue;

/// A parse tree, or a part of one that stands for itself. Two are equal where they say the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::sql) struct Tree {
    items: Vec<Item>,
    texts: String,
}

/// One part; ends are places in the list of parts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Item {
    /// Nothing stands at this place of a list.
    Nothing,
    /// A node or another message: its type. Its fields follow, up to `end`.
    Node { kind: &'static str, end: usize },
    /// A field of the node: its value follows.
    Field(&'static str),
    /// A list. Its items follow, up to `end`.
    List { end: usize },
    /// A name or a constant: bytes of the texts.
    Text { start: usize, end: usize },
    /// A number or an enumeration.
    Number(i64),
    /// A flag.
    Flag(bool),
}

/// A place in a tree.
#[derive(Debug, Clone, Copy)]
pub(in crate::sql) struct Part<'t> {
    tree: &'t Tree,
    at: usize,
}

/// What a part is, as far as anybody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql) enum Kind {
    /// A node of this type.
    Node(&'static str),
    /// The field of a node; its value is the next part.
    Field(&'static str),
    /// Anything else.
    Other,
}

impl Tree {
    /// The part at this place.
    pub(in crate::sql) fn part(&self, at: usize) -> Part<'_> {
        Part { tree: self, at }
    }

    /// What it says, with a database left out before names: of relations, of columns, and where names stand as lists.
    pub(in crate::sql) fn without_database(&self, database: &str) -> String {
        let mut out = String::new();
        self.part(0).spell(database, 4, &mut out);
        out
    }

    /// How many parts it has.
    pub(in crate::sql) fn len(&self) -> usize {
        self.items.len()
    }
}

impl<'t> Part<'t> {
    fn item(self) -> Item {
        self.tree.items.get(self.at).copied().unwrap_or(Item::Nothing)
    }

    /// Writes it out; a list of so many names that begins with the database, without it.
    fn spell(self, database: &str, names: usize, out: &mut String) {
        match self.item() {
            Item::Node { kind, end } => {
                let _ = write!(out, "{kind}(");
                let names = if kind == "ColumnRef" { 4 } else { 3 };
                let mut at = self.at.saturating_add(1);
                while at < end {
                    let part = Part { at, ..self };
                    if !matches!(part.item(), Item::Field("catalogname")) || self.text_of("catalogname") != database {
                        part.spell(database, names, out);
                    }
                    at = part.end();
                }
                out.push(')');
            }
            Item::Field(name) => {
                let _ = write!(out, "{name}:");
                Part { at: self.at.saturating_add(1), ..self }.spell(database, names, out);
            }
            Item::List { .. } => {
                let all = self.items().all(|item| matches!(item.item(), Item::Node { kind: "String" | "A_Star", .. }));
                let first = self.items().next().is_some_and(|item| item.text_of("sval") == database);
                let count = self.items().count();
                let long = if names == 4 { count >= 4 } else { count == 3 };
                out.push('[');
                for item in self.items().skip(usize::from(all && first && long)) {
                    item.spell(database, 3, out);
                }
                out.push(']');
            }
            Item::Text { start, end } => {
                let _ = write!(out, "{:?},", self.tree.texts.get(start..end).unwrap_or_default());
            }
            Item::Nothing => out.push('-'),
            Item::Number(number) => {
                let _ = write!(out, "{number},");
            }
            Item::Flag(flag) => {
                let _ = write!(out, "{flag},");
            }
        }
    }

    /// What it is.
    pub(in crate::sql) fn kind(self) -> Kind {
        match self.item() {
            Item::Node { kind, .. } => Kind::Node(kind),
            Item::Field(name) => Kind::Field(name),
            Item::Nothing | Item::List { .. } | Item::Text { .. } | Item::Number(_) | Item::Flag(_) => Kind::Other,
        }
    }

    /// The place behind it and all that it holds.
    pub(in crate::sql) fn end(self) -> usize {
        match self.item() {
            Item::Node { end, .. } | Item::List { end } => end,
            Item::Field(_) => Part { at: self.at.saturating_add(1), ..self }.end(),
            Item::Nothing | Item::Text { .. } | Item::Number(_) | Item::Flag(_) => self.at.saturating_add(1),
        }
    }

    /// Where the field of a node stands, if it has one of that name that says anything.
    pub(in crate::sql) fn place_of(self, name: &str) -> Option<usize> {
        let Item::Node { end, .. } = self.item() else { return None };
        let mut at = self.at.saturating_add(1);
        while at < end {
            let part = Part { at, ..self };
            if part.item() == Item::Nothing {
                return None;
            }
            if matches!(part.item(), Item::Field(held) if held == name) {
                return Some(at);
            }
            at = part.end();
        }
        None
    }

    /// The field of a node; `None` where it has none of that name that says anything.
    pub(in crate::sql) fn field(self, name: &str) -> Option<Part<'t>> {
        self.place_of(name).map(|at| Part { at: at.saturating_add(1), ..self })
    }

    /// The items of a list; none for anything else.
    pub(in crate::sql) fn items(self) -> impl Iterator<Item = Part<'t>> {
        let end = match self.item() {
            Item::List { end } => end,
            _ => self.at,
        };
        let mut at = self.at.saturating_add(1);
        std::iter::from_fn(move || {
            let part = Part { at, ..self };
            (at < end).then(|| at = part.end()).map(|()| part)
        })
    }

    /// The text of a field; empty where there is none.
    pub(in crate::sql) fn text_of(self, name: &str) -> &'t str {
        match self.field(name).map(Part::item) {
            Some(Item::Text { start, end }) => self.tree.texts.get(start..end).unwrap_or_default(),
            _ => "",
        }
    }

    /// The number of a field; 0 where there is none.
    pub(in crate::sql) fn number_of(self, name: &str) -> i64 {
        match self.field(name).map(Part::item) {
            Some(Item::Number(number)) => number,
            _ => 0,
        }
    }
}

/// A constant of the tree, as far as it can be told by its value.
fn value_of(value: Part<'_>) -> FoundValue {
    match value.kind() {
        Kind::Node("Integer") => FoundValue::Integer(value.number_of("ival")),
        Kind::Node("Float") => FoundValue::Float(value.text_of("fval").to_owned()),
        Kind::Node("String") => FoundValue::Text(value.text_of("sval").to_owned()),
        Kind::Node(_) | Kind::Field(_) | Kind::Other => FoundValue::Other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tree(sql: &str) -> Tree {
        Tree::of(pg_raw_parse::parse(sql).unwrap().stmts().next().unwrap()).unwrap()
    }

    #[test]
    fn a_tree_tells_everything_but_places_apart() {
        assert_eq!(tree("SELECT a,  b FROM t WHERE x = 'y'"), tree("select a, b\nfrom t where (x) = 'y'"));
        for (one, other) in [
            ("SELECT a FROM t", "SELECT b FROM t"),
            ("SELECT 'ab', 'c'", "SELECT 'a', 'bc'"),
            ("SELECT 1", "SELECT '1'"),
            ("SELECT 1", "SELECT 1.0"),
            ("SELECT 1.0", "SELECT '1.0'"),
            ("SELECT a FROM t", "SELECT DISTINCT a FROM t"),
            ("SELECT ROW(a, b)", "SELECT ROW(a), b"),
            ("SELECT a[1:]", "SELECT a[:1]"),
            ("SELECT true", "SELECT NULL"),
            ("SELECT false", "SELECT NULL"),
            ("SELECT 0", "SELECT NULL"),
            ("SELECT ''", "SELECT NULL"),
            ("SELECT * FROM a JOIN b ON true", "SELECT * FROM a, b"),
            ("SELECT B'1'", "SELECT '1'"),
        ] {
            assert_ne!(tree(one), tree(other), "{one} / {other}");
        }
    }

    #[test]
    fn fields_and_items_are_found_in_the_one_list() {
        let tree = tree("SELECT f(a.b, 'x', 7) FROM s.t WHERE c");
        let nodes: Vec<&str> = (0..tree.len())
            .filter_map(|at| match tree.part(at).kind() {
                Kind::Node(kind) => Some(kind),
                Kind::Field(_) | Kind::Other => None,
            })
            .collect();
        for (kind, count) in [("FuncCall", 1), ("ColumnRef", 2), ("RangeVar", 1), ("A_Const", 2)] {
            assert_eq!(nodes.iter().filter(|node| **node == kind).count(), count, "{kind} in {nodes:?}");
        }
        let of =
            |kind: &'static str| (0..tree.len()).map(|at| tree.part(at)).find(|part| part.kind() == Kind::Node(kind));
        let table = of("RangeVar").unwrap();
        assert_eq!(
            (table.text_of("schemaname"), table.text_of("relname"), table.text_of("catalogname")),
            ("s", "t", "")
        );
        let column = of("ColumnRef").unwrap();
        let parts: Vec<&str> = column.field("fields").unwrap().items().map(|part| part.text_of("sval")).collect();
        assert_eq!(parts, ["a", "b"]);
        assert!(column.end() <= tree.len() && column.field("nothing").is_none());
    }
}
