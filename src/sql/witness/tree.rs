//! PostgreSQL's parse tree in a form that can be compared and searched: locations left out, wrappers folded.

use std::cell::RefCell;

use serde::ser::{self, Serialize};

use crate::sql::form::{Found, FoundValue};

/// A part of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sql) enum Tree {
    /// Nothing stands here.
    Nothing,
    /// A node or another message: its type and its fields.
    Node(&'static str, Vec<(&'static str, Tree)>),
    /// A list.
    List(Vec<Tree>),
    /// A name or a constant.
    Text(String),
    /// A number or an enumeration.
    Number(i64),
    /// A flag.
    Flag(bool),
}

/// Fields that say where in the text something stands, and one that only steers how statements are counted.
const LOCATIONS: [&str; 12] = [
    "jumble_args",
    "location",
    "stmt_location",
    "stmt_len",
    "list_start",
    "list_end",
    "rexpr_list_start",
    "rexpr_list_end",
    "name_location",
    "arg_location",
    "conninfo_location",
    "payload_location",
];

impl Tree {
    /// From any message of the parse tree.
    pub(in crate::sql) fn of(message: &impl Serialize) -> Option<Self> {
        message.serialize(Builder(None)).ok()
    }

    /// The same, and each constant in it with the place in the text where it starts.
    pub(in crate::sql) fn with_constants(message: &impl Serialize) -> Option<(Self, Vec<Found>)> {
        let found = RefCell::new(Vec::new());
        let tree = message.serialize(Builder(Some(&found))).ok()?;
        Some((tree, found.into_inner()))
    }

    /// The field of a node; nothing where it has none of that name.
    pub(in crate::sql) fn field(&self, name: &str) -> &Tree {
        match self {
            Self::Node(_, fields) => fields.iter().find(|(held, _)| *held == name).map_or(&Self::Nothing, |(_, v)| v),
            Self::Nothing | Self::List(_) | Self::Text(_) | Self::Number(_) | Self::Flag(_) => &Self::Nothing,
        }
    }

    /// The node without that field: one that holds nothing does not stand in a tree.
    pub(in crate::sql) fn without(self, name: &str) -> Self {
        match self {
            Self::Node(node, mut fields) => {
                fields.retain(|(field, _)| *field != name);
                Self::Node(node, fields)
            }
            other => other,
        }
    }

    /// The items of a list; empty for anything else.
    pub(in crate::sql) fn items(&self) -> &[Tree] {
        match self {
            Self::List(items) => items,
            Self::Nothing | Self::Node(..) | Self::Text(_) | Self::Number(_) | Self::Flag(_) => &[],
        }
    }

    /// The text; empty for anything else.
    pub(in crate::sql) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Nothing | Self::Node(..) | Self::List(_) | Self::Number(_) | Self::Flag(_) => "",
        }
    }
}

/// Where constants are noted, if anywhere.
#[derive(Clone, Copy)]
struct Builder<'f>(Option<&'f RefCell<Vec<Found>>>);

/// A constant of the tree, as far as it can be told by its value.
fn value_of(tree: &Tree) -> FoundValue {
    match tree {
        Tree::Node("Integer", _) => match tree.field("ival") {
            Tree::Number(number) => FoundValue::Integer(*number),
            _ => FoundValue::Integer(0),
        },
        Tree::Node("Float", _) => FoundValue::Float(tree.field("fval").text().to_owned()),
        Tree::Node("String", _) => FoundValue::Text(tree.field("sval").text().to_owned()),
        Tree::Nothing | Tree::Node(..) | Tree::List(_) | Tree::Text(_) | Tree::Number(_) | Tree::Flag(_) => {
            FoundValue::Other
        }
    }
}

/// The builder never fails; serde wants a type.
#[derive(Debug)]
pub(in crate::sql) struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the tree could not be built")
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

struct ListBuilder<'f>(Vec<Tree>, Builder<'f>);

/// Its name, its fields, where constants are noted, and the place in the text.
struct NodeBuilder<'f>(&'static str, Vec<(&'static str, Tree)>, Builder<'f>, Option<usize>);

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<Tree, Never> {
            i64::try_from(value).map(Tree::Number).map_err(|_| Never)
        })*
    };
}

