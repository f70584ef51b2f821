//! From typed inputs to parameters, through serde: what our own client sends.
//!
//! An absent option is no parameter; an empty structure is `Name=`, which AWS reads as an empty list.

use serde::ser::{self, Impossible, Serialize, Serializer};

use super::{Error, Params};

/// The parameters of an input, without `Action` and `Version`.
///
/// # Errors
/// Only for types that no input uses: maps, tuples, enums with content, bytes.
pub fn to_params<T: Serialize + ?Sized>(input: &T) -> Result<Params, Error> {
    let mut params = Params::default();
    input.serialize(To { params: &mut params, path: String::new() })?;
    Ok(params)
}

struct To<'a> {
    params: &'a mut Params,
    path: String,
}

fn unsupported(what: &str) -> Error {
    ser::Error::custom(format!("{what} has no form in parameters"))
}

macro_rules! scalar {
    ($($method:ident $kind:ty),* $(,)?) => {
        $(fn $method(self, value: $kind) -> Result<(), Error> {
            self.params.push(self.path, value.to_string());
            Ok(())
        })*
    };
}

impl<'a> Serializer for To<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    scalar! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_f32 f32,
        serialize_f64 f64, serialize_char char, serialize_str &str,
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(unsupported("a byte string"))
    }

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(unsupported("an enum with content"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Error> {
        Ok(Elements { params: self.params, path: self.path, count: 0 })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(unsupported("a tuple"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(unsupported("a tuple"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(unsupported("an enum with content"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(unsupported("a map"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Error> {
        let before = self.params.len();
        Ok(Fields { params: self.params, path: self.path, before })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(unsupported("an enum with content"))
    }
}

struct Elements<'a> {
    params: &'a mut Params,
    path: String,
    count: usize,
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.count += 1;
        value.serialize(To { params: self.params, path: format!("{}.{}", self.path, self.count) })
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

struct Fields<'a> {
    params: &'a mut Params,
    path: String,
    before: usize,
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        value.serialize(To { params: self.params, path })
    }

    fn end(self) -> Result<(), Error> {
        if self.params.len() == self.before && !self.path.is_empty() {
            self.params.push(self.path, "");
        }
        Ok(())
    }
}
