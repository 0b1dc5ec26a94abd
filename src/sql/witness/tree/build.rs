//! The tree as it is built: the nodes of PostgreSQL's parser write themselves into it (`nodes`), by the binding's references to
//! them as they lie in the parser's memory.

use pg_raw_parse::list::{CastNodeList, NodeList};
use pg_raw_parse::{ConstValue, Node, nodes};

use super::nodes::say;
use super::{Item, Tree, value_of};
use crate::sql::form::{Found, FoundValue};

impl Tree {
    /// Of a node and all that it holds; `None` where a node is among it that the grammar is not known to make.
    pub(in crate::sql) fn of(node: Node<'_>) -> Option<Self> {
        Builder::default().built(node).map(|builder| builder.tree)
    }

    /// The same without what the node itself has after INTO.
    pub(in crate::sql) fn without_into(node: Node<'_>) -> Option<Self> {
        let builder = Builder { leaves_into: true, ..Builder::default() };
        builder.built(node).map(|builder| builder.tree)
    }

    /// The tree, and each constant in it with the place in the text where it starts.
    pub(in crate::sql) fn with_constants(node: Node<'_>) -> Option<(Self, Vec<Found>)> {
        let builder = Builder { found: Some(Vec::new()), ..Builder::default() };
        builder.built(node).map(|builder| (builder.tree, builder.found.unwrap_or_default()))
    }
}

/// The tree so far.
#[derive(Default)]
pub(super) struct Builder {
    tree: Tree,
    /// Where constants are noted, if anywhere.
    found: Option<Vec<Found>>,
    leaves_into: bool,
    depth: usize,
    broken: bool,
}

/// What can be written into the tree.
pub(super) trait Say: Sized {
    fn say(self, out: &mut Builder);

    /// Whether it is as good as absent, as most fields are.
    fn is_nothing(&self) -> bool {
        false
    }
}

impl Builder {
    fn built(mut self, node: Node<'_>) -> Option<Self> {
        self.tree.items.reserve(64);
        say(node, &mut self);
        (!self.broken).then_some(self)
    }

    /// Begins a node; gives its place.
    pub(super) fn begin(&mut self, kind: &'static str) -> usize {
        let at = self.tree.items.len();
        self.tree.items.push(Item::Node { kind, end: at });
        self.depth = self.depth.saturating_add(1);
        at
    }

    /// Sets the end of the node or list at that place to here.
    pub(super) fn end(&mut self, at: usize) {
        self.depth = self.depth.saturating_sub(1);
        self.close(at);
    }

    fn close(&mut self, at: usize) {
        let here = self.tree.items.len();
        if let Some(Item::Node { end, .. } | Item::List { end }) = self.tree.items.get_mut(at) {
            *end = here;
        }
    }

    #[inline]
    pub(super) fn field(&mut self, name: &'static str, value: impl Say) {
        if value.is_nothing() || (self.leaves_into && self.depth == 1 && name == "into_clause") {
            return;
        }
        self.tree.items.push(Item::Field(name));
        value.say(self);
    }

    /// Nothing stands at this place of a list.
    pub(super) fn nothing(&mut self) {
        self.tree.items.push(Item::Nothing);
    }

    /// Something that the grammar is not known to make.
    pub(super) fn broken(&mut self) {
        self.broken = true;
        self.nothing();
    }

    /// Notes the constant at `at`, which starts at `location` of the text.
    pub(super) fn constant(&mut self, location: i32, at: usize) {
        if let (Some(found), Ok(location)) = (&mut self.found, usize::try_from(location)) {
            let value = self.tree.part(at).field("val").map_or(FoundValue::Other, value_of);
            found.push(Found { location, value });
        }
    }

    fn text(&mut self, value: &str) {
        let start = self.tree.texts.len();
        self.tree.texts.push_str(value);
        self.tree.items.push(Item::Text { start, end: self.tree.texts.len() });
    }

    fn list<T: Say>(&mut self, items: impl Iterator<Item = T>) {
        let at = self.tree.items.len();
        self.tree.items.push(Item::List { end: at });
        items.for_each(|item| item.say(self));
        self.close(at);
    }

    fn value(&mut self, kind: &'static str, field: &'static str, value: impl Say) {
        let at = self.begin(kind);
        self.field(field, value);
        self.end(at);
    }
}

impl Say for Node<'_> {
    fn say(self, out: &mut Builder) {
        say(self, out);
    }

    fn is_nothing(&self) -> bool {
        match self {
            Node::None => true,
            Node::NodeList(list) => list.is_empty(),
            _ => false,
        }
    }
}

impl Say for &NodeList {
    fn say(self, out: &mut Builder) {
        out.list(self.iter());
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<'t, T> Say for &'t CastNodeList<T>
where
    &'t T: Say,
    &'t CastNodeList<T>: IntoIterator<Item = &'t T>,
{
    fn say(self, out: &mut Builder) {
        out.list(self.into_iter());
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<'t, T> Say for Option<&'t T>
where
    &'t T: Say,
{
    fn say(self, out: &mut Builder) {
        match self {
            Some(node) => node.say(out),
            None => out.nothing(),
        }
    }

    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}

impl Say for Option<&str> {
    fn say(self, out: &mut Builder) {
        out.text(self.unwrap_or_default());
    }

    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}

impl Say for Option<ConstValue<'_>> {
    fn say(self, out: &mut Builder) {
        match self {
            Some(ConstValue::Integer(number)) => out.value("Integer", "ival", number),
            Some(ConstValue::Float(digits)) => out.value("Float", "fval", Some(digits)),
            Some(ConstValue::Boolean(flag)) => out.value("Boolean", "boolval", flag),
            Some(ConstValue::String(text)) => out.value("String", "sval", Some(text)),
            Some(ConstValue::BitString(digits)) => out.value("BitString", "bsval", Some(digits)),
            Some(_) => out.broken(),
            None => out.nothing(),
        }
    }

    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}

impl Say for bool {
    fn say(self, out: &mut Builder) {
        out.tree.items.push(Item::Flag(self));
    }

    fn is_nothing(&self) -> bool {
        !self
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Say for $number {
            fn say(self, out: &mut Builder) {
                out.tree.items.push(Item::Number(i64::from(self)));
            }

            fn is_nothing(&self) -> bool {
                *self == 0
            }
        })*
    };
}

numbers!(i8 i16 i32 i64 u32);

macro_rules! never {
    ($($node:ident)*) => {
        // Parse analysis makes these; a parser never does.
        $(impl Say for &nodes::$node {
            fn say(self, out: &mut Builder) {
                out.broken();
            }
        })*
    };
}

never!(FuncExpr Query);
