//! Values to elements, through serde: a structure is an element with its fields inside, a list is its element repeated,
//! an absent option is nothing, and what is empty is `<X/>`.
//!
//! Text is escaped, and characters that XML 1.0 cannot carry become U+FFFD. Written here rather than by quick-xml
//! because that writes an absent option as an empty element, on which boto 2 and botocore fail where they expect a
//! number. Next: [`super::answer`].

use serde::ser::{self, Impossible, Serialize, Serializer};

/// A value that has no form in XML here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(String);

impl ser::Error for WriteError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Writes `value` as the element `name`.
///
/// # Errors
/// Maps, tuples, enums with content, bytes.
pub fn element<T: Serialize + ?Sized>(out: &mut String, name: &str, value: &T) -> Result<(), WriteError> {
    value.serialize(Element { out, name: Some(name) })
}

/// Writes the fields of a structure without an element around them.
///
/// # Errors
/// As [`element`].
pub fn fields<T: Serialize + ?Sized>(out: &mut String, value: &T) -> Result<(), WriteError> {
    value.serialize(Element { out, name: None })
}

pub(super) fn open(out: &mut String, name: &str, namespace: Option<&str>) {
    out.push('<');
    out.push_str(name);
    if let Some(namespace) = namespace {
        out.push_str(" xmlns=\"");
        out.push_str(namespace);
        out.push('"');
    }
    out.push('>');
}

pub(super) fn close(out: &mut String, name: &str) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

pub(super) fn text_element(out: &mut String, name: &str, text: &str) {
    if text.is_empty() {
        empty(out, name);
    } else {
        open(out, name, None);
        escape(out, text);
        close(out, name);
    }
}

fn empty(out: &mut String, name: &str) {
    out.push('<');
    out.push_str(name);
    out.push_str("/>");
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A bare carriage return would reach the reader as a line feed (XML 1.0 §2.11).
            '\r' => out.push_str("&#13;"),
            // XML 1.0 §2.2 has no way at all to write these.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}

struct Element<'a> {
    out: &'a mut String,
    /// `None` only for the outermost structure of an EC2 answer.
    name: Option<&'a str>,
}

impl Element<'_> {
    fn text(self, text: &str) -> Result<(), WriteError> {
        match self.name {
            Some(name) => text_element(self.out, name, text),
            None => escape(self.out, text),
        }
        Ok(())
    }
}

fn unsupported(what: &str) -> WriteError {
    WriteError(format!("write {what} as XML"))
}

macro_rules! scalar {
    ($($method:ident $kind:ty),* $(,)?) => {
        $(fn $method(self, value: $kind) -> Result<(), WriteError> {
            self.text(&value.to_string())
        })*
    };
}

impl<'a> Serializer for Element<'a> {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = Self;
    type SerializeTuple = Impossible<(), WriteError>;
    type SerializeTupleStruct = Impossible<(), WriteError>;
    type SerializeTupleVariant = Impossible<(), WriteError>;
    type SerializeMap = Impossible<(), WriteError>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), WriteError>;

    scalar! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_f32 f32,
        serialize_f64 f64, serialize_char char,
    }

    fn serialize_str(self, value: &str) -> Result<(), WriteError> {
        self.text(value)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), WriteError> {
        Err(unsupported("a byte string"))
    }

    fn serialize_none(self) -> Result<(), WriteError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), WriteError> {
        self.text("")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), WriteError> {
        self.text("")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), WriteError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), WriteError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), WriteError> {
        Err(unsupported("an enum with content"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, WriteError> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, WriteError> {
        Err(unsupported("a tuple"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, WriteError> {
        Err(unsupported("a tuple"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, WriteError> {
        Err(unsupported("an enum with content"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, WriteError> {
        Err(unsupported("a map"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, WriteError> {
        if let Some(name) = self.name {
            open(self.out, name, None);
        }
        let before = self.out.len();
        Ok(Fields { out: self.out, name: self.name, before })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, WriteError> {
        Err(unsupported("an enum with content"))
    }
}

impl ser::SerializeSeq for Element<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        value.serialize(Element { out: self.out, name: self.name })
    }

    fn end(self) -> Result<(), WriteError> {
        Ok(())
    }
}

struct Fields<'a> {
    out: &'a mut String,
    name: Option<&'a str>,
    before: usize,
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), WriteError> {
        value.serialize(Element { out: self.out, name: Some(name) })
    }

    fn end(self) -> Result<(), WriteError> {
        let Some(name) = self.name else { return Ok(()) };
        if self.out.len() == self.before {
            self.out.truncate(self.before - name.len() - 2);
            empty(self.out, name);
        } else {
            close(self.out, name);
        }
        Ok(())
    }
}