impl<'f> ser::Serializer for Builder<'f> {
    type Ok = Tree;
    type Error = Never;
    type SerializeSeq = ListBuilder<'f>;
    type SerializeTuple = ListBuilder<'f>;
    type SerializeTupleStruct = ListBuilder<'f>;
    type SerializeTupleVariant = ser::Impossible<Tree, Never>;
    type SerializeMap = ser::Impossible<Tree, Never>;
    type SerializeStruct = NodeBuilder<'f>;
    type SerializeStructVariant = ser::Impossible<Tree, Never>;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
             serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Result<Tree, Never> {
        Ok(Tree::Flag(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Tree, Never> {
        Ok(Tree::Text(value.to_string()))
    }

    fn serialize_f64(self, value: f64) -> Result<Tree, Never> {
        Ok(Tree::Text(value.to_string()))
    }

    fn serialize_char(self, value: char) -> Result<Tree, Never> {
        Ok(Tree::Text(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Tree, Never> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Tree, Never> {
        Err(Never)
    }

    fn serialize_none(self) -> Result<Tree, Never> {
        Ok(Tree::Nothing)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree, Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Tree, Never> {
        Ok(Tree::Nothing)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Tree, Never> {
        Ok(Tree::Node(name, Vec::new()))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Tree, Never> {
        Ok(Tree::Node(variant, Vec::new()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Tree, Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Tree, Never> {
        match value.serialize(self)? {
            // A constant's value: which of its kinds it is matters.
            Tree::Text(text) => Ok(Tree::Node(variant, vec![("value", Tree::Text(text))])),
            other => Ok(other),
        }
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<ListBuilder<'f>, Never> {
        Ok(ListBuilder(Vec::with_capacity(length.unwrap_or(0)), self))
    }

    fn serialize_tuple(self, length: usize) -> Result<ListBuilder<'f>, Never> {
        Ok(ListBuilder(Vec::with_capacity(length), self))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<ListBuilder<'f>, Never> {
        Ok(ListBuilder(Vec::with_capacity(length), self))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Never> {
        Err(Never)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Never> {
        Err(Never)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<NodeBuilder<'f>, Never> {
        Ok(NodeBuilder(name, Vec::new(), self, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Never> {
        Err(Never)
    }
}

impl ser::SerializeSeq for ListBuilder<'_> {
    type Ok = Tree;
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        self.0.push(value.serialize(self.1)?);
        Ok(())
    }

    fn end(self) -> Result<Tree, Never> {
        Ok(Tree::List(self.0))
    }
}

impl ser::SerializeTuple for ListBuilder<'_> {
    type Ok = Tree;
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Tree, Never> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for ListBuilder<'_> {
    type Ok = Tree;
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Tree, Never> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeStruct for NodeBuilder<'_> {
    type Ok = Tree;
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Never> {
        if LOCATIONS.contains(&key) {
            if self.0 == "AConst" && key == "location" {
                self.3 = match value.serialize(Builder(None))? {
                    Tree::Number(location) => usize::try_from(location).ok(),
                    _ => None,
                };
            }
            return Ok(());
        }
        // A field that says nothing is as good as none, and most do: they would take nine tenths of the memory.
        match value.serialize(self.2)? {
            Tree::Nothing | Tree::Number(0) | Tree::Flag(false) => {}
            Tree::Text(text) if text.is_empty() => {}
            Tree::List(items) if items.is_empty() => {}
            said => self.1.push((key, said)),
        }
        Ok(())
    }

    fn end(mut self) -> Result<Tree, Never> {
        self.1.shrink_to_fit();
        if let (Builder(Some(found)), Some(location)) = (self.2, self.3) {
            let value =
                self.1.iter().find(|(field, _)| *field == "val").map_or(FoundValue::Other, |(_, val)| value_of(val));
            found.borrow_mut().push(Found { location, value });
        }
        // `Node` only wraps the one of its kinds that it is.
        match (self.0, self.1.len(), self.1.pop()) {
            ("Node", 0, _) => Ok(Tree::Nothing),
            ("Node", 1, Some((_, inner))) => Ok(inner),
            (_, _, Some(last)) => {
                self.1.push(last);
                Ok(Tree::Node(self.0, self.1))
            }
            (_, _, None) => Ok(Tree::Node(self.0, self.1)),
        }
    }
}
