//! From typed values to documents, through serde: an absent option is no field, a list is a list.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::{self, Error as _, Impossible, Serialize, Serializer};

use super::Document;
use crate::query::Error;
use crate::time::{self, Time};

pub(super) struct To;

fn unsupported<T>(what: &str) -> Result<T, Error> {
    Err(Error::custom(format!("{what} has no form in documents")))
}

macro_rules! integer {
    ($($method:ident $kind:ty),* $(,)?) => {
        $(fn $method(self, value: $kind) -> Result<Document, Error> {
            Ok(Document::Int(i64::from(value)))
        })*
    };
}

impl Serializer for To {
    type Ok = Document;
    type Error = Error;
    type SerializeSeq = List;
    type SerializeTuple = Impossible<Document, Error>;
    type SerializeTupleStruct = Impossible<Document, Error>;
    type SerializeTupleVariant = Impossible<Document, Error>;
    type SerializeMap = Map;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Impossible<Document, Error>;

    integer! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_u8 u8, serialize_u16 u16,
        serialize_u32 u32,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_u64(self, value: u64) -> Result<Document, Error> {
        i64::try_from(value).map(Document::Int).or_else(|_| unsupported("a number this large"))
    }

    fn serialize_bool(self, value: bool) -> Result<Document, Error> {
        Ok(Document::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Document, Error> {
        Ok(Document::Float(f64::from(value)))
    }

    fn serialize_f64(self, value: f64) -> Result<Document, Error> {
        Ok(Document::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<Document, Error> {
        Ok(Document::Text(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Document, Error> {
        Ok(Document::Text(value.into()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Document, Error> {
        Ok(Document::Bytes(value.into()))
    }

    fn serialize_none(self) -> Result<Document, Error> {
        Ok(Document::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Document, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Document, Error> {
        Ok(Document::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Document, Error> {
        Ok(Document::Map(BTreeMap::new()))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Document, Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Document, Error> {
        match value.serialize(self)? {
            Document::Int(millis) if name == time::MILLIS => Ok(Document::Time(Time(millis))),
            document => Ok(document),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Document, Error> {
        unsupported("an enum with content")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Error> {
        Ok(List(Vec::new()))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        unsupported("a tuple")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        unsupported("a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        unsupported("an enum with content")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Ok(Map { map: BTreeMap::new(), key: None })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, Error> {
        Ok(Fields(BTreeMap::new()))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        unsupported("an enum with content")
    }
}

pub(super) struct List(Vec<Document>);

impl ser::SerializeSeq for List {
    type Ok = Document;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.0.push(value.serialize(To)?);
        Ok(())
    }

    fn end(self) -> Result<Document, Error> {
        Ok(Document::List(self.0))
    }
}

pub(super) struct Fields(BTreeMap<Cow<'static, str>, Document>);

impl ser::SerializeStruct for Fields {
    type Ok = Document;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        match value.serialize(To)? {
            Document::Null => {}
            document => {
                self.0.insert(Cow::Borrowed(name), document);
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Document, Error> {
        Ok(Document::Map(self.0))
    }
}

/// A map of texts to values: attributes.
pub(super) struct Map {
    map: BTreeMap<Cow<'static, str>, Document>,
    key: Option<String>,
}

impl ser::SerializeMap for Map {
    type Ok = Document;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        match key.serialize(To)? {
            Document::Text(key) => {
                self.key = Some(key.to_string());
                Ok(())
            }
            _ => unsupported("a key that is no text"),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let Some(key) = self.key.take() else { return unsupported("a value without a key") };
        self.map.insert(Cow::Owned(key), value.serialize(To)?);
        Ok(())
    }

    fn end(self) -> Result<Document, Error> {
        Ok(Document::Map(self.map))
    }
}
