//! The tree as it is built: pg_query's messages write themselves into it by serde.

use std::fmt::Write as _;

use serde::ser::{self, Serialize};

use super::{Item, Tree, is_location, value_of};
use crate::sql::form::{Found, FoundValue};

impl Tree {
    /// From any message of the parse tree.
    pub(in crate::sql) fn of(message: &impl Serialize) -> Option<Self> {
        let mut builder = Builder { tree: Self::default(), found: None };
        message.serialize(&mut builder).ok()?;
        Some(builder.tree)
    }

    /// The same, and each constant in it with the place in the text where it starts.
    pub(in crate::sql) fn with_constants(message: &impl Serialize) -> Option<(Self, Vec<Found>)> {
        let mut builder = Builder { tree: Self::default(), found: Some(Vec::new()) };
        message.serialize(&mut builder).ok()?;
        Some((builder.tree, builder.found.unwrap_or_default()))
    }
}

/// The tree so far, and where constants are noted, if anywhere.
struct Builder {
    tree: Tree,
    found: Option<Vec<Found>>,
}

impl Builder {
    fn push(&mut self, item: Item) -> Result<(), Never> {
        self.tree.items.push(item);
        Ok(())
    }

    fn text(&mut self, value: &str) -> Result<(), Never> {
        let start = self.tree.texts.len();
        self.tree.texts.push_str(value);
        self.push(Item::Text { start, end: self.tree.texts.len() })
    }

    fn written(&mut self, value: impl std::fmt::Display) -> Result<(), Never> {
        let start = self.tree.texts.len();
        write!(self.tree.texts, "{value}").map_err(|_| Never)?;
        self.push(Item::Text { start, end: self.tree.texts.len() })
    }

    /// Whether what was written from there on says nothing: it is as good as absent.
    fn says_nothing(&self, from: usize) -> bool {
        match self.tree.items.get(from..) {
            Some([]) | None => true,
            Some([only]) => match only {
                Item::Nothing | Item::Number(0) | Item::Flag(false) => true,
                Item::Text { start, end } => start == end,
                Item::List { .. } => true,
                Item::Node { .. } | Item::Field(_) | Item::Number(_) | Item::Flag(true) => false,
            },
            Some(_) => false,
        }
    }

    /// Sets the end of the node or list at that place to here.
    fn close(&mut self, at: usize) {
        let here = self.tree.items.len();
        if let Some(Item::Node { end, .. } | Item::List { end }) = self.tree.items.get_mut(at) {
            *end = here;
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

/// A list, and where it began.
struct ListBuilder<'b>(&'b mut Builder, usize);

/// A node: its name, where it began, and the place in the text where it stands.
struct NodeBuilder<'b> {
    builder: &'b mut Builder,
    kind: &'static str,
    at: usize,
    location: Option<usize>,
}

/// `Node` only wraps the one of its kinds that it is.
const WRAPPER: &str = "Node";

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), Never> {
            self.push(Item::Number(i64::try_from(value).map_err(|_| Never)?))
        })*
    };
}

impl<'b> ser::Serializer for &'b mut Builder {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = ListBuilder<'b>;
    type SerializeTuple = ListBuilder<'b>;
    type SerializeTupleStruct = ListBuilder<'b>;
    type SerializeTupleVariant = ser::Impossible<(), Never>;
    type SerializeMap = ser::Impossible<(), Never>;
    type SerializeStruct = NodeBuilder<'b>;
    type SerializeStructVariant = ser::Impossible<(), Never>;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
             serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.push(Item::Flag(value))
    }

    fn serialize_f32(self, value: f32) -> Result<(), Never> {
        self.written(value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Never> {
        self.written(value)
    }

    fn serialize_char(self, value: char) -> Result<(), Never> {
        self.written(value)
    }

    fn serialize_str(self, value: &str) -> Result<(), Never> {
        self.text(value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Never> {
        Err(Never)
    }

    fn serialize_none(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Never> {
        let end = self.tree.items.len().saturating_add(1);
        self.push(Item::Node { kind: name, end })
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Never> {
        self.serialize_unit_struct(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        let at = self.tree.items.len();
        value.serialize(&mut *self)?;
        // A constant's value: which of its kinds it is matters.
        if let Some([text @ Item::Text { .. }]) = self.tree.items.get(at..) {
            let text = *text;
            self.tree.items.truncate(at);
            self.tree.items.extend([
                Item::Node { kind: variant, end: at.saturating_add(3) },
                Item::Field("value"),
                text,
            ]);
        }
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListBuilder<'b>, Never> {
        let at = self.tree.items.len();
        self.push(Item::List { end: at })?;
        Ok(ListBuilder(self, at))
    }

    fn serialize_tuple(self, length: usize) -> Result<ListBuilder<'b>, Never> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<ListBuilder<'b>, Never> {
        self.serialize_seq(Some(length))
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

    fn serialize_struct(self, kind: &'static str, _: usize) -> Result<NodeBuilder<'b>, Never> {
        let at = self.tree.items.len();
        if kind != WRAPPER {
            self.push(Item::Node { kind, end: at })?;
        }
        Ok(NodeBuilder { builder: self, kind, at, location: None })
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
    type Ok = ();
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        let before = self.0.tree.items.len();
        value.serialize(&mut *self.0)?;
        if self.0.tree.items.len() == before { self.0.push(Item::Nothing) } else { Ok(()) }
    }

    fn end(self) -> Result<(), Never> {
        self.0.close(self.1);
        Ok(())
    }
}

impl ser::SerializeTuple for ListBuilder<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Never> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for ListBuilder<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Never> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeStruct for NodeBuilder<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Never> {
        let before = self.builder.tree.items.len();
        if is_location(key) {
            if self.kind == "AConst" && key == "location" {
                value.serialize(&mut *self.builder)?;
                if let Some([Item::Number(location)]) = self.builder.tree.items.get(before..) {
                    self.location = usize::try_from(*location).ok();
                }
                self.builder.tree.items.truncate(before);
            }
            return Ok(());
        }
        let from = if self.kind == WRAPPER {
            before
        } else {
            self.builder.push(Item::Field(key))?;
            before.saturating_add(1)
        };
        value.serialize(&mut *self.builder)?;
        // A field that says nothing is as good as none, and most do.
        if self.builder.says_nothing(from) {
            self.builder.tree.items.truncate(before);
        }
        Ok(())
    }

    fn end(self) -> Result<(), Never> {
        let Self { builder, kind, at, location } = self;
        if kind != WRAPPER {
            builder.close(at);
        }
        if let (Some(found), Some(location)) = (&mut builder.found, location) {
            let value = builder.tree.part(at).field("val").map_or(FoundValue::Other, value_of);
            found.push(Found { location, value });
        }
        Ok(())
    }
}
